//! Of three Products one may be gone, hang, be slow, fail or be lost behind the network: those who order notice nothing.
//! When it is well again it does its part, and, if need be, all of the work.

use futures_util::future::join_all;
use tonic::Code;

use crate::support::callers::{Answered, Callers, assert_all_ok};
use crate::support::catalogue::Shop;
use crate::support::databases::Throwaway;
use crate::support::faults::Fault;
use crate::support::fragile::{Fragile, Trouble};
use crate::support::{eventually, services};

/// Calls while all is well: they fill the budget for further attempts.
const WARM_UP: usize = 300;
/// Calls while one is in trouble, over some seconds.
const CALLS: usize = 800;

#[tokio::test]
async fn one_killed_product_of_three_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::Killed).await;
}

#[tokio::test]
async fn one_stopped_product_of_three_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::Stopped).await;
}

#[tokio::test]
async fn one_slow_product_of_three_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::SLOW).await;
}

#[tokio::test]
async fn one_throttled_product_of_three_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::TRICKLE).await;
}

#[tokio::test]
async fn one_product_of_three_in_a_black_hole_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::Network(Fault::BlackHole)).await;
}

#[tokio::test]
async fn one_product_of_three_whose_connections_are_reset_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::Network(Fault::Reset)).await;
}

#[tokio::test]
async fn one_product_of_three_that_is_cut_off_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::Network(Fault::Cut)).await;
}

#[tokio::test]
async fn one_product_of_three_that_is_not_ready_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::NOT_READY).await;
}

#[tokio::test]
async fn one_overloaded_product_of_three_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::OVERLOADED).await;
}

#[tokio::test]
async fn one_product_of_three_that_is_unavailable_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::failing(Code::Unavailable)).await;
}

#[tokio::test]
async fn one_product_of_three_that_lets_nobody_in_is_not_noticed() {
    one_of_three_is_not_noticed(Trouble::failing(Code::PermissionDenied)).await;
}

async fn one_of_three_is_not_noticed(trouble: Trouble) {
    let (shop, database) = (Shop::plan(), Throwaway::sqlite());
    let [mut fragile, mut second, mut third] = [
        Fragile::start(Throwaway::sqlite(), &shop, trouble).await,
        Fragile::start(Throwaway::sqlite(), &shop, Trouble::Killed).await,
        Fragile::start(Throwaway::sqlite(), &shop, Trouble::Killed).await,
    ];
    let products = [fragile.address(), second.address(), third.address()];
    let delivery = services::delivery_of(&database.url(), &products, &[]).await;
    let callers = Callers::of(&delivery, &shop).await;
    assert_all_ok(&callers.create(WARM_UP).await);

    fragile.begin();
    assert_all_ok(&callers.create(CALLS).await);

    let ((), during) = callers.create_during(fragile.end()).await;
    assert_all_ok(&during);
    assert_all_ok(&callers.create(CALLS).await);

    second.begin();
    third.begin();
    eventually("it does all of the work", async || {
        let answered = callers.create(20).await;
        if answered.iter().all(Answered::is_ok) { Ok(()) } else { Err(answered) }
    })
    .await;
    join_all([&mut second, &mut third].map(Fragile::end)).await;
    assert_all_ok(&callers.create(20).await);
}
