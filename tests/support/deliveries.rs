//! What stories ask of Delivery.

use proto::delivery::v1 as wire;
use tonic::Status;

use super::catalogue::id;
use super::clients;
use super::process::Service;

/// A create of one unit under a fresh id of the caller's own.
pub fn order(product_id: &str, location_id: &str) -> wire::CreateDeliveryRequest {
    wire::CreateDeliveryRequest {
        delivery_id: Some(id()),
        product_id: product_id.to_owned(),
        location_id: location_id.to_owned(),
        ..Default::default()
    }
}

/// The same with the policy DEFER.
pub fn deferrable_order(product_id: &str, location_id: &str) -> wire::CreateDeliveryRequest {
    wire::CreateDeliveryRequest {
        admission_policy: wire::AdmissionPolicy::Defer.into(),
        ..order(product_id, location_id)
    }
}

/// The id that the caller chose.
pub fn id_of(order: &wire::CreateDeliveryRequest) -> String {
    order.delivery_id.clone().expect("orders in stories have ids")
}

/// Creates a delivery.
pub async fn create(
    service: &Service,
    order: &wire::CreateDeliveryRequest,
) -> Result<wire::Delivery, Status> {
    let created = clients::delivery(service).create_delivery(order.clone()).await?;
    Ok(created.into_inner().delivery.expect("always present"))
}

/// Reads a delivery.
pub async fn get(service: &Service, delivery_id: &str) -> Result<wire::Delivery, Status> {
    let request = wire::GetDeliveryRequest { delivery_id: delivery_id.to_owned() };
    Ok(clients::delivery(service).get_delivery(request).await?.into_inner().delivery.expect("always present"))
}

/// Dispatches a delivery, whichever its version is.
pub async fn dispatch(service: &Service, delivery_id: &str) -> Result<wire::Delivery, Status> {
    let request = wire::DispatchDeliveryRequest { delivery_id: delivery_id.to_owned(), version: 0 };
    Ok(clients::delivery(service)
        .dispatch_delivery(request)
        .await?
        .into_inner()
        .delivery
        .expect("always present"))
}

/// The ids of all deliveries, newest first.
pub async fn stored_ids(service: &Service) -> Vec<String> {
    let all = wire::ListDeliveriesRequest { page_size: 1_000, ..Default::default() };
    let page =
        clients::delivery(service).list_deliveries(all).await.expect("deliveries are listed").into_inner();
    assert_eq!(page.next_page_token, "", "all fit on one page");
    page.deliveries.into_iter().map(|delivery| delivery.delivery_id).collect()
}

/// All deliveries, newest first.
pub async fn all(service: &Service) -> Vec<wire::Delivery> {
    let mut request = wire::ListDeliveriesRequest { page_size: 1_000, ..Default::default() };
    let mut found = Vec::new();
    loop {
        let page = clients::delivery(service).list_deliveries(request.clone()).await.expect("a page");
        let page = page.into_inner();
        found.extend(page.deliveries);
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

/// How a delivery's references were checked.
pub fn admission(delivery: &wire::Delivery) -> &wire::Admission {
    delivery.admission.as_ref().expect("always present")
}

/// A time that must be there, as something that can be compared.
pub fn instant(time: Option<prost_types::Timestamp>) -> (i64, i32) {
    let time = time.expect("the time is there");
    (time.seconds, time.nanos)
}
