//! Deliveries to test with, and instants counted in seconds from a fixed one.

use std::time::Duration;

use chassis::deadline::Deadline;
use deliverability::{LocationId, ProductId, Quantity, RuleId, RuleRef, Timestamp, Verdict};
use delivery::domain::{Delivery, DeliveryId, Evidence, ExternalReference, Order, RevisionToken, Source};
use delivery::store::{Created, Store};
use uuid::Uuid;

/// More than any test stores.
pub const NO_BOUND: u32 = 1_000_000;

/// An instant in 2026.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros((1_790_000_000 + seconds) * 1_000_000).unwrap()
}

pub fn product(number: u128) -> ProductId {
    ProductId::from_uuid(Uuid::from_u128(0xA000 + number)).unwrap()
}

pub fn location(number: u128) -> LocationId {
    LocationId::from_uuid(Uuid::from_u128(0xB000 + number)).unwrap()
}

pub fn order() -> Order {
    Order {
        product: product(1),
        location: location(1),
        quantity: Quantity::new(3).unwrap(),
        external_reference: Some(ExternalReference::parse("order-1").unwrap()),
    }
}

pub fn evidence(verdict: Verdict, source: Source) -> Evidence {
    let rule = |number| RuleRef { id: RuleId::from_uuid(Uuid::from_u128(number)).unwrap(), version: 2 };
    Evidence {
        verdict,
        reason: if verdict == Verdict::Deliverable { "ALLOWED" } else { "DENIED" }.to_owned(),
        source,
        revision: RevisionToken::parse("r-7").unwrap(),
        check_time: at(0),
        deciding_rules: vec![rule(1), rule(2)],
    }
}

pub fn confirmed(create_time: Timestamp) -> Delivery {
    Delivery::confirmed(
        DeliveryId::fresh(),
        order(),
        evidence(Verdict::Deliverable, Source::Live),
        create_time,
    )
}

/// Waits for Product until 100 seconds after the fixed instant.
pub fn pending(create_time: Timestamp) -> Delivery {
    Delivery::pending(DeliveryId::fresh(), order(), None, at(100), create_time)
}

/// A deadline that no test reaches.
pub fn in_time() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// Stores a delivery, which works.
pub async fn stored(store: &Store, delivery: Delivery) -> Delivery {
    let created = store.create(delivery.clone(), None, NO_BOUND, in_time()).await.unwrap();
    assert_eq!(created, Created::Stored(delivery.clone()));
    delivery
}
