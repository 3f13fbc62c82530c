//! What the error table says of too little time and of too many calls: the first is an unknown outcome and the same id
//! settles it, the second did nothing; both pass.

use nix::sys::signal::Signal;
use proto::delivery::v1::DeliveryState;
use proto::product::v1 as wire;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::catalogue::{id, open_shop, product};
use crate::support::databases::{Throwaway, on_both};
use crate::support::operator::WriteLock;
use crate::support::refusal::{Refusal, refused};
use crate::support::{clients, deliveries, eventually, questions, services};

on_both!(
    every_line_about_a_deadline_that_passes_in_product,
    every_line_about_a_deadline_that_passes_in_delivery,
    every_line_about_too_many_calls,
);

/// A deadline that the server keeps and the client does not, so that it is the server's answer that is seen.
const SHORT_CALLS: [&str; 2] = ["--call-timeout-seconds", "1"];
/// Product is waited for as long as its caller waits, in one attempt.
const PATIENT: [&str; 4] = ["--product-timeout-ms", "60000", "--product-attempt-timeout-ms", "60000"];

async fn every_line_about_a_deadline_that_passes_in_product(database: &impl AsyncFn() -> Throwaway) {
    let database = database().await;
    let service = services::product_with(&database.url(), None, &SHORT_CALLS).await;
    let product_id = id();
    let create = wire::CreateProductRequest { product: Some(product(&product_id, "slow", &[])) };
    let mut client = clients::catalogue(&service);

    let lock = WriteLock::take(&database, "catalogue_head").await;
    let too_late = Refusal::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(refused(client.create_product(create.clone()).await), too_late);
    lock.release().await;

    // Whether it was stored is not known: the same again is stored once.
    let again = client.create_product(create).await.expect("writers go on").into_inner();
    assert_eq!(again.product.map(|product| product.version), Some(1));
    assert_eq!(questions::revision(&service).await.expect("the catalogue answers"), again.revision);
}

async fn every_line_about_a_deadline_that_passes_in_delivery(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let flags = [&SHORT_CALLS[..], &PATIENT].concat();
    let delivery = services::delivery_with(&delivery_database.url(), product.address, &flags).await;
    let shop = open_shop(&product).await;
    let mut client = clients::delivery(&delivery);
    let too_late = Refusal::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");

    let order = deliveries::order(&shop.milk, &shop.city);
    let lock = WriteLock::take(&delivery_database, "deliveries").await;
    assert_eq!(refused(client.create_delivery(order.clone()).await), too_late);
    lock.release().await;
    let created = deliveries::create(&delivery, &order).await.expect("writers go on");
    assert_eq!(deliveries::stored_ids(&delivery).await, [created.delivery_id]);

    // Product has a minute and the caller a second: it is the caller's time that is over, under either policy.
    product.signal(Signal::SIGSTOP);
    for order in
        [deliveries::order(&shop.milk, &shop.city), deliveries::deferrable_order(&shop.milk, &shop.city)]
    {
        let outcome = client.create_delivery(order.clone()).await;
        match order.admission_policy() {
            proto::delivery::v1::AdmissionPolicy::Defer => {
                let stored = outcome.expect("DEFER keeps some time to store it").into_inner().delivery;
                assert_eq!(stored.map(|stored| stored.state()), Some(DeliveryState::Pending));
            }
            _ => assert_eq!(refused(outcome), too_late),
        }
    }
    product.signal(Signal::SIGCONT);
    let order = deliveries::order(&shop.milk, &shop.city);
    eventually("Product answers in time again", async || deliveries::create(&delivery, &order).await).await;
}

async fn every_line_about_too_many_calls(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let one_call = ["--max-calls-in-flight", "1"];
    let product = services::product_with(&product_database.url(), None, &one_call).await;
    let shop = open_shop(&product).await;
    let flags = [&one_call[..], &PATIENT].concat();
    let delivery = services::delivery_with(&delivery_database.url(), product.address, &flags).await;
    let overloaded = Refusal::new(Code::ResourceExhausted, "OVERLOADED").retry();

    // Product's one call is a stream that stays open.
    let watch = async || clients::product(&product).watch_changes(wire::WatchChangesRequest::default()).await;
    let watching = eventually("the import's call is over", watch).await;
    let question = wire::CanDeliverRequest {
        product_id: shop.milk.clone(),
        location_id: shop.city.clone(),
        ..Default::default()
    };
    assert_eq!(refused(clients::product(&product).can_deliver(question).await), overloaded);
    let health = clients::health(&product, "").await.expect("health is not counted");
    assert_eq!(health, ServingStatus::Serving);
    drop(watching);
    let ask = async || questions::decide(&product, &shop.milk, &shop.city, None).await;
    eventually("Product has time again", ask).await;

    // Delivery's one call waits for Product.
    product.signal(Signal::SIGSTOP);
    let order = deliveries::order(&shop.milk, &shop.city);
    let first = eventually("the first call is taken", async || deliveries::create(&delivery, &order).await);
    let second = async {
        let delivery_id = deliveries::id_of(&order);
        let refusal = eventually("the first call is under way", async || {
            let missing = deliveries::get(&delivery, &delivery_id).await.expect_err("nothing is stored");
            if missing.code() == Code::NotFound { Err(missing) } else { Ok(Refusal::of(&missing)) }
        })
        .await;
        product.signal(Signal::SIGCONT);
        refusal
    };
    let (created, refusal) = tokio::join!(first, second);
    assert_eq!(refusal, overloaded);
    let read = async || deliveries::get(&delivery, &created.delivery_id).await;
    assert_eq!(eventually("Delivery has time again", read).await, created);
}
