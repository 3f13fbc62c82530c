//! Whatever floods a service, it stays small, answers others meanwhile, and is as it was when that is over.

use std::time::Duration;

use prost::Message;
use proto::product::v1 as wire;
use tonic::{Code, Status};

use crate::support::attack::floods::{FLOODS, Target};
use crate::support::catalogue::{Shop, open_shop};
use crate::support::databases::Throwaway;
use crate::support::process::Service;
use crate::support::{clients, deliveries, eventually, services};

/// Questions of another client while a flood lasts.
const QUESTIONS: usize = 100;
/// What a process may hold through all of it, in KiB.
const MAX_RESIDENT_KIB: u64 = 64 * 1024;
/// Longer than any of the hundred takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_leave_product_small_and_well() {
    let database = Throwaway::sqlite();
    let product = services::product(&database).await;
    let question = question(&open_shop(&product).await);
    let path = "/candeliver.product.v1.ProductService/CanDeliver".to_owned();
    let target = Target { path, message: question.encode_to_vec() };
    let client = clients::product(&product);
    stays_small_and_well(&product, &target, async || {
        client.clone().can_deliver(question.clone()).await.map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_leave_delivery_small_and_well() {
    let (catalogue, database) = (Throwaway::sqlite(), Throwaway::sqlite());
    let product = services::product(&catalogue).await;
    let shop = open_shop(&product).await;
    let delivery = services::delivery(&database, product.address).await;
    let order = deliveries::order(&shop.rock, &shop.city);
    let path = "/candeliver.delivery.v1.DeliveryService/CreateDelivery".to_owned();
    // Without an id each is one more.
    let attackers_order = proto::delivery::v1::CreateDeliveryRequest { delivery_id: None, ..order };
    let target = Target { path, message: attackers_order.encode_to_vec() };
    let client = clients::delivery(&delivery);
    stays_small_and_well(&delivery, &target, async || {
        client.clone().create_delivery(deliveries::order(&shop.rock, &shop.city)).await.map(drop)
    })
    .await;
}

/// Floods a service with everything there is while another asks it.
async fn stays_small_and_well(service: &Service, target: &Target, ask: impl AsyncFn() -> Result<(), Status>) {
    let before = resident_kib(service, "VmRSS");
    for flood in FLOODS {
        let raging: Vec<_> =
            (0..flood.attackers).map(|_| tokio::spawn(flood.rage(service.address, target.clone()))).collect();
        for _ in 0..QUESTIONS {
            let answer = tokio::time::timeout(PATIENCE, until_there_is_a_place(&ask)).await;
            let answer = answer.unwrap_or_else(|_| panic!("no answer through {}", flood.name));
            answer.unwrap_or_else(|status| panic!("through {}: {status:?}", flood.name));
        }
        raging.iter().for_each(tokio::task::JoinHandle::abort);
        let peak = resident_kib(service, "VmHWM");
        println!("{}: {} KiB now, {peak} KiB at most", flood.name, resident_kib(service, "VmRSS"));
        assert!(peak <= MAX_RESIDENT_KIB, "{}: {peak} KiB, and {before} before all", flood.name);
    }
    eventually("the connections of the flood are gone", async || ask().await.map_err(|status| status.code()))
        .await;
    assert!(!service.log().contains("\"ERROR\""), "nothing went wrong inside");
}

/// Asks again where all places are taken by calls that are at work, here or at Product: two thousand creates at once take a
/// while, and none of them waits in a queue.
async fn until_there_is_a_place(ask: &impl AsyncFn() -> Result<(), Status>) -> Result<(), Status> {
    loop {
        match ask().await {
            Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) => {}
            answer => return answer,
        }
    }
}

fn question(shop: &Shop) -> wire::CanDeliverRequest {
    wire::CanDeliverRequest {
        product_id: shop.rock.clone(),
        location_id: shop.city.clone(),
        ..Default::default()
    }
}

/// A line of what Linux tells of a process's memory.
fn resident_kib(service: &Service, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.process_id())).expect("it runs");
    let value = status.lines().find_map(|told| told.strip_prefix(line)?.strip_prefix(':'));
    let kib = value.and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.unwrap_or_else(|| panic!("{line} is a number of kB"))
}
