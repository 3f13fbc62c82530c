//! What stories ask of Product, and the changes they make to see the answer change.

use proto::product::v1 as wire;
use tonic::Status;

use super::catalogue::product;
use super::clients;
use super::process::Service;

/// Asks for one unit, now, at least as fresh as a token if there is one.
pub async fn decide(
    service: &Service,
    product_id: &str,
    location_id: &str,
    min_revision: Option<&str>,
) -> Result<wire::Decision, Status> {
    let request = wire::CanDeliverRequest {
        product_id: product_id.to_owned(),
        location_id: location_id.to_owned(),
        min_revision: min_revision.map(str::to_owned),
        ..Default::default()
    };
    let answer = clients::product(service).can_deliver(request).await?;
    Ok(answer.into_inner().decision.expect("always present"))
}

/// The token of the newest revision that a process has.
pub async fn revision(service: &Service) -> Result<String, Status> {
    let nothing = wire::BatchCanDeliverRequest::default();
    Ok(clients::product(service).batch_can_deliver(nothing).await?.into_inner().revision)
}

/// Creates an active product and gives back the token of the write.
pub async fn create_product(service: &Service, product_id: &str, name: &str) -> Result<String, Status> {
    let request = wire::CreateProductRequest { product: Some(product(product_id, name, &[])) };
    Ok(clients::catalogue(service).create_product(request).await?.into_inner().revision)
}

/// Suspends a product, or takes it back into use, from the version that was read; gives back the token of the write.
pub async fn set_state(
    service: &Service,
    product_id: &str,
    version: u32,
    state: wire::State,
) -> Result<String, Status> {
    let product = wire::Product {
        product_id: product_id.to_owned(),
        version,
        state: state.into(),
        ..Default::default()
    };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["state".to_owned()] });
    let request = wire::UpdateProductRequest { product: Some(product), update_mask };
    Ok(clients::catalogue(service).update_product(request).await?.into_inner().revision)
}

/// A token of the same epoch that no catalogue in these stories ever comes to. A token ends with its revision as eight
/// big-endian bytes, in base64: raising one of the leading zeros takes it far ahead.
pub fn far_ahead(token: &str) -> String {
    const LEADING_ZERO: usize = 26;
    assert_eq!(&token[LEADING_ZERO..=LEADING_ZERO], "A", "a small revision has zeros there");
    format!("{}B{}", &token[..LEADING_ZERO], &token[LEADING_ZERO + 1..])
}
