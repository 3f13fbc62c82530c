//! A process that is told to end says so, takes nothing new, lets running calls finish, and ends with 0 within its drain
//! time, whatever its clients do.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use proto::delivery::v1 as delivery_wire;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::product::v1 as wire;
use proto::product::v1::import_row::Row;
use proto::product::v1::product_service_client::ProductServiceClient;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::catalogue::{Shop, id, import, open_shop, product};
use crate::support::clients::{self, code_and_reason};
use crate::support::databases::{Throwaway, on_both};
use crate::support::process::Service;
use crate::support::rude::{NeverReads, Silent};
use crate::support::{deliveries, eventually, questions, services};

type ProductClient = ProductServiceClient<Channel>;
type DeliveryClient = DeliveryServiceClient<Channel>;

/// Far more than the calls here need to finish.
const LONG_DRAIN: Duration = Duration::from_secs(15);
/// What a process may need after its drain: to cut what is left, and to close its database.
const TO_CLOSE: Duration = Duration::from_secs(6);
/// What a call here waits for before it gives up by itself.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

on_both!(
    sigterm_lets_product_finish_what_clients_wait_for,
    sigterm_lets_delivery_finish_what_clients_wait_for,
    sigterm_cuts_what_never_ends_in_product,
    sigterm_cuts_what_never_ends_in_delivery,
    sigterm_cuts_who_never_reads,
);

async fn sigterm_lets_product_finish_what_clients_wait_for(database: &impl AsyncFn() -> Throwaway) {
    let database = database().await;
    let drain = LONG_DRAIN.as_secs().to_string();
    let mut product = services::product_with(&database.url(), None, &["--drain-seconds", &drain]).await;
    let shop = open_shop(&product).await;

    let mut health = watch_health(&product).await;
    let (chunks, mut answers) = open_import(&product).await;
    let mut changes = watch_changes(&product).await;
    let client = clients::product(&product);
    let mut waiting = pin!(wait_for_a_revision(client.clone(), &shop, CALL_TIMEOUT));
    begin(&mut waiting, ask_for_the_revision(client)).await;
    let silent = [Silent::connect(product.address).await, Silent::connect_and_begin(product.address).await];

    let told = Instant::now();
    product.signal(Signal::SIGTERM);
    says_not_serving_and_ends(&mut health).await;
    let ended = changes.message().await.expect_err("a watch does not outlive its process");
    assert_eq!(code_and_reason(&ended), (Code::Unavailable, "DRAINING".to_owned()));
    let ended = answers.message().await.expect_err("an import does not either");
    assert_eq!(code_and_reason(&ended), (Code::Unavailable, "DRAINING".to_owned()));
    for connection in silent {
        connection.ended().await;
    }
    until_refused(&product).await;
    // The call that waits is not cut: it ends as it would have.
    let unreached = waiting.await.expect_err("nobody writes");
    assert_eq!(code_and_reason(&unreached), (Code::FailedPrecondition, "REVISION_NOT_REACHED".to_owned()));
    drop(chunks);
    assert_eq!(product.ended().await.code(), Some(0));
    assert!(told.elapsed() < LONG_DRAIN, "{:?}", told.elapsed());
    assert_eq!(product.calls_cut(), 0);
}

async fn sigterm_lets_delivery_finish_what_clients_wait_for(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let shop = open_shop(&product).await;
    let (drain, timeout) = (LONG_DRAIN.as_secs().to_string(), CALL_TIMEOUT.as_millis().to_string());
    let flags = ["--drain-seconds", &drain, "--product-timeout-ms", &timeout];
    let mut delivery = services::delivery_with(&delivery_database.url(), product.address, &flags).await;

    let mut health = watch_health(&delivery).await;
    product.signal(Signal::SIGSTOP);
    let client = clients::delivery(&delivery);
    let mut waiting = pin!(order(client.clone(), &shop));
    begin(&mut waiting, list_deliveries(client)).await;
    let silent = [Silent::connect(delivery.address).await, Silent::connect_and_begin(delivery.address).await];

    let told = Instant::now();
    delivery.signal(Signal::SIGTERM);
    says_not_serving_and_ends(&mut health).await;
    for connection in silent {
        connection.ended().await;
    }
    until_refused(&delivery).await;
    let unanswered = waiting.await.expect_err("Product hangs");
    assert_eq!(code_and_reason(&unanswered), (Code::Unavailable, "PRODUCT_UNAVAILABLE".to_owned()));
    assert_eq!(delivery.ended().await.code(), Some(0));
    assert!(told.elapsed() < LONG_DRAIN, "{:?}", told.elapsed());
    assert_eq!(delivery.calls_cut(), 0);
}

async fn sigterm_cuts_what_never_ends_in_product(database: &impl AsyncFn() -> Throwaway) {
    let database = database().await;
    let mut product = services::product_with(&database.url(), None, &["--drain-seconds", "1"]).await;
    let shop = open_shop(&product).await;
    let client = clients::product(&product);
    let mut waiting = pin!(wait_for_a_revision(client.clone(), &shop, Duration::from_secs(60)));
    begin(&mut waiting, ask_for_the_revision(client)).await;

    let told = Instant::now();
    product.signal(Signal::SIGTERM);
    is_cut(waiting.await);
    ended_after_a_drain_of_one_second(&mut product, told).await;
    assert_eq!(product.calls_cut(), 1);
}

async fn sigterm_cuts_who_never_reads(database: &impl AsyncFn() -> Throwaway) {
    let database = database().await;
    let mut product = services::product_with(&database.url(), None, &["--drain-seconds", "1"]).await;
    let name = "x".repeat(200);
    import(&product, (0..1_000).map(|_| Row::Product(self::product(&id(), &name, &[]))).collect()).await;
    let path = "/candeliver.product.v1.ProductService/WatchChanges";
    let everything = wire::WatchChangesRequest::default();
    let _never_reads = NeverReads::connect(product.address, path, &everything).await;

    let told = Instant::now();
    product.signal(Signal::SIGTERM);
    ended_after_a_drain_of_one_second(&mut product, told).await;
}

async fn sigterm_cuts_what_never_ends_in_delivery(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let shop = open_shop(&product).await;
    let patience = ["--product-timeout-ms", "60000", "--product-attempt-timeout-ms", "60000"];
    let flags = [&["--drain-seconds", "1"], &patience[..]].concat();
    let mut delivery = services::delivery_with(&delivery_database.url(), product.address, &flags).await;
    product.signal(Signal::SIGSTOP);
    let client = clients::delivery(&delivery);
    let mut waiting = pin!(order(client.clone(), &shop));
    begin(&mut waiting, list_deliveries(client)).await;

    let told = Instant::now();
    delivery.signal(Signal::SIGTERM);
    is_cut(waiting.await);
    ended_after_a_drain_of_one_second(&mut delivery, told).await;
    assert_eq!(delivery.calls_cut(), 1);
}

// Calls that are under way when the signal comes.

/// Waits for a revision that never comes, as long as the caller gives it.
async fn wait_for_a_revision(
    mut client: ProductClient,
    shop: &Shop,
    timeout: Duration,
) -> Result<(), Status> {
    let mut request = Request::new(wire::CanDeliverRequest {
        product_id: shop.milk.clone(),
        location_id: shop.city.clone(),
        min_revision: Some(questions::far_ahead(&shop.revision)),
        ..Default::default()
    });
    request.set_timeout(timeout);
    client.can_deliver(request).await.map(drop)
}

async fn ask_for_the_revision(mut client: ProductClient) -> Result<(), Status> {
    client.batch_can_deliver(wire::BatchCanDeliverRequest::default()).await.map(drop)
}

async fn order(mut client: DeliveryClient, shop: &Shop) -> Result<(), Status> {
    client.create_delivery(deliveries::order(&shop.rock, &shop.city)).await.map(drop)
}

async fn list_deliveries(mut client: DeliveryClient) -> Result<(), Status> {
    client.list_deliveries(delivery_wire::ListDeliveriesRequest::default()).await.map(drop)
}

/// Sends a call that waits, then another on the same connection: when that is answered, the first is being worked on.
async fn begin(
    waiting: &mut (impl Future<Output = Result<(), Status>> + Unpin),
    another: impl Future<Output = Result<(), Status>>,
) {
    tokio::select! {
        biased;
        early = waiting => panic!("it was to wait: {early:?}"),
        answered = another => answered.expect("an answer"),
    }
}

async fn watch_health(service: &Service) -> Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest { service: String::new() };
    let watch = HealthClient::new(clients::channel(service)).watch(request).await;
    let mut states = watch.expect("a watch starts").into_inner();
    let first = states.message().await.expect("a state").expect("the watch goes on");
    assert_eq!(first.status(), ServingStatus::Serving);
    states
}

/// A watch that has come to its first checkpoint.
async fn watch_changes(product: &Service) -> Streaming<wire::WatchChangesResponse> {
    let watch = clients::product(product).watch_changes(wire::WatchChangesRequest::default()).await;
    let mut messages = watch.expect("a watch starts").into_inner();
    let first = messages.message().await.expect("changes").expect("the watch goes on");
    assert!(first.checkpoint.is_some(), "a small catalogue is one message");
    messages
}

/// An import with one chunk stored, and no end.
async fn open_import(
    product: &Service,
) -> (mpsc::Sender<wire::ImportCatalogueRequest>, Streaming<wire::ImportCatalogueResponse>) {
    let (chunks, received) = mpsc::channel(1);
    let row = wire::ImportRow { row: Some(Row::Product(self::product(&id(), "cheese", &[]))) };
    let chunk = wire::ImportCatalogueRequest { rows: vec![row], validate_only: false };
    chunks.send(chunk).await.expect("room for a chunk");
    let import = clients::catalogue(product).import_catalogue(ReceiverStream::new(received)).await;
    let mut answers = import.expect("an import starts").into_inner();
    let answer = answers.message().await.expect("an answer").expect("the import goes on");
    assert_eq!(answer.created, 1);
    (chunks, answers)
}

// What clients see of the end.

async fn says_not_serving_and_ends(health: &mut Streaming<HealthCheckResponse>) {
    let last = health.message().await.expect("a state").expect("the last word comes before the end");
    assert_eq!(last.status(), ServingStatus::NotServing);
    assert_eq!(health.message().await.expect("the watch ends as it should"), None);
}

async fn until_refused(service: &Service) {
    eventually("the door is closed", async || match TcpStream::connect(service.address).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// The connection went away under the call: no answer, and nothing that looks like one.
fn is_cut(outcome: Result<(), Status>) {
    let status = outcome.expect_err("it never ends");
    assert!(matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{status:?}");
}

/// Not sooner, or nothing had to be cut.
async fn ended_after_a_drain_of_one_second(service: &mut Service, told: Instant) {
    let drain = Duration::from_secs(1);
    assert_eq!(service.ended().await.code(), Some(0));
    // The last part of a drain is kept for what comes after the calls.
    assert!((drain / 2..drain + TO_CLOSE).contains(&told.elapsed()), "{:?}", told.elapsed());
}
