//! Read your writes: who passes a write's token is answered at that revision or a later one, wherever it asks.

use proto::delivery::v1::CreateDeliveryRequest;
use proto::product::v1 as wire;
use tonic::Code;
use wire::{Reason, State};

use crate::support::catalogue::open_shop;
use crate::support::databases::{Throwaway, on_both};
use crate::support::process::Service;
use crate::support::refusal::{Refusal, refused};
use crate::support::{clients, deliveries, questions, services};

on_both!(a_write_is_read_by_the_next_can_deliver_with_its_token);

/// Enough that an answer from the state before would be among them.
const WRITES: u32 = 20;

async fn a_write_is_read_by_the_next_can_deliver_with_its_token(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let writer = services::product(&product_database).await;
    let reader = services::product(&product_database).await;
    let delivery = services::delivery(&delivery_database, reader.address).await;
    let shop = open_shop(&writer).await;

    for version in 1..=WRITES {
        let (state, reason) = if version % 2 == 1 {
            (State::Suspended, Reason::ProductSuspended)
        } else {
            (State::Active, Reason::Allowed)
        };
        let token = questions::set_state(&writer, &shop.rock, version, state).await.expect("rock changes");
        // The process that wrote has it without being told to wait; another one waits for it.
        for (process, min_revision) in [(&writer, None), (&writer, Some(&token)), (&reader, Some(&token))] {
            let min_revision = min_revision.map(String::as_str);
            let decision =
                questions::decide(process, &shop.rock, &shop.city, min_revision).await.expect("a decision");
            assert_eq!((decision.reason(), &decision.revision), (reason, &token), "after write {version}");
        }
        assert_eq!(batch_reason(&reader, &shop.rock, &shop.city, &token).await, reason);
    }

    // Delivery passes the token on.
    let token =
        questions::set_state(&writer, &shop.rock, WRITES + 1, State::Suspended).await.expect("rock changes");
    let order = CreateDeliveryRequest {
        min_revision: Some(token.clone()),
        ..deliveries::order(&shop.rock, &shop.city)
    };
    let suspended = Refusal::new(Code::FailedPrecondition, "NOT_DELIVERABLE")
        .metadata("verdict_reason", "PRODUCT_SUSPENDED")
        .metadata("revision", &token)
        .metadata("rule_ids", "");
    assert_eq!(refused(clients::delivery(&delivery).create_delivery(order.clone()).await), suspended);
    let token =
        questions::set_state(&writer, &shop.rock, WRITES + 2, State::Active).await.expect("rock changes");
    let order = CreateDeliveryRequest { min_revision: Some(token.clone()), ..order };
    let created = deliveries::create(&delivery, &order).await.expect("rock is back");
    assert_eq!(deliveries::admission(&created).revision, token);
}

async fn batch_reason(process: &Service, product_id: &str, location_id: &str, token: &str) -> Reason {
    let item = wire::BatchItem {
        product_id: product_id.to_owned(),
        location_id: location_id.to_owned(),
        ..Default::default()
    };
    let batch = wire::BatchCanDeliverRequest { items: vec![item], min_revision: Some(token.to_owned()) };
    let answer = clients::product(process).batch_can_deliver(batch).await.expect("a decision").into_inner();
    assert_eq!(answer.revision, token);
    answer.results[0].decision.as_ref().expect("always present").reason()
}
