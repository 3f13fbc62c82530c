//! Clients of the services under test, and what their errors say.

use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::product::v1::catalogue_service_client::CatalogueServiceClient;
use proto::product::v1::product_service_client::ProductServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use super::process::Service;
use super::secured;

/// A lazily connected channel: a service that is away is an error of the call.
pub fn channel(service: &Service) -> Channel {
    let endpoint = Endpoint::from_shared(service.url()).expect("a service's address is a URL");
    match &service.tls {
        None => endpoint.connect_lazy(),
        Some(tls) => secured::channel(&endpoint, tls),
    }
}

/// Asks Product.
pub fn product(service: &Service) -> ProductServiceClient<Channel> {
    ProductServiceClient::new(channel(service))
}

/// Manages the catalogue.
pub fn catalogue(service: &Service) -> CatalogueServiceClient<Channel> {
    CatalogueServiceClient::new(channel(service))
}

/// Asks Delivery.
pub fn delivery(service: &Service) -> DeliveryServiceClient<Channel> {
    DeliveryServiceClient::new(channel(service))
}

/// What health says of a service.
pub async fn health(service: &Service, name: &str) -> Result<ServingStatus, Status> {
    health_over(channel(service), name).await
}

/// The same over a channel.
pub async fn health_over(channel: Channel, name: &str) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest { service: name.to_owned() };
    let response = HealthClient::new(channel).check(request).await?;
    Ok(response.into_inner().status())
}

/// The code and the reason of an error: what every client branches on.
pub fn code_and_reason(status: &Status) -> (Code, String) {
    let info =
        status.get_details_error_info().unwrap_or_else(|| panic!("every error has an ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "candeliver");
    (status.code(), info.reason)
}
