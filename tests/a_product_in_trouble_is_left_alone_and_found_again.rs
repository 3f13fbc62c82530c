//! A Product that does not answer is soon asked no more: callers are told so at once, with when to come again, and only
//! probes reach it. When it answers again they find it within a second.

use std::time::{Duration, Instant};

use tonic::Code;

use crate::support::callers::{Answered, Callers, assert_all_ok};
use crate::support::catalogue::Shop;
use crate::support::databases::Throwaway;
use crate::support::faults::Fault;
use crate::support::fragile::{Fragile, Trouble};
use crate::support::gateway::SECRET;
use crate::support::silence::Silence;
use crate::support::{deliveries, eventually, services};

/// The least time between two probes of a breaker that has been open for some seconds: a second, less a fifth of jitter.
const BETWEEN_PROBES: Duration = Duration::from_millis(800);
/// Before that they come after 100, 200, 400 and 800 ms.
const EARLY_PROBES: u32 = 4;
/// What is promised is a second; a busy machine may take some more.
const GENEROUS: Duration = Duration::from_secs(10);
/// Calls while it is left alone, over a second or two.
const CALLS: usize = 400;

#[tokio::test]
async fn a_killed_product_is_left_alone_and_found_again() {
    left_alone_and_found_again(Trouble::Killed).await;
}

#[tokio::test]
async fn a_stopped_product_is_left_alone_and_found_again() {
    left_alone_and_found_again(Trouble::Stopped).await;
}

#[tokio::test]
async fn a_slow_product_is_left_alone_and_found_again() {
    left_alone_and_found_again(Trouble::SLOW).await;
}

#[tokio::test]
async fn a_throttled_product_is_left_alone_and_found_again() {
    left_alone_and_found_again(Trouble::TRICKLE).await;
}

#[tokio::test]
async fn a_product_in_a_black_hole_is_left_alone_and_found_again() {
    left_alone_and_found_again(Trouble::Network(Fault::BlackHole)).await;
}

#[tokio::test]
async fn a_product_whose_connections_are_reset_is_left_alone_and_found_again() {
    left_alone_and_found_again(Trouble::Network(Fault::Reset)).await;
}

#[tokio::test]
async fn a_product_that_is_cut_off_is_left_alone_and_found_again() {
    left_alone_and_found_again(Trouble::Network(Fault::Cut)).await;
}

#[tokio::test]
async fn a_product_that_answers_errors_is_left_alone_and_found_again() {
    left_alone_and_found_again(Trouble::failing(Code::Internal)).await;
}

#[tokio::test]
async fn a_product_that_is_not_ready_is_left_alone_and_found_again() {
    left_alone_and_found_again(Trouble::NOT_READY).await;
}

#[tokio::test]
async fn a_product_that_lets_nobody_in_is_left_alone_and_found_again() {
    left_alone_and_found_again(Trouble::failing(Code::PermissionDenied)).await;
}

async fn left_alone_and_found_again(trouble: Trouble) {
    let (shop, database) = (Shop::plan(), Throwaway::sqlite());
    let mut product = Fragile::start(Throwaway::sqlite(), &shop, trouble).await;
    let delivery = services::delivery_with(&database.url(), product.address(), &[]).await;
    let callers = Callers::of(&delivery, &shop).await;
    assert_all_ok(&callers.create(4).await);

    product.begin();
    let began = Instant::now();
    let mut before = Vec::new();
    eventually("the breaker opens", async || {
        before.extend(callers.create(4).await);
        let at_once = |answered: &Answered| !answered.is_ok() && Silence::of(&answered.status).is_at_once();
        if before.iter().any(at_once) { Ok(()) } else { Err(before.len()) }
    })
    .await;
    println!("{trouble:?}: left alone after {} calls, {:?}", before.len(), began.elapsed());

    let began = Instant::now();
    let alone = callers.create(CALLS).await;
    // A probe may even be answered, if the trouble is that answers are slow.
    let is_probe = |answered: &&Answered| answered.is_ok() || Silence::of(&answered.status).attempts > 0;
    let probes = alone.iter().filter(is_probe).count();
    let most = EARLY_PROBES + began.elapsed().div_duration_f64(BETWEEN_PROBES).ceil() as u32;
    println!("{trouble:?}: {probes} of {CALLS} calls reached it in {:?}", began.elapsed());
    assert!(probes <= most as usize, "{probes} of {CALLS} calls reached it, {most} would be probes");
    for answered in before.iter().chain(&alone).filter(|answered| !answered.is_ok()).take(CALLS / 10) {
        assert!(!format!("{:?}", answered.status).contains(SECRET), "{:?}", answered.status);
        let nowhere = deliveries::get(&delivery, &deliveries::id_of(&answered.order)).await;
        assert_eq!(nowhere.expect_err("nothing is stored").code(), Code::NotFound);
    }

    product.end().await;
    let ended = Instant::now();
    eventually("it is found again", async || {
        let answered = callers.create(4).await;
        if answered.iter().all(Answered::is_ok) { Ok(()) } else { Err(answered) }
    })
    .await;
    println!("{trouble:?}: found again after {:?}", ended.elapsed());
    assert!(ended.elapsed() < GENEROUS, "{:?}", ended.elapsed());
    assert_all_ok(&callers.create(CALLS).await);
}
