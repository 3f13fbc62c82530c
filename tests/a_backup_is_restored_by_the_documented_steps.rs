//! The steps of docs/backup.md, as they stand there, lose nothing that was acknowledged before the backup; and Delivery notices
//! that Product's catalogue is an older one.

use std::path::PathBuf;
use std::process::Command;

use chassis::database::throwaway::POSTGRES_URL;
use nix::sys::signal::Signal;
use proto::delivery::v1::{CreateDeliveryRequest, DeliveryState};
use proto::product::v1 as wire;
use tonic::Code;
use wire::{Reason, State};

use crate::support::catalogue::{Shop, open_shop};
use crate::support::databases::{Throwaway, on_both};
use crate::support::process::Service;
use crate::support::refusal::{Refusal, refused};
use crate::support::silence::ONE_ATTEMPT;
use crate::support::{binaries, clients, deliveries, eventually, operator, questions, services};

const STEPS: &str = include_str!("../docs/backup.md");

on_both!(a_backup_is_restored_by_the_documented_steps);

async fn a_backup_is_restored_by_the_documented_steps(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let steps = Steps::new(&product_database, &delivery_database);
    let product = services::product(&product_database).await;
    let delivery = services::delivery_with(&delivery_database.url(), product.address, &ONE_ATTEMPT).await;
    let shop = open_shop(&product).await;
    let kept = orders_of_all_kinds(&delivery, &shop).await;
    steps.run("back up");

    let lost = questions::set_state(&product, &shop.milk, 1, State::Suspended).await.expect("milk changes");
    let later = deliveries::order(&shop.rock, &shop.island);
    deliveries::create(&delivery, &later).await.expect("rock goes to the island");
    deliveries::dispatch(&delivery, &kept[0].delivery_id).await.expect("it was confirmed");

    let address = stopped(product).await;
    let waiting = orders_while_product_is_away(&delivery, &shop, &lost).await;
    steps.run("restore Product");
    let product = services::product_back_at(address, &product_database).await;
    nothing_of_the_catalogue_is_missing(&product, &shop, &lost).await;
    delivery_notices(&delivery, &shop, &lost, &waiting).await;

    let address = stopped(delivery).await;
    steps.run("restore Delivery");
    let delivery =
        services::delivery_at(Some(address), &delivery_database.url(), &[product.address], &ONE_ATTEMPT)
            .await;
    for before in &kept {
        let restored = deliveries::get(&delivery, &before.delivery_id).await.expect("it was acknowledged");
        assert_eq!(&restored, before, "as it was when the backup was made");
    }
    assert_eq!(deliveries::stored_ids(&delivery).await.len(), kept.len(), "and nothing else");
    let again = deliveries::create(&delivery, &later).await.expect("its owner sends it again");
    assert_eq!((again.delivery_id, again.version), (deliveries::id_of(&later), 1));
    deliveries::dispatch(&delivery, &kept[0].delivery_id).await.expect("the restored database serves");
}

/// Confirmed, dispatched and cancelled, as they are acknowledged.
async fn orders_of_all_kinds(delivery: &Service, shop: &Shop) -> Vec<proto::delivery::v1::Delivery> {
    let mut kept = Vec::new();
    for _ in 0..3 {
        let order = deliveries::order(&shop.milk, &shop.city);
        kept.push(deliveries::create(delivery, &order).await.expect("milk goes to the city"));
    }
    kept[1] = deliveries::dispatch(delivery, &kept[1].delivery_id).await.expect("it is confirmed");
    let cancel =
        proto::delivery::v1::CancelDeliveryRequest { delivery_id: kept[2].delivery_id.clone(), version: 0 };
    let cancelled = clients::delivery(delivery).cancel_delivery(cancel).await.expect("it is confirmed");
    kept[2] = cancelled.into_inner().delivery.expect("always present");
    kept
}

/// One that takes any answer, and one that wants what is about to be lost.
async fn orders_while_product_is_away(delivery: &Service, shop: &Shop, lost: &str) -> [String; 2] {
    let any = deliveries::deferrable_order(&shop.rock, &shop.city);
    let fresh = CreateDeliveryRequest {
        min_revision: Some(lost.to_owned()),
        ..deliveries::deferrable_order(&shop.rock, &shop.city)
    };
    for order in [&any, &fresh] {
        let stored = deliveries::create(delivery, order).await.expect("it is deferred");
        assert_eq!(stored.state(), DeliveryState::Pending);
    }
    [&any, &fresh].map(deliveries::id_of)
}

async fn nothing_of_the_catalogue_is_missing(product: &Service, shop: &Shop, lost: &str) {
    let decision = questions::decide(product, &shop.milk, &shop.city, None).await.expect("a decision");
    assert_eq!(decision.reason(), Reason::Allowed, "as it was when the backup was made");
    for token in [lost, &shop.revision] {
        let asked = questions::decide(product, &shop.milk, &shop.city, Some(token)).await;
        let mismatch = Refusal::new(Code::FailedPrecondition, "EPOCH_MISMATCH");
        assert_eq!(Refusal::of(&asked.expect_err("a token of the old epoch")), mismatch);
    }
    let rule = wire::GetRuleRequest { rule_id: shop.city_rule.clone(), version: 1 };
    clients::catalogue(product).get_rule(rule).await.expect("decisions can still be explained");
    questions::set_state(product, &shop.milk, 1, State::Suspended).await.expect("writes go on");
    questions::set_state(product, &shop.milk, 2, State::Active).await.expect("writes go on");
}

async fn delivery_notices(delivery: &Service, shop: &Shop, lost: &str, [any, fresh]: &[String; 2]) {
    let order = CreateDeliveryRequest {
        min_revision: Some(lost.to_owned()),
        ..deliveries::order(&shop.milk, &shop.city)
    };
    let mismatch = Refusal::new(Code::FailedPrecondition, "EPOCH_MISMATCH");
    eventually("a token of the old epoch is refused", async || {
        let refusal = refused(clients::delivery(delivery).create_delivery(order.clone()).await);
        if refusal == mismatch { Ok(()) } else { Err(refusal) }
    })
    .await;
    eventually("what takes any answer is verified", async || {
        let state = deliveries::get(delivery, any).await.expect("it is stored").state();
        if state == DeliveryState::Confirmed { Ok(()) } else { Err(state) }
    })
    .await;
    let told = format!(r#""delivery":"{fresh}""#);
    eventually("it is told which delivery can't be verified", async || {
        let log = delivery.log();
        let line = log.lines().find(|line| line.contains("can't be verified") && line.contains(&told));
        line.map(str::to_owned).ok_or(log)
    })
    .await;
    let state = deliveries::get(delivery, fresh).await.expect("it is stored").state();
    assert_eq!(state, DeliveryState::Pending, "until it expires: nobody can say, and that is no no");
}

async fn stopped(mut service: Service) -> std::net::SocketAddr {
    service.signal(Signal::SIGTERM);
    assert!(service.ended().await.success());
    service.address
}

/// The commands of docs/backup.md, with what they need.
struct Steps {
    database: &'static str,
    variables: Vec<(&'static str, String)>,
    backups: PathBuf,
}

// === impl Steps ===

impl Steps {
    fn new(product: &Throwaway, delivery: &Throwaway) -> Self {
        let backups = std::env::temp_dir().join(format!("candeliver-backups-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&backups).expect("a folder");
        let folder = binaries::path("product").parent().expect("a folder").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut variables = vec![
            ("BACKUPS", backups.display().to_string()),
            ("PATH", format!("{folder}:{}:{path}", postgres_programs())),
        ];
        let file = |database: &Throwaway| database.url().trim_start_matches("sqlite://").to_owned();
        let database = match product {
            Throwaway::Sqlite { .. } => {
                variables.extend([("PRODUCT_DB", file(product)), ("DELIVERY_DB", file(delivery))]);
                "SQLite"
            }
            Throwaway::Postgres { .. } => {
                let admin = std::env::var(POSTGRES_URL).expect("the story has a PostgreSQL");
                variables.extend([("PRODUCT_URL", product.url()), ("DELIVERY_URL", delivery.url())]);
                variables.push(("PRODUCT_NAME", operator::name_of(product)));
                variables.extend([("DELIVERY_NAME", operator::name_of(delivery)), ("ADMIN_URL", admin)]);
                "PostgreSQL"
            }
        };
        Self { database, variables, backups }
    }

    /// Runs what stands under a comment, up to the end of its block.
    fn run(&self, step: &str) {
        let title = format!("# {}: {step}\n", self.database);
        let block = STEPS.split_once(&title).unwrap_or_else(|| panic!("the document has no step {title}")).1;
        let block = block.split_once("```").expect("the block ends").0;
        let mut shell = Command::new("sh");
        shell.args(["-euc", block]).envs(self.variables.iter().cloned());
        let done = shell.output().expect("there is a shell");
        assert!(done.status.success(), "{block}\n{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.backups);
    }
}

/// Where Debian keeps PostgreSQL's programs, the newest first; elsewhere they are on the path.
fn postgres_programs() -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> =
        versions.map(|version| version.path().join("bin").display().to_string()).collect();
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.clone()));
    folders.join(":")
}
