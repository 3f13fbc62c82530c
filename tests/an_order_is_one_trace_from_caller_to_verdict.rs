//! Whoever looks at one order's trace sees it all: Delivery's call under the caller's span, each attempt at Product with its
//! endpoint, its breaker and what came of it, Product's call under the attempt, and, when Product was silent, the attempt by
//! which the delivery was verified later.

use proto::delivery::v1 as wire;
use tonic::Request;
use wire::DeliveryState;

use crate::support::catalogue::open_shop;
use crate::support::collector::{Collector, Span};
use crate::support::databases::{Throwaway, on_both};
use crate::support::outage::Outage;
use crate::support::process::Service;
use crate::support::{clients, deliveries, eventually, services};

const CREATE: &str = "candeliver.delivery.v1.DeliveryService/CreateDelivery";
const CAN_DELIVER: &str = "candeliver.product.v1.ProductService/CanDeliver";
const BATCH: &str = "candeliver.product.v1.ProductService/BatchCanDeliver";
/// The span that the caller says is its own.
const CALLERS: &str = "00f067aa0ba902b7";
const LIVE: &str = "11111111111111111111111111111111";
const DEFERRED: &str = "22222222222222222222222222222222";
const UNSAMPLED: &str = "33333333333333333333333333333333";

on_both!(an_order_is_one_trace);

async fn an_order_is_one_trace(database: &impl AsyncFn() -> Throwaway) {
    let collector = Collector::start().await;
    let endpoint = collector.endpoint();
    // Of what comes without a trace nothing, so that what is found comes of the caller's word.
    let flags = ["--otlp-endpoint", &endpoint, "--trace-sample-ratio", "0"];
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product_with(&product_database.url(), None, &flags).await;
    let delivery = services::delivery_with(&delivery_database.url(), product.address, &flags).await;
    let shop = open_shop(&product).await;

    create(&delivery, deliveries::order(&shop.milk, &shop.city), UNSAMPLED, "00").await;
    create(&delivery, deliveries::order(&shop.milk, &shop.city), LIVE, "01").await;
    let served = collector.span("delivery", CREATE, LIVE, |_| true).await;
    assert_eq!(served.parent_id(), CALLERS);
    assert_eq!(served.attribute("rpc.response.status_code").as_deref(), Some("OK"));
    let attempt = collector.span("delivery", CAN_DELIVER, LIVE, |_| true).await;
    assert_eq!(attempt.parent_id(), served.span_id());
    assert_attempt(&attempt, "answered", "OK");
    assert_eq!(attempt.attribute("server.port"), Some(product.address.port().to_string()));
    let answered = collector.span("product", CAN_DELIVER, LIVE, |_| true).await;
    assert_eq!(answered.parent_id(), attempt.span_id());

    let outage = Outage::kill(product);
    let order = deliveries::deferrable_order(&shop.milk, &shop.city);
    let waiting = create(&delivery, order.clone(), DEFERRED, "01").await;
    assert_eq!(waiting.state(), DeliveryState::Pending);
    let served = collector.span("delivery", CREATE, DEFERRED, |_| true).await;
    let failed = collector.span("delivery", CAN_DELIVER, DEFERRED, |_| true).await;
    assert_eq!(failed.parent_id(), served.span_id());
    assert_attempt(&failed, "failed", "UNAVAILABLE");

    let product = outage.end(&product_database).await;
    eventually("the verifier asks again", async || {
        let stored = deliveries::get(&delivery, &deliveries::id_of(&order)).await.expect("it is stored");
        if stored.state() == DeliveryState::Confirmed { Ok(()) } else { Err(stored.state()) }
    })
    .await;
    let answered = |span: &Span| span.attribute("rpc.response.status_code").as_deref() == Some("OK");
    let verified = collector.span("delivery", BATCH, DEFERRED, answered).await;
    assert_eq!(verified.parent_id(), served.span_id());
    drop(product);
}

fn assert_attempt(attempt: &Span, outcome: &str, code: &str) {
    assert_eq!(attempt.attribute("candeliver.attempt.outcome").as_deref(), Some(outcome), "{attempt:?}");
    assert_eq!(attempt.attribute("rpc.response.status_code").as_deref(), Some(code), "{attempt:?}");
    assert_eq!(attempt.attribute("candeliver.breaker.state").as_deref(), Some("CLOSED"), "{attempt:?}");
    assert_eq!(attempt.attribute("server.address").as_deref(), Some("127.0.0.1"), "{attempt:?}");
}

async fn create(
    delivery: &Service,
    order: wire::CreateDeliveryRequest,
    trace_id: &str,
    flags: &str,
) -> wire::Delivery {
    let mut request = Request::new(order);
    let traceparent = format!("00-{trace_id}-{CALLERS}-{flags}");
    request.metadata_mut().insert("traceparent", traceparent.parse().expect("ASCII"));
    let created = clients::delivery(delivery).create_delivery(request).await.expect("it can be delivered");
    created.into_inner().delivery.expect("always present")
}
