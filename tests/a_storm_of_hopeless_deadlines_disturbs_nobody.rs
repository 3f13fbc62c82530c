//! Callers who leave too little time get no answer, and that is all: neither the connections that they share with others
//! nor Product's breaker suffer from what they give up.

use std::time::Duration;

use futures_util::future::join_all;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use crate::support::callers::{Callers, assert_all_ok};
use crate::support::catalogue::Shop;
use crate::support::databases::Throwaway;
use crate::support::faults::{Fault, Faults};
use crate::support::port::Port;
use crate::support::process::Service;
use crate::support::{catalogue, deliveries, metrics, services};

/// What a hopeless caller leaves.
const DEADLINE: Duration = Duration::from_millis(5);
/// How far Product is away, each way: too far for them, and near enough for everybody else.
const AWAY: Duration = Duration::from_millis(10);
/// Hopeless callers at a time: so few that Delivery comes to ask Product for most of them.
const HOPELESS: usize = 16;
/// How often each calls: together more than what anybody's defaults let a connection survive.
const CALLS_EACH: usize = 200;
/// Questions that were given up on their way: as many at least make it a storm.
const STORM: u64 = 1_000;
/// More than there are calls: the storm's own client is not to call what it gives up an error.
const MANY: usize = 100_000;

#[tokio::test]
async fn a_storm_of_hopeless_deadlines_disturbs_nobody() {
    let (shop, product_database, database) = (Shop::plan(), Throwaway::sqlite(), Throwaway::sqlite());
    let product = services::product(&product_database).await;
    catalogue::stock(&product, &shop).await;
    let (faults, page) = (Faults::in_front_of(product.address), Port::reserve());
    // Each question is a stream of its own, which is the worst that a connection can meet.
    let flags = ["--admin-listen", &page.address.to_string(), "--product-batch-max", "1"];
    let delivery = services::delivery_with(&database.url(), faults.address, &flags).await;
    let callers = Callers::of(&delivery, &shop).await;
    faults.begin(Fault::Delay(AWAY));
    assert_all_ok(&callers.create(100).await);
    let connections = faults.taken();

    let storm = channel(&delivery);
    let storm = join_all((0..HOPELESS).map(|_| give_up_often(storm.clone(), &shop)));
    let (_, during) = callers.create_during(storm).await;
    let attempts = "candeliver_product_client_attempts_total";
    let given_up = metrics::sum(page.address, attempts, &["hurried", "cancelled"]).await;
    println!("{given_up} questions were given up, and {} deliveries created meanwhile", during.len());
    assert!(given_up > STORM, "{given_up}");
    assert_all_ok(&during);

    assert_all_ok(&callers.create(100).await);
    assert_eq!(faults.taken(), connections, "Delivery has kept its connections to Product");
    let openings = "candeliver_product_client_breaker_openings_total";
    assert_eq!(metrics::sum(page.address, openings, &["endpoint"]).await, 0);
}

fn channel(delivery: &Service) -> Channel {
    let endpoint = Endpoint::from_shared(delivery.url()).expect("a service's address is a URL");
    endpoint.http2_max_concurrent_reset_streams(MANY).http2_max_local_error_reset_streams(MANY).connect_lazy()
}

async fn give_up_often(channel: Channel, shop: &Shop) {
    let mut client = DeliveryServiceClient::new(channel);
    for _ in 0..CALLS_EACH {
        let mut order = Request::new(deliveries::order(&shop.milk, &shop.city));
        order.set_timeout(DEADLINE);
        let gave_up = client.create_delivery(order).await.expect_err("there is no time for an answer");
        // The client's own timer, or the server's: whichever was faster. Anything else is a lost connection.
        assert!(matches!(gave_up.code(), Code::Cancelled | Code::DeadlineExceeded), "{gave_up:?}");
    }
}
