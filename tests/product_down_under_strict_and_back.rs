//! Under STRICT a silent Product is an error that says when to come again; nothing is stored, and once Product is back the
//! same request succeeds.

use std::time::{Duration, Instant};

use proto::delivery::v1::{AdmissionSource, DeliveryState};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::catalogue::open_shop;
use crate::support::databases::{Throwaway, on_both};
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::process::Service;
use crate::support::refusal::refused;
use crate::support::silence::{ONE_ATTEMPT, after_one_attempt};
use crate::support::{clients, deliveries, services};

on_both!(product_killed_under_strict_and_back, product_stopped_under_strict_and_back);

const PRODUCT_TIMEOUT: Duration = Duration::from_millis(300);
/// An answer that takes longer than this waited for more than Product's timeout, busy machine or not.
const TOO_LATE: Duration = Duration::from_secs(10);

async fn product_killed_under_strict_and_back(database: &impl AsyncFn() -> Throwaway) {
    product_down_under_strict_and_back(database, Outage::kill).await;
}

async fn product_stopped_under_strict_and_back(database: &impl AsyncFn() -> Throwaway) {
    product_down_under_strict_and_back(database, Outage::stop).await;
}

async fn product_down_under_strict_and_back(
    database: &impl AsyncFn() -> Throwaway,
    begin: impl Fn(Service) -> Outage,
) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let timeout_ms = PRODUCT_TIMEOUT.as_millis().to_string();
    let flags = [&["--product-timeout-ms", &timeout_ms], &ONE_ATTEMPT[..]].concat();
    let delivery = services::delivery_with(&delivery_database.url(), product.address, &flags).await;
    let shop = open_shop(&product).await;
    let before = deliveries::create(&delivery, &deliveries::order(&shop.milk, &shop.city)).await;
    let before = before.expect("Product is up").delivery_id;

    let outage = begin(product);
    let silent = after_one_attempt();
    let orders = [&shop.city, &shop.island].map(|location_id| deliveries::order(&shop.milk, location_id));
    for order in &orders {
        let asked = Instant::now();
        let refusal = refused(clients::delivery(&delivery).create_delivery(order.clone()).await);
        assert_eq!(refusal, silent, "the same for what would be a yes and what would be a no");
        assert!(asked.elapsed() < TOO_LATE, "{:?}", asked.elapsed());
        let nowhere =
            deliveries::get(&delivery, &deliveries::id_of(order)).await.expect_err("nothing is stored");
        assert_eq!(nowhere.code(), Code::NotFound);
    }
    assert_eq!(deliveries::stored_ids(&delivery).await, std::slice::from_ref(&before));
    let health = clients::health(&delivery, "").await.expect("health answers");
    assert_eq!(health, ServingStatus::Serving, "readiness never depends on Product");

    let _product = outage.end(&product_database).await;
    let [wanted, unwanted] = &orders;
    let created =
        eventually("the same request succeeds", async || deliveries::create(&delivery, wanted).await).await;
    assert_eq!(created.state(), DeliveryState::Confirmed);
    assert_eq!(deliveries::admission(&created).source(), AdmissionSource::Live);
    let no = refused(clients::delivery(&delivery).create_delivery(unwanted.clone()).await);
    assert_ne!(no, silent);
    assert_eq!(deliveries::stored_ids(&delivery).await, [deliveries::id_of(wanted), before]);
}
