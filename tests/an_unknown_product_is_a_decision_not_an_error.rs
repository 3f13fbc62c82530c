//! Unknown is not No by accident and not an error: "no such product" and "no such location" are decisions, with a reason.

use proto::delivery::v1::DeliveryState;
use proto::product::v1 as wire;
use tonic::Code;
use wire::{Reason, Verdict};

use crate::support::catalogue::{id, open_shop};
use crate::support::databases::{Throwaway, on_both};
use crate::support::refusal::{Refusal, refused};
use crate::support::{clients, deliveries, questions, services};

on_both!(an_unknown_product_is_a_decision_not_an_error);

async fn an_unknown_product_is_a_decision_not_an_error(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let delivery = services::delivery(&delivery_database, product.address).await;
    let shop = open_shop(&product).await;
    let nothing = id();
    let unknown = [
        (&nothing, &shop.city, Reason::ProductUnknown, "PRODUCT_UNKNOWN"),
        (&shop.milk, &nothing, Reason::LocationUnknown, "LOCATION_UNKNOWN"),
        // The product is looked at first.
        (&nothing, &nothing, Reason::ProductUnknown, "PRODUCT_UNKNOWN"),
    ];

    for (product_id, location_id, reason, reason_name) in unknown {
        let decision = questions::decide(&product, product_id, location_id, None).await.expect("a decision");
        assert_eq!((decision.verdict(), decision.reason()), (Verdict::NotDeliverable, reason));
        assert_eq!((&decision.revision, decision.deciding_rules.len()), (&shop.revision, 0));

        for order in [
            deliveries::order(product_id, location_id),
            deliveries::deferrable_order(product_id, location_id),
        ] {
            let refusal = Refusal::new(Code::FailedPrecondition, "NOT_DELIVERABLE")
                .metadata("verdict_reason", reason_name)
                .metadata("revision", &shop.revision)
                .metadata("rule_ids", "");
            assert_eq!(refused(clients::delivery(&delivery).create_delivery(order).await), refusal);
        }
    }
    assert_eq!(deliveries::stored_ids(&delivery).await, [""; 0], "nothing was stored for a no");

    let item = |product_id: &str, location_id: &str, correlation_id: &str| wire::BatchItem {
        correlation_id: correlation_id.to_owned(),
        product_id: product_id.to_owned(),
        location_id: location_id.to_owned(),
        quantity: None,
    };
    let items = vec![
        item(&nothing, &shop.city, "a"),
        item(&shop.milk, &shop.city, "b"),
        item(&shop.milk, &nothing, "c"),
    ];
    let batch = wire::BatchCanDeliverRequest { items, min_revision: None };
    let answered = clients::product(&product).batch_can_deliver(batch).await.expect("decisions").into_inner();
    let reasons = answered.results.iter().map(|result| {
        let decision = result.decision.as_ref().expect("always present");
        (result.correlation_id.as_str(), decision.reason())
    });
    let wanted = [("a", Reason::ProductUnknown), ("b", Reason::Allowed), ("c", Reason::LocationUnknown)];
    assert!(reasons.eq(wanted), "one unknown item leaves the others as they are: {answered:?}");

    // What was unknown becomes known: the id was never refused as such.
    let order = deliveries::order(&nothing, &shop.city);
    let revision = questions::create_product(&product, &nothing, "novelty").await.expect("the id is free");
    let order = proto::delivery::v1::CreateDeliveryRequest { min_revision: Some(revision), ..order };
    let created = deliveries::create(&delivery, &order).await.expect("the product is known now");
    assert_eq!(created.state(), DeliveryState::Confirmed);
}
