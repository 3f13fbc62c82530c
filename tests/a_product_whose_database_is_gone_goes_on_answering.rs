//! A Product that lost its database goes on answering CanDeliver at the revision it has, and takes the database up again
//! when it is back, without a restart.
//!
//! On PostgreSQL the database is taken away, or falls silent on a connection that stays open. An open SQLite file can't
//! be taken away: a process keeps what it has open, wherever the name has gone. What is taken away there is the right to
//! write.

use std::time::Duration;

use chassis::clock;
use proto::product::v1 as wire;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::catalogue::{Shop, id, open_shop};
use crate::support::clients::{self, code_and_reason};
use crate::support::databases::Throwaway;
use crate::support::operator::{self, WriteLock};
use crate::support::process::Service;
use crate::support::proxy::Proxy;
use crate::support::{eventually, questions, services};

/// What the follower says once when it loses its database: from then on as_of_time can't move.
const LOST: &str = "the database is silent; the catalogue stays as it is";
/// Several of the follower's looks at its database.
const LONG_ENOUGH: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_product_whose_postgres_is_gone_goes_on_answering() {
    let Some(database) = Throwaway::postgres().await else { return };
    let product = services::product(&database).await;
    let shop = open_shop(&product).await;

    operator::take_away(&database).await;
    until_lost(&product).await;
    assert_eq!(unavailable(write(&product).await), "STORE_UNAVAILABLE");
    assert_eq!(unavailable(read(&product, &shop).await), "STORE_UNAVAILABLE");
    answers_from_what_it_has(&product, &shop).await;

    operator::give_back(&database).await;
    writes_again(&product, &shop).await;
}

#[tokio::test]
async fn a_product_whose_postgres_falls_silent_goes_on_answering() {
    let Some(database) = Throwaway::postgres().await else { return };
    let proxy = Proxy::start(database.url()).await;
    let product = services::product_with(proxy.url(), None, &[]).await;
    let shop = open_shop(&product).await;

    proxy.fall_silent();
    until_lost(&product).await;
    answers_from_what_it_has(&product, &shop).await;

    // New connections work; those of before stay silent, as after the other end's machine was lost.
    proxy.speak_again();
    writes_again(&product, &shop).await;
}

#[tokio::test]
async fn a_product_whose_postgres_falls_silent_within_a_read_goes_on_answering() {
    let Some(database) = Throwaway::postgres().await else { return };
    let proxy = Proxy::start(database.url()).await;
    let product = services::product_with(proxy.url(), None, &[]).await;
    let shop = open_shop(&product).await;

    // No other answer ever comes to what the follower has just asked.
    proxy.fall_silent_within_a_read().await;
    until_lost(&product).await;
    answers_from_what_it_has(&product, &shop).await;

    proxy.speak_again();
    writes_again(&product, &shop).await;
}

#[tokio::test]
async fn a_product_whose_sqlite_file_is_locked_goes_on_answering() {
    let database = Throwaway::sqlite();
    let product = services::product(&database).await;
    let shop = open_shop(&product).await;

    let lock = WriteLock::take(&database, "products").await;
    assert_eq!(unavailable(write(&product).await), "STORE_UNAVAILABLE");
    answers(&product, &shop).await;
    read(&product, &shop).await.expect("reading needs no lock");

    lock.release().await;
    writes_again(&product, &shop).await;
}

async fn until_lost(product: &Service) {
    let told = async || product.log().contains(LOST).then_some(()).ok_or("the follower goes on");
    eventually("the follower loses its database", told).await;
}

/// One answer: the shop's, at the shop's revision. Gives back the instant that it says it is as of.
async fn answers(product: &Service, shop: &Shop) -> i64 {
    let yes =
        questions::decide(product, &shop.milk, &shop.city, Some(&shop.revision)).await.expect("a decision");
    assert_eq!((yes.reason(), &yes.revision), (wire::Reason::Allowed, &shop.revision));
    let no = questions::decide(product, &shop.milk, &shop.island, None).await.expect("a decision");
    assert_eq!((no.reason(), &no.revision), (wire::Reason::Denied, &shop.revision));
    assert_eq!(clients::health(product, "").await.expect("health answers"), ServingStatus::Serving);
    let as_of = no.as_of_time.expect("always present");
    as_of.seconds * 1_000_000 + i64::from(as_of.nanos) / 1_000
}

/// Answers go on while the time that they are as of stands still.
async fn answers_from_what_it_has(product: &Service, shop: &Shop) {
    let as_of = answers(product, shop).await;
    let long_enough = i64::try_from(LONG_ENOUGH.as_micros()).expect("seconds");
    eventually("the answer is old", async || {
        assert_eq!(answers(product, shop).await, as_of, "nobody has seen the database since");
        let age = clock::unix_micros() - as_of;
        if age > long_enough { Ok(()) } else { Err(age) }
    })
    .await;
}

/// Writes work, and are seen by who asks for their revision; the answer is as of now again.
async fn writes_again(product: &Service, shop: &Shop) {
    let before = answers(product, shop).await;
    let revision = eventually("a write works", async || {
        let outcome = write(product).await;
        outcome.inspect_err(|status| assert_eq!(status.code(), Code::Unavailable, "{status:?}"))
    })
    .await;
    assert_ne!(revision, shop.revision);
    let decision =
        questions::decide(product, &shop.milk, &shop.city, Some(&revision)).await.expect("it is read");
    assert_eq!((decision.reason(), &decision.revision), (wire::Reason::Allowed, &revision));
    let as_of = decision.as_of_time.expect("always present");
    assert!(as_of.seconds * 1_000_000 + i64::from(as_of.nanos) / 1_000 > before);
    read(product, shop).await.expect("reads work");
}

async fn write(product: &Service) -> Result<String, Status> {
    questions::create_product(product, &id(), "cheese").await
}

async fn read(product: &Service, shop: &Shop) -> Result<(), Status> {
    let request = wire::GetProductRequest { product_id: shop.milk.clone() };
    clients::product(product).get_product(request).await.map(drop)
}

/// The reason of an error that must be UNAVAILABLE.
fn unavailable<T: std::fmt::Debug>(outcome: Result<T, Status>) -> String {
    let (code, reason) = code_and_reason(&outcome.expect_err("the database is away"));
    assert_eq!(code, Code::Unavailable);
    reason
}
