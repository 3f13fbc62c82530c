//! A Product whose database is put back from an older backup notices: it answers nothing until it is told that this is a new
//! epoch, and then it answers from what was restored, and refuses the tokens of what was lost.

use std::process::Command;

use proto::delivery::v1::CreateDeliveryRequest;
use proto::product::v1 as wire;
use sqlx::PgConnection;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use wire::{Reason, State};

use crate::support::catalogue::{Shop, id, open_shop, product};
use crate::support::databases::{Throwaway, on_both};
use crate::support::process::Service;
use crate::support::refusal::{Refusal, refused};
use crate::support::silence::{ONE_ATTEMPT, after_one_attempt};
use crate::support::{binaries, clients, deliveries, eventually, operator, questions, services};

on_both!(a_restored_older_database_is_noticed);

async fn a_restored_older_database_is_noticed(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let delivery = services::delivery_with(&delivery_database.url(), product.address, &ONE_ATTEMPT).await;
    let shop = open_shop(&product).await;
    let backup = Backup::of(&product_database).await;
    let lost = questions::set_state(&product, &shop.milk, 1, State::Suspended).await.expect("milk changes");
    let decision = questions::decide(&product, &shop.milk, &shop.city, None).await.expect("a decision");
    assert_eq!((decision.reason(), &decision.revision), (Reason::ProductSuspended, &lost));

    backup.restore(&product_database).await;
    services::until_health_is(&product, ServingStatus::NotServing).await;
    nothing_is_answered_or_written(&product, &shop).await;
    let order = deliveries::order(&shop.milk, &shop.city);
    let refusal = refused(clients::delivery(&delivery).create_delivery(order.clone()).await);
    assert_eq!(refusal, after_one_attempt());

    new_epoch(&product_database);
    services::until_health_is(&product, ServingStatus::Serving).await;
    let decision = questions::decide(&product, &shop.milk, &shop.city, None).await.expect("a decision");
    assert_eq!(decision.reason(), Reason::Allowed, "as it was when the backup was made");
    assert!(![&lost, &shop.revision].contains(&&decision.revision), "a revision of the new epoch");
    let created = deliveries::create(&delivery, &order).await.expect("Product answers Delivery too");
    assert_eq!(deliveries::admission(&created).revision, decision.revision);

    let mismatch = Refusal::new(Code::FailedPrecondition, "EPOCH_MISMATCH");
    for token in [lost, shop.revision.clone()] {
        let asked = questions::decide(&product, &shop.milk, &shop.city, Some(&token)).await;
        assert_eq!(Refusal::of(&asked.expect_err("an old token")), mismatch);
        let watch = wire::WatchChangesRequest { after_revision: Some(token.clone()) };
        let watched = clients::product(&product).watch_changes(watch).await;
        assert_eq!(refused(watched.map(|_| tonic::Response::new(()))), mismatch);
        let order = CreateDeliveryRequest {
            min_revision: Some(token),
            ..deliveries::deferrable_order(&shop.milk, &shop.city)
        };
        assert_eq!(refused(clients::delivery(&delivery).create_delivery(order).await), mismatch);
    }
    let next = questions::create_product(&product, &id(), "new").await.expect("writes go on");
    questions::decide(&product, &shop.milk, &shop.city, Some(&next)).await.expect("a token of the new epoch");
}

async fn nothing_is_answered_or_written(service: &Service, shop: &Shop) {
    let unavailable = Refusal::new(Code::Unavailable, "CATALOGUE_UNAVAILABLE").retry();
    for (name, wanted) in [
        (services::PRODUCT_SERVICE, ServingStatus::NotServing),
        (services::CATALOGUE_SERVICE, ServingStatus::NotServing),
        ("liveness", ServingStatus::Serving),
    ] {
        assert_eq!(clients::health(service, name).await.expect("health answers"), wanted, "{name}");
    }
    let asked = questions::decide(service, &shop.milk, &shop.city, None).await;
    assert_eq!(Refusal::of(&asked.expect_err("no answer")), unavailable);
    let batch = wire::BatchCanDeliverRequest::default();
    assert_eq!(refused(clients::product(service).batch_can_deliver(batch).await), unavailable);
    let resolve = wire::ResolveLocationRequest { country: "NL".to_owned(), ..Default::default() };
    assert_eq!(refused(clients::product(service).resolve_location(resolve).await), unavailable);

    let new = id();
    let create = wire::CreateProductRequest { product: Some(product(&new, "new", &[])) };
    assert_eq!(refused(clients::catalogue(service).create_product(create).await), unavailable);
    let import = tokio_stream::iter([wire::ImportCatalogueRequest::default()]);
    let imported = clients::catalogue(service).import_catalogue(import).await;
    assert_eq!(refused(imported.map(|_| tonic::Response::new(()))), unavailable);
    let get = wire::GetProductRequest { product_id: new };
    let missing = refused(clients::product(service).get_product(get.clone()).await);
    let nothing = Refusal::new(Code::NotFound, "PRODUCT_NOT_FOUND").resource("product", &get.product_id);
    assert_eq!(missing, nothing, "nothing was written");
}

/// `product new-epoch`, as the operator runs it.
fn new_epoch(database: &Throwaway) {
    let mut command = Command::new(binaries::path("product"));
    let ended =
        command.args(["--database-url", &database.url(), "new-epoch"]).output().expect("product runs");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{ended:?}");
    assert!(said.contains("epoch"), "{said}");
}

/// A copy of a catalogue, made and put back while Product runs.
enum Backup {
    /// A file beside the database.
    Sqlite(String),
    /// The name of a database beside it.
    Postgres(String),
}

// === impl Backup ===

impl Backup {
    async fn of(database: &Throwaway) -> Self {
        match database {
            Throwaway::Sqlite { folder } => {
                let file = format!("{}/backup.db", folder.display());
                let mut connection = operator::open_sqlite(&database.url()).await;
                operator::run_sqlite(&mut connection, &[format!("VACUUM INTO '{file}'")]).await;
                Self::Sqlite(file)
            }
            Throwaway::Postgres { .. } => {
                let (original, copy) =
                    (operator::name_of(database), format!("backup_{}", uuid::Uuid::new_v4().simple()));
                copy_database(&mut operator::operator().await, &original, &copy).await;
                Self::Postgres(copy)
            }
        }
    }

    async fn restore(self, database: &Throwaway) {
        match self {
            // In place and in one transaction: Product has the file open.
            Self::Sqlite(file) => {
                let mut statements = vec![format!("ATTACH '{file}' AS backup"), "BEGIN IMMEDIATE".to_owned()];
                for table in ["rules", "locations", "products", "catalogue_head"] {
                    statements.push(format!("DELETE FROM main.{table}"));
                    statements.push(format!("INSERT INTO main.{table} SELECT * FROM backup.{table}"));
                }
                statements.push("COMMIT".to_owned());
                operator::run_sqlite(&mut operator::open_sqlite(&database.url()).await, &statements).await;
            }
            Self::Postgres(copy) => {
                let name = operator::name_of(database);
                let mut operator = operator::operator().await;
                operator::run(&mut operator, &[format!("DROP DATABASE {name} WITH (FORCE)")]).await;
                copy_database(&mut operator, &copy, &name).await;
            }
        }
    }
}

/// Product's connections are in the way of a copy for as long as it takes to end them, and it makes new ones.
async fn copy_database(operator: &mut PgConnection, from: &str, to: &str) {
    let terminate =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'");
    let copy = format!("CREATE DATABASE {to} TEMPLATE {from}");
    operator::run(operator, &[format!("ALTER DATABASE {from} ALLOW_CONNECTIONS false")]).await;
    eventually("the database is copied", async || {
        operator::run(operator, std::slice::from_ref(&terminate)).await;
        operator::try_run(operator, &copy).await
    })
    .await;
    operator::run(operator, &[format!("ALTER DATABASE {from} ALLOW_CONNECTIONS true")]).await;
}
