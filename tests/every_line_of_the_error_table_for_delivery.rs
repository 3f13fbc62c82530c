//! Delivery's lines of the error table, each made to happen: code, reason, and whatever more a program needs to go on.

use proto::delivery::v1 as wire;
use tonic::Code;

use crate::support::catalogue::{Shop, id, open_shop};
use crate::support::databases::{Throwaway, on_both};
use crate::support::process::Service;
use crate::support::refusal::{Refusal, refused};
use crate::support::silence::{ONE_ATTEMPT, after_one_attempt};
use crate::support::{clients, deliveries, questions, services};

on_both!(every_line_of_the_error_table_for_delivery, every_line_about_a_silent_product);

async fn every_line_of_the_error_table_for_delivery(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let delivery = services::delivery(&delivery_database, product.address).await;
    let shop = open_shop(&product).await;
    malformed_requests_name_every_bad_field(&delivery, &shop).await;
    what_is_not_there_is_named(&delivery).await;
    a_no_says_why(&delivery, &shop).await;
    what_is_other_says_so(&delivery, &shop).await;
    a_transition_that_is_not_allowed_names_the_state(&delivery, &shop).await;

    let other_database = database().await;
    let elsewhere = open_shop(&services::product(&other_database).await).await;
    let order = wire::CreateDeliveryRequest {
        min_revision: Some(elsewhere.revision),
        ..deliveries::deferrable_order(&shop.milk, &shop.city)
    };
    let mismatch = Refusal::new(Code::FailedPrecondition, "EPOCH_MISMATCH");
    assert_eq!(refused(clients::delivery(&delivery).create_delivery(order.clone()).await), mismatch);
    let nothing = deliveries::get(&delivery, &deliveries::id_of(&order)).await;
    assert_eq!(nothing.expect_err("nothing was stored").code(), Code::NotFound);
}

async fn malformed_requests_name_every_bad_field(delivery: &Service, shop: &Shop) {
    let mut client = clients::delivery(delivery);
    let malformed = |fields: &[&str]| Refusal::new(Code::InvalidArgument, "INVALID_FIELD").bad_fields(fields);

    let create = wire::CreateDeliveryRequest {
        delivery_id: Some("7".to_owned()),
        product_id: "milk".to_owned(),
        location_id: String::new(),
        quantity: Some(0),
        external_reference: "x".repeat(129),
        admission_policy: 9,
        min_revision: Some("a b".to_owned()),
    };
    let all = malformed(&[
        "delivery_id",
        "product_id",
        "location_id",
        "quantity",
        "external_reference",
        "admission_policy",
        "min_revision",
    ]);
    assert_eq!(refused(client.create_delivery(create).await), all);
    // Only Product can tell that this is no token of its own.
    let no_token = wire::CreateDeliveryRequest {
        min_revision: Some("yesterday".to_owned()),
        ..deliveries::order(&shop.milk, &shop.city)
    };
    assert_eq!(refused(client.create_delivery(no_token).await), malformed(&["min_revision"]));

    let list = wire::ListDeliveriesRequest {
        page_size: 1_001,
        state: 99,
        product_id: Some("milk".to_owned()),
        location_id: Some(String::new()),
        external_reference: "\n".to_owned(),
        page_token: String::new(),
    };
    let all = malformed(&["page_size", "state", "product_id", "location_id", "external_reference"]);
    assert_eq!(refused(client.list_deliveries(list).await), all);
    let list = wire::ListDeliveriesRequest { page_token: "x".to_owned(), ..Default::default() };
    assert_eq!(refused(client.list_deliveries(list).await), malformed(&["page_token"]));

    for refusal in of_each_call_with_an_id(delivery, "7", 0).await {
        assert_eq!(refusal, malformed(&["delivery_id"]));
    }
}

async fn what_is_not_there_is_named(delivery: &Service) {
    let nothing = id();
    let missing = Refusal::new(Code::NotFound, "DELIVERY_NOT_FOUND").resource("delivery", &nothing);
    for refusal in of_each_call_with_an_id(delivery, &nothing, 0).await {
        assert_eq!(refusal, missing);
    }
}

async fn a_no_says_why(delivery: &Service, shop: &Shop) {
    let order = deliveries::order(&shop.milk, &shop.island);
    let refusal = refused(clients::delivery(delivery).create_delivery(order).await);
    let denied = Refusal::new(Code::FailedPrecondition, "NOT_DELIVERABLE")
        .metadata("verdict_reason", "DENIED")
        .metadata("revision", &shop.revision)
        .metadata("rule_ids", &shop.milk_rule);
    assert_eq!(refusal, denied);
}

async fn what_is_other_says_so(delivery: &Service, shop: &Shop) {
    let order = deliveries::order(&shop.rock, &shop.city);
    let stored = deliveries::create(delivery, &order).await.expect("rock goes anywhere");
    let other = wire::CreateDeliveryRequest { quantity: Some(2), ..order };
    let exists =
        Refusal::new(Code::AlreadyExists, "DELIVERY_EXISTS").resource("delivery", &stored.delivery_id);
    assert_eq!(refused(clients::delivery(delivery).create_delivery(other).await), exists);

    let mismatch = Refusal::new(Code::Aborted, "VERSION_MISMATCH").metadata("version", "1");
    let (mut client, delivery_id) = (clients::delivery(delivery), stored.delivery_id);
    let dispatch = wire::DispatchDeliveryRequest { delivery_id: delivery_id.clone(), version: 7 };
    assert_eq!(refused(client.dispatch_delivery(dispatch).await), mismatch);
    let cancel = wire::CancelDeliveryRequest { delivery_id, version: 7 };
    assert_eq!(refused(client.cancel_delivery(cancel).await), mismatch);
}

async fn a_transition_that_is_not_allowed_names_the_state(delivery: &Service, shop: &Shop) {
    let order = deliveries::order(&shop.rock, &shop.city);
    let delivery_id = deliveries::create(delivery, &order).await.expect("rock goes anywhere").delivery_id;
    let is = |state: &str| Refusal::new(Code::FailedPrecondition, "INVALID_STATE").metadata("state", state);
    let mut client = clients::delivery(delivery);

    let complete = wire::CompleteDeliveryRequest { delivery_id: delivery_id.clone(), version: 0 };
    assert_eq!(refused(client.complete_delivery(complete.clone()).await), is("CONFIRMED"));
    let bring_back = wire::ReturnDeliveryRequest { delivery_id: delivery_id.clone(), version: 0 };
    assert_eq!(refused(client.return_delivery(bring_back.clone()).await), is("CONFIRMED"));
    deliveries::dispatch(delivery, &delivery_id).await.expect("it is confirmed");
    let cancel = wire::CancelDeliveryRequest { delivery_id: delivery_id.clone(), version: 0 };
    assert_eq!(refused(client.cancel_delivery(cancel).await), is("DISPATCHED"));
    client.complete_delivery(complete.clone()).await.expect("it is on its way");
    client.complete_delivery(complete).await.expect("the last transition, repeated, is fine");
    assert_eq!(refused(client.return_delivery(bring_back).await), is("DELIVERED"));
    let dispatch = wire::DispatchDeliveryRequest { delivery_id, version: 0 };
    assert_eq!(refused(client.dispatch_delivery(dispatch).await), is("DELIVERED"));
}

async fn every_line_about_a_silent_product(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    // Every decision is old at once, and one delivery may wait.
    let flags = ["--recheck-after-seconds", "0", "--max-pending", "1"];
    let flags = [&flags, &ONE_ATTEMPT[..]].concat();
    let delivery = services::delivery_with(&delivery_database.url(), product.address, &flags).await;
    let shop = open_shop(&product).await;
    let confirmed = deliveries::create(&delivery, &deliveries::order(&shop.milk, &shop.city)).await;
    let confirmed = confirmed.expect("milk goes to the city");
    let mut client = clients::delivery(&delivery);
    let silent = after_one_attempt();

    // A Product that is behind is no answer either.
    let too_fresh = wire::CreateDeliveryRequest {
        min_revision: Some(questions::far_ahead(&shop.revision)),
        ..deliveries::order(&shop.milk, &shop.city)
    };
    assert_eq!(refused(client.create_delivery(too_fresh).await), silent);

    product.kill();
    let order = deliveries::order(&shop.milk, &shop.city);
    assert_eq!(refused(client.create_delivery(order).await), silent);
    let delivery_id = confirmed.delivery_id.clone();
    let dispatch = wire::DispatchDeliveryRequest { delivery_id: delivery_id.clone(), version: 0 };
    assert_eq!(refused(client.dispatch_delivery(dispatch).await), silent);
    assert_eq!(deliveries::get(&delivery, &delivery_id).await.expect("it is stored"), confirmed);

    let waits = deliveries::deferrable_order(&shop.milk, &shop.city);
    deliveries::create(&delivery, &waits).await.expect("one may wait");
    let one_more = deliveries::deferrable_order(&shop.milk, &shop.city);
    let full = Refusal::new(Code::ResourceExhausted, "TOO_MANY_PENDING").retry();
    assert_eq!(refused(client.create_delivery(one_more).await), full);
    assert_eq!(deliveries::stored_ids(&delivery).await, [deliveries::id_of(&waits), delivery_id]);
}

/// What Get and each transition are refused with.
async fn of_each_call_with_an_id(delivery: &Service, delivery_id: &str, version: u32) -> [Refusal; 5] {
    let mut client = clients::delivery(delivery);
    let delivery_id = || delivery_id.to_owned();
    [
        refused(client.get_delivery(wire::GetDeliveryRequest { delivery_id: delivery_id() }).await),
        refused(
            client
                .dispatch_delivery(wire::DispatchDeliveryRequest { delivery_id: delivery_id(), version })
                .await,
        ),
        refused(
            client
                .complete_delivery(wire::CompleteDeliveryRequest { delivery_id: delivery_id(), version })
                .await,
        ),
        refused(
            client.return_delivery(wire::ReturnDeliveryRequest { delivery_id: delivery_id(), version }).await,
        ),
        refused(
            client.cancel_delivery(wire::CancelDeliveryRequest { delivery_id: delivery_id(), version }).await,
        ),
    ]
}
