//! What Product says no to is not stored, and what it says yes to is stored with the evidence.

use proto::delivery::v1 as wire;
use tonic::Code;

use crate::support::catalogue::open_shop;
use crate::support::clients;
use crate::support::databases::{Throwaway, on_both};
use crate::support::process::Service;

on_both!(a_delivery_needs_a_deliverable_product);

async fn a_delivery_needs_a_deliverable_product(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = Service::start("product", None, &["--database-url", &product_database.url()]).await;
    let product_url = product.url();
    let arguments = ["--database-url", &delivery_database.url(), "--product-url", &product_url];
    let delivery = Service::start("delivery", None, &arguments).await;
    let shop = open_shop(&product).await;
    let mut client = clients::delivery(&delivery);

    let create = |product_id: &str, location_id: &str| wire::CreateDeliveryRequest {
        product_id: product_id.to_owned(),
        location_id: location_id.to_owned(),
        ..Default::default()
    };
    let stored = client.create_delivery(create(&shop.milk, &shop.city)).await.expect("milk goes to the city");
    let stored = stored.into_inner().delivery.expect("always present");
    assert_eq!(stored.state(), wire::DeliveryState::Confirmed);
    let admission = stored.admission.expect("always present");
    assert_eq!(admission.verdict(), wire::Verdict::Deliverable);
    assert_eq!(admission.source(), wire::AdmissionSource::Live);
    assert_eq!((admission.reason.as_str(), &admission.revision), ("ALLOWED", &shop.revision));
    assert_eq!(admission.deciding_rules.len(), 1);

    let refused = client
        .create_delivery(create(&shop.milk, &shop.island))
        .await
        .expect_err("milk stays off the island");
    assert_eq!(clients::code_and_reason(&refused), (Code::FailedPrecondition, "NOT_DELIVERABLE".to_owned()));
    let listed =
        client.list_deliveries(wire::ListDeliveriesRequest::default()).await.expect("deliveries are listed");
    let listed: Vec<_> =
        listed.into_inner().deliveries.into_iter().map(|delivery| delivery.delivery_id).collect();
    assert_eq!(listed, [stored.delivery_id], "nothing was stored for the no");
}
