//! Health on the wire: what probes, load balancers and clients that watch are told.

use tonic::{Code, Request, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::harness::{Client, Wire, refusal, soon};

const SCRIPT: &str = "test.Script";
const LIVENESS: &str = chassis::health::LIVENESS;

async fn check(client: &Client, service: &str) -> Result<ServingStatus, tonic::Status> {
    let mut health = HealthClient::with_origin(client.service(), Client::origin());
    let request = Request::new(HealthCheckRequest { service: service.to_owned() });
    health.check(request).await.map(|response| response.get_ref().status())
}

async fn watch(client: &Client, service: &str) -> Streaming<HealthCheckResponse> {
    let mut health = HealthClient::with_origin(client.service(), Client::origin());
    let request = Request::new(HealthCheckRequest { service: service.to_owned() });
    health.watch(request).await.unwrap().into_inner()
}

async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    soon(watch.message()).await.unwrap().map(|response| response.status())
}

#[tokio::test]
async fn the_whole_serves_while_every_service_does() {
    let wire = Wire::new();
    let client = wire.client().await;
    for name in ["", SCRIPT] {
        assert_eq!(check(&client, name).await.unwrap(), ServingStatus::NotServing, "{name} before it is set");
    }
    assert_eq!(check(&client, LIVENESS).await.unwrap(), ServingStatus::Serving);
    wire.health.set(SCRIPT, true);
    for name in ["", SCRIPT] {
        assert_eq!(check(&client, name).await.unwrap(), ServingStatus::Serving, "{name}");
    }
    wire.health.set(SCRIPT, false);
    assert_eq!(check(&client, "").await.unwrap(), ServingStatus::NotServing);
}

#[tokio::test]
async fn a_check_of_an_unknown_service_is_not_found() {
    let wire = Wire::new();
    let status = check(&wire.client().await, "test.Other").await.unwrap_err();
    assert_eq!(refusal(&status), (Code::NotFound, "SERVICE_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn a_watch_tells_each_change_and_ends_with_not_serving_when_the_drain_starts() {
    let wire = Wire::new();
    let mut states = watch(&wire.client().await, SCRIPT).await;
    assert_eq!(next(&mut states).await, Some(ServingStatus::NotServing));
    wire.health.set(SCRIPT, true);
    assert_eq!(next(&mut states).await, Some(ServingStatus::Serving));
    wire.end();
    assert_eq!(next(&mut states).await, Some(ServingStatus::NotServing));
    assert_eq!(next(&mut states).await, None);
    soon(wire.serving).await.unwrap();
}

#[tokio::test]
async fn a_watch_of_an_unknown_service_says_so_and_stays_open_until_the_drain() {
    let wire = Wire::new();
    let mut states = watch(&wire.client().await, "test.Other").await;
    assert_eq!(next(&mut states).await, Some(ServingStatus::ServiceUnknown));
    wire.end();
    assert_eq!(next(&mut states).await, None);
}

#[tokio::test]
async fn a_draining_server_is_alive_but_serves_nothing_more() {
    let wire = Wire::new();
    wire.health.set(SCRIPT, true);
    let client = wire.client().await;
    let mut liveness = watch(&client, LIVENESS).await;
    wire.health.drain();
    wire.health.set(SCRIPT, true);
    assert_eq!(check(&client, SCRIPT).await.unwrap(), ServingStatus::NotServing);
    assert_eq!(check(&client, "").await.unwrap(), ServingStatus::NotServing);
    assert_eq!(check(&client, LIVENESS).await.unwrap(), ServingStatus::Serving);
    assert_eq!(next(&mut liveness).await, Some(ServingStatus::Serving));
}
