//! A Product that comes and goes every second makes nobody wait in vain: each call is answered in time, with what it asked
//! for or with when to come again, and when Product stays it is found.

use std::time::Duration;

use tokio::time::interval;
use tonic::Code;

use crate::support::callers::{Answered, Callers, assert_all_ok};
use crate::support::catalogue::Shop;
use crate::support::databases::Throwaway;
use crate::support::faults::{Fault, Faults};
use crate::support::silence::Silence;
use crate::support::{catalogue, deliveries, eventually, services};

const TURN: Duration = Duration::from_secs(1);
/// Times that it goes, and comes back.
const TURNS: usize = 3;

#[tokio::test]
async fn a_product_that_is_cut_off_every_other_second_harms_nobody() {
    a_flapping_product_harms_nobody(Fault::Cut).await;
}

#[tokio::test]
async fn a_product_that_is_reset_every_other_second_harms_nobody() {
    a_flapping_product_harms_nobody(Fault::Reset).await;
}

#[tokio::test]
async fn a_product_that_is_silent_every_other_second_harms_nobody() {
    a_flapping_product_harms_nobody(Fault::BlackHole).await;
}

async fn a_flapping_product_harms_nobody(fault: Fault) {
    let (shop, product_database, database) = (Shop::plan(), Throwaway::sqlite(), Throwaway::sqlite());
    let product = services::product(&product_database).await;
    catalogue::stock(&product, &shop).await;
    let faults = Faults::in_front_of(product.address);
    let delivery = services::delivery_with(&database.url(), faults.address, &[]).await;
    let callers = Callers::of(&delivery, &shop).await;
    assert_all_ok(&callers.create(4).await);

    let flap = async {
        let mut turns = interval(TURN);
        // The first tick comes at once.
        turns.tick().await;
        for _ in 0..TURNS {
            faults.begin(fault);
            turns.tick().await;
            faults.heal();
            turns.tick().await;
        }
    };
    let ((), answered) = callers.create_during(flap).await;
    let (created, refused): (Vec<_>, Vec<_>) = answered.iter().partition(|answered| answered.is_ok());
    println!("{fault:?}: {} were created, {} refused", created.len(), refused.len());
    assert!(!created.is_empty() && !refused.is_empty());
    for refused in &refused {
        Silence::of(&refused.status);
    }

    eventually("it is found again", async || {
        let answered = callers.create(4).await;
        if answered.iter().all(Answered::is_ok) { Ok(()) } else { Err(answered) }
    })
    .await;
    for created in created {
        deliveries::get(&delivery, &deliveries::id_of(&created.order)).await.expect("it is stored");
    }
    for refused in refused {
        let nowhere = deliveries::get(&delivery, &deliveries::id_of(&refused.order)).await;
        assert_eq!(nowhere.expect_err("nothing is stored").code(), Code::NotFound);
    }
}
