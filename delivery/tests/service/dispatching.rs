//! DispatchDelivery: an old decision is asked for again, and without a new yes nothing leaves the house.

use std::time::Duration;

use delivery::Rules;
use proto::delivery::v1::{AdmissionPolicy, DeliveryState};
use tonic::Code;

use crate::databases::on_each_database;
use crate::fake_product::{FakeProduct, Says, nobody};
use crate::house::{House, assert_failed, metadata, retry_after, rules, wanted};

/// Under these every decision is old.
fn always_recheck() -> Rules {
    Rules { recheck_after: Duration::ZERO, ..rules() }
}

#[test]
fn a_young_decision_is_not_asked_for_again() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, rules());
        let confirmed = house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();
        product.says(Says::No);
        let dispatched = house.dispatch(&confirmed.delivery_id, confirmed.version).await.unwrap();
        assert_eq!((dispatched.state(), dispatched.version), (DeliveryState::Dispatched, 2));
        assert_eq!(dispatched.admission, confirmed.admission);
        assert_eq!(product.asked().len(), 1);
        house.close().await;
    });
}

#[test]
fn an_old_decision_is_asked_for_again_and_a_new_yes_takes_its_place() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, always_recheck());
        let confirmed = house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();
        let dispatched = house.dispatch(&confirmed.delivery_id, 0).await.unwrap();
        assert_eq!(dispatched.state(), DeliveryState::Dispatched);
        assert_ne!(dispatched.admission.unwrap().check_time, confirmed.admission.unwrap().check_time);

        // Repeated, it is neither asked for nor changed again.
        product.says(Says::No);
        let again = house.dispatch(&confirmed.delivery_id, 1).await.unwrap();
        assert_eq!(again.version, 2);
        assert_eq!(product.asked().len(), 2);
        house.close().await;
    });
}

#[test]
fn without_a_new_yes_nothing_leaves_the_house() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, always_recheck());
        let confirmed = house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();

        product.says(Says::No);
        let refused = house.dispatch(&confirmed.delivery_id, 0).await.unwrap_err();
        assert_failed(&refused, Code::FailedPrecondition, "NOT_DELIVERABLE");
        assert_eq!(metadata(&refused, "verdict_reason").as_deref(), Some("DENIED"));

        product.says(Says::Nothing);
        let refused = house.dispatch(&confirmed.delivery_id, 0).await.unwrap_err();
        assert_failed(&refused, Code::Unavailable, "PRODUCT_UNAVAILABLE");
        assert!(retry_after(&refused).is_some());

        assert_eq!(house.get(&confirmed.delivery_id).await.unwrap(), confirmed);
        house.close().await;
    });
}

#[test]
fn what_can_not_be_dispatched_anyway_is_not_asked_about() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, always_recheck());
        let confirmed = house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();
        let stale = house.dispatch(&confirmed.delivery_id, 7).await.unwrap_err();
        assert_failed(&stale, Code::Aborted, "VERSION_MISMATCH");
        assert_eq!(product.asked().len(), 1);
        house.close().await;
    });
}

#[test]
fn what_waits_for_product_can_not_be_dispatched() {
    on_each_database(|store| async move {
        let mut house = House::open(&store, nobody(), always_recheck());
        let waiting = house.create(&wanted(AdmissionPolicy::Defer)).await.unwrap();
        let refused = house.dispatch(&waiting.delivery_id, 0).await.unwrap_err();
        assert_failed(&refused, Code::FailedPrecondition, "INVALID_STATE");
        assert_eq!(metadata(&refused, "state").as_deref(), Some("PENDING"));
        house.close().await;
    });
}
