//! What the metrics pages count is what happened: each decision, each create by what came of it, and what waits for a Product
//! that is away, until it is back.

use std::net::SocketAddr;

use crate::support::catalogue::open_shop;
use crate::support::databases::{Throwaway, on_both};
use crate::support::outage::Outage;
use crate::support::refusal::refused;
use crate::support::{clients, deliveries, eventually, metrics, services};

on_both!(the_pages_tell_what_was_decided_admitted_and_deferred);

async fn the_pages_tell_what_was_decided_admitted_and_deferred(database: &impl AsyncFn() -> Throwaway) {
    let databases = [database().await, database().await];
    let [(product, product_page), (delivery, delivery_page)] = services::both_with_pages(&databases).await;
    let shop = open_shop(&product).await;
    let page = delivery_page.address;

    let good = deliveries::order(&shop.milk, &shop.city);
    for _ in 0..2 {
        deliveries::create(&delivery, &good).await.expect("it is deliverable");
    }
    let bad = deliveries::deferrable_order(&shop.milk, &shop.island);
    refused(clients::delivery(&delivery).create_delivery(bad).await);
    told(page, "admissions_total", &[r#"policy="STRICT",source="LIVE",outcome="CONFIRMED""#], 1).await;
    told(page, "admissions_total", &[r#"policy="STRICT",source="NONE",outcome="REPEATED""#], 1).await;
    told(page, "admissions_total", &[r#"policy="DEFER",source="LIVE",outcome="NOT_DELIVERABLE""#], 1).await;
    let decided = product_page.address;
    told(decided, "decisions_total", &[r#"verdict="DELIVERABLE",reason="ALLOWED""#], 1).await;
    told(decided, "decisions_total", &[r#"verdict="NOT_DELIVERABLE",reason="DENIED""#], 1).await;
    told(decided, "catalogue_objects", &["kind="], 8).await;

    let outage = Outage::kill(product);
    let waiting = deliveries::deferrable_order(&shop.milk, &shop.city);
    deliveries::create(&delivery, &waiting).await.expect("DEFER takes it");
    refused(clients::delivery(&delivery).create_delivery(deliveries::order(&shop.milk, &shop.city)).await);
    told(page, "admissions_total", &[r#"policy="DEFER",source="DEFERRED",outcome="PENDING""#], 1).await;
    told(page, "admissions_total", &[r#"policy="STRICT",source="NONE",outcome="PRODUCT_SILENT""#], 1).await;
    is_waiting(page, 1).await;

    let product = outage.end(&databases[0]).await;
    told(page, "verifier_deliveries_total", &[r#"outcome="CONFIRMED""#], 1).await;
    is_waiting(page, 0).await;
    drop(product);
}

/// Waits until the page tells so many.
async fn told(page: SocketAddr, metric: &str, labels: &[&str], wanted: u64) {
    eventually(metric, async || {
        let told = metrics::sum(page, &format!("candeliver_{metric}"), labels).await;
        if told == wanted { Ok(()) } else { Err(format!("{labels:?} {told}, and {wanted} is wanted")) }
    })
    .await;
}

async fn is_waiting(page: SocketAddr, wanted: u64) {
    eventually("what waits", async || {
        let told = metrics::value(page, "candeliver_pending_deliveries").await;
        if told == Some(wanted) { Ok(()) } else { Err(told) }
    })
    .await;
}
