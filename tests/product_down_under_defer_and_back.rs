//! Under DEFER a silent Product means later, not no and not yes: the delivery waits as PENDING, nobody can dispatch it, and
//! once Product is back it becomes what Product says.

use proto::delivery::v1 as wire;
use tonic::Code;
use wire::{AdmissionSource, DeliveryState, Verdict};

use crate::support::catalogue::open_shop;
use crate::support::databases::{Throwaway, on_both};
use crate::support::deliveries::instant;
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::process::Service;
use crate::support::refusal::{Refusal, refused};
use crate::support::{clients, deliveries, services};

on_both!(product_killed_under_defer_and_back, product_stopped_under_defer_and_back);

async fn product_killed_under_defer_and_back(database: &impl AsyncFn() -> Throwaway) {
    product_down_under_defer_and_back(database, Outage::kill).await;
}

async fn product_stopped_under_defer_and_back(database: &impl AsyncFn() -> Throwaway) {
    product_down_under_defer_and_back(database, Outage::stop).await;
}

async fn product_down_under_defer_and_back(
    database: &impl AsyncFn() -> Throwaway,
    begin: impl Fn(Service) -> Outage,
) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let flags = ["--product-timeout-ms", "300"];
    let delivery = services::delivery_with(&delivery_database.url(), product.address, &flags).await;
    let shop = open_shop(&product).await;
    let good = deliveries::deferrable_order(&shop.milk, &shop.city);
    let bad = deliveries::deferrable_order(&shop.milk, &shop.island);
    // Product is up: DEFER is as strict as STRICT.
    let refusal = refused(clients::delivery(&delivery).create_delivery(bad.clone()).await);
    let denied = |refusal: &Refusal| format!("{refusal:?}").contains("NOT_DELIVERABLE");
    assert!(denied(&refusal), "{refusal:?}");

    let outage = begin(product);
    for order in [&good, &bad] {
        let waiting = deliveries::create(&delivery, order).await.expect("DEFER takes it");
        assert_pending(&waiting);
        assert_eq!(deliveries::create(&delivery, order).await.expect("the same again"), waiting);
        let dispatch = wire::DispatchDeliveryRequest { delivery_id: deliveries::id_of(order), version: 0 };
        let not_yet = Refusal::new(Code::FailedPrecondition, "INVALID_STATE").metadata("state", "PENDING");
        assert_eq!(refused(clients::delivery(&delivery).dispatch_delivery(dispatch).await), not_yet);
    }

    let product = outage.end(&product_database).await;
    let confirmed = settled(&delivery, &good).await;
    assert_eq!(confirmed.state(), DeliveryState::Confirmed);
    assert_checked(&confirmed, Verdict::Deliverable, "ALLOWED", &shop.revision);
    let rejected = settled(&delivery, &bad).await;
    assert_eq!(rejected.state(), DeliveryState::Rejected);
    assert_checked(&rejected, Verdict::NotDeliverable, "DENIED", &shop.revision);

    let dispatched = deliveries::dispatch(&delivery, &confirmed.delivery_id).await.expect("it is confirmed");
    assert_eq!(dispatched.state(), DeliveryState::Dispatched);
    let dispatch = wire::DispatchDeliveryRequest { delivery_id: rejected.delivery_id, version: 0 };
    let never = Refusal::new(Code::FailedPrecondition, "INVALID_STATE").metadata("state", "REJECTED");
    assert_eq!(refused(clients::delivery(&delivery).dispatch_delivery(dispatch).await), never);
    drop(product);
}

fn assert_pending(delivery: &wire::Delivery) {
    assert_eq!(delivery.state(), DeliveryState::Pending);
    let admission = deliveries::admission(delivery);
    assert!(instant(admission.verify_by) > instant(delivery.create_time), "{delivery:?}");
    let nothing_yet = wire::Admission { verify_by: admission.verify_by, ..Default::default() };
    assert_eq!(admission, &nothing_yet);
}

fn assert_checked(delivery: &wire::Delivery, verdict: Verdict, reason: &str, revision: &str) {
    let admission = deliveries::admission(delivery);
    assert_eq!((admission.verdict(), admission.reason.as_str()), (verdict, reason));
    assert_eq!((admission.source(), admission.revision.as_str()), (AdmissionSource::Deferred, revision));
    assert!(
        instant(admission.check_time) > instant(delivery.create_time),
        "asked after it was stored: {delivery:?}"
    );
    assert_eq!((admission.verify_by, admission.deciding_rules.len(), delivery.version), (None, 1, 2));
}

async fn settled(delivery: &Service, order: &wire::CreateDeliveryRequest) -> wire::Delivery {
    eventually("the verifier asks again", async || {
        let stored = deliveries::get(delivery, &deliveries::id_of(order)).await.expect("it is stored");
        if stored.state() == DeliveryState::Pending { Err(stored) } else { Ok(stored) }
    })
    .await
}
