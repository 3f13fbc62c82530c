//! `delivery archive` takes what has long been final out of the database of a Delivery that serves: each with its evidence, and
//! nothing else; and what left can be explained, and ordered again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use proto::delivery::v1::{CancelDeliveryRequest, DeliveryState};
use proto::product::v1::GetRuleRequest;
use serde_json::Value;
use tonic::Code;

use crate::support::catalogue::{Shop, open_shop};
use crate::support::databases::{Throwaway, on_both};
use crate::support::process::Service;
use crate::support::refusal::{Refusal, refused};
use crate::support::{binaries, clients, deliveries, operator, services};

const OLD: usize = 30;

on_both!(archived_deliveries_leave_a_running_service);

async fn archived_deliveries_leave_a_running_service(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let delivery = services::delivery(&delivery_database, product.address).await;
    let shop = open_shop(&product).await;
    let under_way = ordered(&delivery, &shop).await;
    let mut old = Vec::new();
    for _ in 0..OLD {
        old.push(cancelled(&delivery, &ordered(&delivery, &shop).await).await);
    }
    let archive = Archive::new();
    assert_eq!(archived(&delivery_database, &archive), 0, "nothing is a week old");
    make_older(&delivery_database, 8).await;
    let shown: Vec<_> = old.iter().map(|id| shown(&delivery, id)).collect();
    let young = cancelled(&delivery, &ordered(&delivery, &shop).await).await;

    let orders = async {
        let mut ordered_meanwhile = Vec::new();
        for _ in 0..OLD {
            ordered_meanwhile.push(ordered(&delivery, &shop).await);
        }
        ordered_meanwhile
    };
    let url = delivery_database.url();
    let archiving = {
        let (url, archive) = (url.clone(), archive.0.clone());
        tokio::task::spawn_blocking(move || archive_into(&url, &archive))
    };
    let (meanwhile, done) = tokio::join!(orders, archiving);
    let done = done.expect("it runs");
    assert_eq!(count(&done), OLD, "{done:?}");

    let lines = archive.lines();
    assert_eq!(lines.len(), OLD);
    for (id, shown) in old.iter().zip(&shown) {
        assert_eq!(&lines[id], shown, "the line is what the command line showed");
        let missing = Refusal::new(Code::NotFound, "DELIVERY_NOT_FOUND").resource("delivery", id);
        let get = proto::delivery::v1::GetDeliveryRequest { delivery_id: id.clone() };
        assert_eq!(refused(clients::delivery(&delivery).get_delivery(get).await), missing);
    }
    for id in meanwhile.iter().chain([&under_way, &young]) {
        deliveries::get(&delivery, id).await.expect("it is not old, or not final");
    }
    assert_eq!(archived(&delivery_database, &archive), 0, "all is done");

    let rule = &lines[&old[0]]["admission"]["deciding_rules"][0];
    let version = rule["version"].as_u64().and_then(|version| version.try_into().ok()).expect("a version");
    let rule_id = rule["rule_id"].as_str().expect("an id").to_owned();
    let explained = clients::catalogue(&product).get_rule(GetRuleRequest { rule_id, version }).await;
    assert!(explained.expect("it is kept").into_inner().rule.is_some());
    let mut again = deliveries::order(&shop.rock, &shop.island);
    again.delivery_id = Some(old[0].clone());
    let created = deliveries::create(&delivery, &again).await.expect("the id is free again");
    assert_eq!(created.state(), DeliveryState::Confirmed);
}

async fn ordered(delivery: &Service, shop: &Shop) -> String {
    let order = deliveries::order(&shop.milk, &shop.city);
    deliveries::create(delivery, &order).await.expect("milk goes to the city").delivery_id
}

async fn cancelled(delivery: &Service, id: &str) -> String {
    let cancel = CancelDeliveryRequest { delivery_id: id.to_owned(), version: 0 };
    clients::delivery(delivery).cancel_delivery(cancel).await.expect("it is confirmed");
    id.to_owned()
}

/// As the command line shows a delivery.
fn shown(delivery: &Service, id: &str) -> Value {
    let mut command = Command::new(binaries::path("candeliver"));
    command.args(["deliveries", "get", id, "--json", "--delivery", &delivery.url()]);
    let done = command.output().expect("the program runs");
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

/// Days pass, for all deliveries alike.
async fn make_older(database: &Throwaway, days: i64) {
    let by = days * 24 * 60 * 60 * 1_000_000;
    let older = format!(
        "UPDATE deliveries SET create_time_us = create_time_us - {by}, update_time_us = update_time_us - {by}"
    );
    match database {
        Throwaway::Sqlite { .. } => {
            operator::run_sqlite(&mut operator::open_sqlite(&database.url()).await, &[older]).await;
        }
        Throwaway::Postgres { url } => {
            let mut connection =
                <sqlx::PgConnection as sqlx::Connection>::connect(url).await.expect("it answers");
            operator::run(&mut connection, &[older]).await;
        }
    }
}

fn archived(database: &Throwaway, archive: &Archive) -> usize {
    count(&archive_into(&database.url(), &archive.0))
}

fn archive_into(url: &str, archive: &PathBuf) -> Output {
    let mut command = Command::new(binaries::path("delivery"));
    command.args(["--database-url", url, "archive", "--older-than-days", "7", "--to"]).arg(archive);
    let done = command.output().expect("the program runs");
    assert!(done.status.success(), "{done:?}");
    done
}

/// How many it says were archived.
fn count(done: &Output) -> usize {
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let number = said.strip_prefix("archived ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("{done:?}"))
}

/// A file that goes with the story.
struct Archive(PathBuf);

impl Archive {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("candeliver-archive-{}.jsonl", uuid::Uuid::new_v4())))
    }

    /// Its lines by the ids of their deliveries.
    fn lines(&self) -> HashMap<String, Value> {
        let text = std::fs::read_to_string(&self.0).expect("the archive is there");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
        lines.map(|line| (line["delivery_id"].as_str().expect("an id").to_owned(), line)).collect()
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
