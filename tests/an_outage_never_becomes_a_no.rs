//! What nobody could say before verify_by is EXPIRED, which is not REJECTED: it has no verdict, and it stays so even when
//! Product is back.

use proto::delivery::v1 as wire;
use tonic::Code;
use wire::DeliveryState;

use crate::support::catalogue::open_shop;
use crate::support::databases::{Throwaway, on_both};
use crate::support::deliveries::instant;
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::refusal::{Refusal, refused};
use crate::support::{clients, deliveries, services};

on_both!(an_outage_never_becomes_a_no);

async fn an_outage_never_becomes_a_no(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let flags = ["--verify-within-seconds", "1"];
    let delivery = services::delivery_with(&delivery_database.url(), product.address, &flags).await;
    let shop = open_shop(&product).await;

    let outage = Outage::kill(product);
    let late = deliveries::deferrable_order(&shop.milk, &shop.city);
    let waiting = deliveries::create(&delivery, &late).await.expect("DEFER takes it");
    assert_eq!(waiting.state(), DeliveryState::Pending);
    let expired = eventually("its time is over", async || {
        let stored = deliveries::get(&delivery, &waiting.delivery_id).await.expect("it is stored");
        if stored.state() == DeliveryState::Pending { Err(stored) } else { Ok(stored) }
    })
    .await;
    assert_eq!(expired.state(), DeliveryState::Expired);
    assert_eq!(expired.admission, waiting.admission, "no verdict, no reason, and verify_by is kept");
    assert!(instant(expired.update_time) >= instant(deliveries::admission(&expired).verify_by));

    let _product = outage.end(&product_database).await;
    let next = deliveries::order(&shop.milk, &shop.city);
    eventually("Delivery finds Product again", async || deliveries::create(&delivery, &next).await).await;
    assert_eq!(deliveries::get(&delivery, &waiting.delivery_id).await.expect("it is stored"), expired);
    let dispatch = wire::DispatchDeliveryRequest { delivery_id: waiting.delivery_id.clone(), version: 0 };
    let never = Refusal::new(Code::FailedPrecondition, "INVALID_STATE").metadata("state", "EXPIRED");
    assert_eq!(refused(clients::delivery(&delivery).dispatch_delivery(dispatch).await), never);
}
