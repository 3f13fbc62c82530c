//! Three Products and then three Deliveries are replaced under load, pod by pod as Kubernetes does it, with the probes, the
//! preStop sleep and the grace that the manifests name: no create fails, and each is stored and was checked.
//!
//! The times are a cluster's, not shortened: the story waits for half a minute. Delivery finds Product by a name, as by the
//! headless Service's, which is in a hosts file in the place of DNS.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use proto::delivery::v1::{AdmissionSource, DeliveryState};

use crate::support::callers::{Callers, assert_all_ok};
use crate::support::catalogue::{Shop, open_shop};
use crate::support::databases::{Throwaway, on_postgres};
use crate::support::deliveries::{self, admission, id_of};
use crate::support::headless::Headless;
use crate::support::rollout::{Deployment, Template};
use crate::support::timing::Timing;
use crate::support::{binaries, catalogue, eventually, metrics, services};

on_postgres!(a_rolling_restart_of_both_services_fails_no_call);

/// Creates before and after. The first fill the budget for further attempts.
const SOME: usize = 500;
const DECISIONS: &str = r#"candeliver_decisions_total{verdict="DELIVERABLE",reason="ALLOWED"}"#;

async fn a_rolling_restart_of_both_services_fails_no_call(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let mut products = start_products(&product_database).await;
    let Some(name) = Headless::name("product-headless", products.endpoints()) else { return };
    let mut deliveries = start_deliveries(&delivery_database, name, products.port()).await;
    let shop = stock(&products).await;
    let callers = Callers::crowd_of_ready(deliveries.endpoints(), &shop).await;
    let mut answered = callers.create(SOME).await;

    let before = addresses(&[&products, &deliveries]);
    let rolling = async {
        products.roll().await;
        // Those who call Product know its pods by name alone.
        each_has_decided(&products).await;
        deliveries.roll().await;
    };
    let ((), during) = callers.create_during(rolling).await;
    println!("{} creates while all were replaced", during.len());
    answered.extend(during);
    answered.extend(callers.create(SOME).await);

    assert_all_ok(&answered);
    assert!(before.is_disjoint(&addresses(&[&products, &deliveries])), "each was replaced");
    let sent = answered.iter().map(|answered| id_of(&answered.order)).collect();
    all_are_stored_and_checked(&deliveries, &sent).await;
}

async fn start_products(database: &Throwaway) -> Deployment {
    let timing = Timing::of_product();
    Deployment::start(Template {
        command: Box::new(|| Command::new(binaries::path("product"))),
        flags: flags(database, timing, &[]),
        service: services::PRODUCT_SERVICE,
        timing,
    })
    .await
}

async fn start_deliveries(database: &Throwaway, product: Headless, port: u16) -> Deployment {
    let timing = Timing::of_delivery();
    Deployment::start(Template {
        flags: flags(database, timing, &["--product-url", &product.url(port)]),
        command: Box::new(move || product.command("delivery")),
        service: services::DELIVERY_SERVICE,
        timing,
    })
    .await
}

fn flags(database: &Throwaway, timing: Timing, more: &[&str]) -> Vec<String> {
    let (url, drain) = (database.url(), timing.drain.as_secs().to_string());
    let common = ["--database-url", &url, "--drain-seconds", &drain];
    common.iter().chain(more).map(ToString::to_string).collect()
}

/// Imports through one; all the others have read it then.
async fn stock(products: &Deployment) -> Shop {
    let shop = open_shop(products.services().next().expect("there are some")).await;
    for product in products.services() {
        catalogue::until_stocked(product, &shop).await;
    }
    shop
}

fn addresses(deployments: &[&Deployment]) -> BTreeSet<SocketAddr> {
    deployments.iter().flat_map(|deployment| deployment.services()).map(|service| service.address).collect()
}

async fn each_has_decided(products: &Deployment) {
    for page in products.pages() {
        eventually("it is found and asked", async || match metrics::value(page, DECISIONS).await {
            Some(1..) => Ok(()),
            other => Err(other),
        })
        .await;
    }
}

async fn all_are_stored_and_checked(deployment: &Deployment, sent: &BTreeSet<String>) {
    let delivery = deployment.services().next().expect("there are some");
    let stored = deliveries::all(delivery).await;
    println!("{} were sent, {} are stored", sent.len(), stored.len());
    let ids: BTreeSet<_> = stored.iter().map(|delivery| delivery.delivery_id.clone()).collect();
    assert_eq!(&ids, sent);
    for delivery in stored {
        let checked = (delivery.state(), admission(&delivery).source());
        assert_eq!(checked, (DeliveryState::Confirmed, AdmissionSource::Live), "{delivery:?}");
    }
}
