//! Delivery asks Product over mutual TLS while both get new certificates from a new authority: no call fails, and in the end
//! the old authority opens nothing.

use chassis::tls::client::ClientTls;
use proto::product::v1::BatchCanDeliverRequest;
use proto::product::v1::product_service_client::ProductServiceClient;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::callers::{Callers, assert_all_ok};
use crate::support::databases::{Throwaway, on_both};
use crate::support::pki::{Pair, Pki};
use crate::support::process::Service;
use crate::support::services::until_health_is;
use crate::support::{catalogue, clients, eventually, secured};

/// What a process logs when it has read new files.
const READ_ANEW: &str = "certificates have changed";

/// Longer than the age of Product's connections: what comes after that many creates goes over connections that were opened
/// after the step before.
const MEANWHILE: usize = 600;

const DELIVERY: &str = "spiffe://example.org/sa/delivery";
const MANAGER: &str = "spiffe://example.org/sa/catalogue-manager";

on_both!(no_call_fails_while_certificates_and_authorities_are_replaced);

async fn no_call_fails_while_certificates_and_authorities_are_replaced(
    database: &impl AsyncFn() -> Throwaway,
) {
    let (old, new) = (Pki::new(), Pki::new());
    let [products, deliveries] = [database().await, database().await];
    let product = start_product(&old, &products).await;
    let shop = catalogue::open_shop(&product).await;
    let delivery = start_delivery(&old, &deliveries, &product).await;
    let callers = Callers::of(&delivery, &shop).await;
    assert_all_ok(&callers.create(MEANWHILE).await);

    let own_ca = std::fs::read_to_string(old.ca()).expect("a file");
    let new_ca = std::fs::read_to_string(new.ca()).expect("a file");
    let step = async |step: &str, change: &dyn Fn(), readers: &[&Service]| {
        let before: Vec<_> = readers.iter().map(|reader| read_anew(reader)).collect();
        change();
        let read = async {
            for (reader, before) in readers.iter().zip(&before) {
                eventually(
                    step,
                    async || if read_anew(reader) > *before { Ok(()) } else { Err(reader.log()) },
                )
                .await;
            }
        };
        let ((), during) = callers.create_during(read).await;
        assert_all_ok(&during);
        assert_all_ok(&callers.create(MEANWHILE).await);
    };
    let both = [&product, &delivery];
    step("both authorities are believed", &|| drop(old.file("ca.pem", &format!("{own_ca}{new_ca}"))), &both)
        .await;
    step("Product's certificate is new", &|| copy(&new, &old, "product", secured::HOST), &[&product]).await;
    step("Delivery's certificate is new", &|| copy(&new, &old, "delivery", DELIVERY), &[&delivery]).await;
    step("the old authority is gone", &|| drop(old.file("ca.pem", &new_ca)), &both).await;

    // Whoever still has a certificate of the old one is a stranger, and whoever has one of the new one is not.
    let asks = async |caller: ClientTls| {
        let endpoint = product.url().parse().expect("a URL");
        let mut client = ProductServiceClient::new(secured::channel(&endpoint, &caller));
        client.batch_can_deliver(BatchCanDeliverRequest::default()).await
    };
    let believes = |shown: Pair| secured::caller(&new, Some(shown));
    assert!(asks(believes(new.issue("other", &[DELIVERY]))).await.is_ok());
    let stranger = asks(believes(old.issue("stranger", &[DELIVERY]))).await.expect_err("it is refused");
    assert!(std::error::Error::source(&stranger).is_some(), "by the connection: {stranger:?}");
    let denied = asks(believes(new.issue("guest", &["guest.example.org"]))).await.expect_err("it is refused");
    assert_eq!(clients::code_and_reason(&denied), (Code::PermissionDenied, "PERMISSION_DENIED".to_owned()));
}

async fn start_product(pki: &Pki, database: &Throwaway) -> Service {
    let access = pki.file(
        "access.toml",
        &format!(
            "[allow]\n\
             \"candeliver.product.v1.ProductService\" = [\"{DELIVERY}\"]\n\
             \"candeliver.product.v1.CatalogueService\" = [\"{MANAGER}\"]"
        ),
    );
    let mut flags = vec!["--database-url".to_owned(), database.url()];
    flags.extend(["--max-connection-age-seconds", "1"].map(str::to_owned));
    flags.extend(secured::server_flags(pki, &pki.issue("product", &[secured::HOST]), &access));
    let manager = secured::caller(pki, Some(pki.issue("manager", &[MANAGER])));
    secured::start("product", &flags, manager).await
}

/// Its own port speaks plain text: it is Product that is asked over TLS.
async fn start_delivery(pki: &Pki, database: &Throwaway, product: &Service) -> Service {
    let mut flags = vec!["--database-url".to_owned(), database.url()];
    flags.extend(["--product-url".to_owned(), product.url()]);
    flags.extend(secured::product_flags(pki, &pki.issue("delivery", &[DELIVERY])));
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let delivery = Service::start("delivery", None, &flags).await;
    until_health_is(&delivery, ServingStatus::Serving).await;
    delivery
}

/// How often a service has read new files.
fn read_anew(service: &Service) -> usize {
    service.log().matches(READ_ANEW).count()
}

/// Puts a certificate of one authority where one of another's was.
fn copy(from: &Pki, to: &Pki, file: &str, name: &str) {
    let issued = from.issue(file, &[name]);
    for (path, kind) in [(issued.cert, "pem"), (issued.key, "key")] {
        to.file(&format!("{file}.{kind}"), &std::fs::read_to_string(path).expect("a file"));
    }
}
