//! What becomes of units of work when PostgreSQL falls silent on their connection, as after its machine was lost: they end, so
//! does the connection, and its place is another's. In these tests the pool has one place.

use std::time::Duration;

use chassis::database::StoreError;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::cutting_proxy::{CuttingProxy, From};
use crate::losing::behind_a_proxy_on;
use crate::samples::{at, confirmed, stored};
use delivery::store::Store;

/// What the server says to a COMMIT, and what a client says at the end of each of its turns.
const COMMITTED: &[u8] = b"COMMIT";
const SYNC: &[u8] = b"S\0\0\0\x04";
/// What a connection is asked that was not used for a while.
const TEST: &[u8] = b"pg_is_in_recovery";
/// A little more than a unit of work may take, and than an idle connection may.
const UNIT: Duration = Duration::from_secs(13);
const ANSWER: Duration = Duration::from_millis(1_100);
/// Far less than the system's own time for a silent connection.
const SOON: Duration = Duration::from_secs(2);

/// On one thread, so that its clock can be moved.
fn with_a_clock<F: Future<Output = ()>>(test: impl FnOnce(Store, CuttingProxy) -> F) {
    behind_a_proxy_on(Builder::new_current_thread().enable_all().build().unwrap(), test);
}

/// Lets time pass once the connection is silent.
async fn pass(proxy: &CuttingProxy, time: Duration) {
    while !proxy.has_cut() {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[test]
fn a_unit_of_work_whose_connection_falls_silent_ends_and_the_next_goes_well() {
    with_a_clock(|store, proxy| async move {
        proxy.silence_at(From::Server, COMMITTED);
        let verifier = store.clone();
        let claimed = tokio::spawn(async move { verifier.claim(1, at(30), at(0)).await });
        pass(&proxy, UNIT).await;
        let claimed = timeout(SOON, claimed).await.unwrap().unwrap();
        assert!(matches!(claimed, Err(StoreError::Silent(_))), "{claimed:?}");
        let again = timeout(SOON, store.claim(1, at(31), at(1))).await.unwrap();
        assert_eq!(again.unwrap(), []);
    });
}

#[test]
fn a_connection_that_falls_silent_as_it_is_given_back_ends() {
    with_a_clock(|store, proxy| async move {
        store.probe().await.unwrap();
        // It is being asked whether it is fit to be given back.
        proxy.silence_at(From::Client, SYNC);
        pass(&proxy, ANSWER).await;
        timeout(SOON, store.probe()).await.unwrap().unwrap();
    });
}

#[test]
fn a_unit_of_work_that_finds_an_idle_connection_silent_is_done_on_another() {
    with_a_clock(|store, proxy| async move {
        let delivery = stored(&store, confirmed(at(0))).await;
        // As if another had just been found dead: this one is tested.
        store.database().weigh(&StoreError::timed_out());
        proxy.silence_at(From::Server, TEST);
        let reader = store.clone();
        let expired = tokio::spawn(async move { reader.expire(1, at(0)).await });
        pass(&proxy, ANSWER).await;
        assert_eq!(timeout(SOON, expired).await.unwrap().unwrap().unwrap(), 0);
        assert_eq!(store.get(delivery.id).await.unwrap(), Some(delivery));
    });
}
