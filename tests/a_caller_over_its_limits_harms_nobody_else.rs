//! A caller that calls more than its line in the access file allows is refused, told so and counted; the others go on.

use futures_util::future::join_all;
use proto::product::v1::BatchCanDeliverRequest;
use tonic::{Code, Status};

use crate::support::databases::Throwaway;
use crate::support::pki::Pki;
use crate::support::port::Port;
use crate::support::process::Service;
use crate::support::{clients, metrics, secured};

const CALLS: usize = 100;
const PER_SECOND: usize = 5;

#[tokio::test]
async fn a_caller_over_its_limits_harms_nobody_else() {
    let (pki, database, page) = (Pki::new(), Throwaway::sqlite(), Port::reserve());
    let mut product = limited_product(&pki, &database, &page).await;
    let started = std::time::Instant::now();
    let greedy = call_much(&product).await;
    let seconds = started.elapsed().as_secs() + 1;
    let answered = greedy.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(answered >= PER_SECOND, "a second's worth is answered: {answered}");
    assert!(answered as u64 <= PER_SECOND as u64 * (seconds + 1), "{answered} in {seconds} s");
    for status in greedy.iter().filter_map(|outcome| outcome.as_ref().err()) {
        let limited = (Code::ResourceExhausted, "IDENTITY_LIMITED".to_owned());
        assert_eq!(clients::code_and_reason(status), limited);
    }

    product.tls = Some(secured::caller(&pki, Some(pki.issue("modest", &["modest.test"]))));
    assert!(call_much(&product).await.iter().all(Result::is_ok), "who has no limit is answered");
    let (limited, by_rate) = ("candeliver_server_calls_limited_total", "limit=\"calls_per_second\"");
    let counted = metrics::sum(page.address, limited, &[by_rate]).await;
    assert_eq!(counted, (CALLS - answered) as u64, "each refusal is counted");
}

async fn call_much(product: &Service) -> Vec<Result<(), Status>> {
    let client = clients::product(product);
    let ask = |_| {
        let mut client = client.clone();
        async move { client.batch_can_deliver(BatchCanDeliverRequest::default()).await.map(drop) }
    };
    join_all((0..CALLS).map(ask)).await
}

/// A Product that answers a greedy caller, as whom the story speaks first, five times a second, and a modest one always.
async fn limited_product(pki: &Pki, database: &Throwaway, page: &Port) -> Service {
    let table = format!(
        "[allow]\n\"candeliver.product.v1.ProductService\" = [\"greedy.test\", \"modest.test\"]\n\
         [limits.\"greedy.test\"]\ncalls_per_second = {PER_SECOND}\n"
    );
    let access = pki.file("access.toml", &table);
    let mut flags = vec!["--database-url".to_owned(), database.url()];
    flags.extend(secured::server_flags(pki, &pki.issue("product", &[secured::HOST]), &access));
    flags.extend(["--admin-listen".to_owned(), page.address.to_string()]);
    secured::start("product", &flags, secured::caller(pki, Some(pki.issue("greedy", &["greedy.test"])))).await
}
