//! Whatever floods a Product, it stays small, answers others meanwhile, and is as it was when that is over.

use std::time::Duration;

use proto::product::v1 as wire;

use crate::support::attack::floods::FLOODS;
use crate::support::catalogue::{Shop, open_shop};
use crate::support::databases::Throwaway;
use crate::support::process::Service;
use crate::support::{clients, eventually, services};

/// Questions of another client while a flood lasts.
const QUESTIONS: usize = 100;
const CAN_DELIVER: &str = "/candeliver.product.v1.ProductService/CanDeliver";
/// What a process may hold through all of it, in KiB.
const MAX_RESIDENT_KIB: u64 = 64 * 1024;
/// Longer than any of the hundred takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_leave_product_small_and_well() {
    let database = Throwaway::sqlite();
    let product = services::product(&database).await;
    let shop = open_shop(&product).await;
    let mut client = clients::product(&product);
    let before = resident_kib(&product, "VmRSS");
    for flood in FLOODS {
        let raging: Vec<_> = (0..flood.attackers)
            .map(|_| tokio::spawn(flood.rage(product.address, CAN_DELIVER.to_owned())))
            .collect();
        for _ in 0..QUESTIONS {
            let answer = tokio::time::timeout(PATIENCE, client.can_deliver(question(&shop))).await;
            let answer = answer.unwrap_or_else(|_| panic!("no answer through {}", flood.name));
            answer.unwrap_or_else(|status| panic!("through {}: {status:?}", flood.name));
        }
        raging.iter().for_each(tokio::task::JoinHandle::abort);
        let peak = resident_kib(&product, "VmHWM");
        println!("{}: {} KiB now, {peak} KiB at most", flood.name, resident_kib(&product, "VmRSS"));
        assert!(peak <= MAX_RESIDENT_KIB, "{}: {peak} KiB, and {before} before all", flood.name);
    }
    eventually("the connections of the flood are gone", async || {
        let answer = clients::product(&product).can_deliver(question(&shop)).await;
        answer.map(drop).map_err(|status| status.code())
    })
    .await;
    assert!(!product.log().contains("\"ERROR\""), "nothing went wrong inside");
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
