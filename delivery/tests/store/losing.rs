//! What callers learn when the connection is lost with their commit: what is true, wherever it can be known.

use std::time::Duration;

use chassis::database::throwaway::Throwaway;
use chassis::database::{self, Database, StoreError};
use chassis::on_database;
use delivery::domain::{Delivery, Order, State, Transition};
use delivery::store::{Created, Store, migrations};
use sqlx::PgPool;
use tokio::runtime::{Builder, Runtime};

use crate::cutting_proxy::{CuttingProxy, From};
use crate::databases::on_each_database;
use crate::samples::{NO_BOUND, at, confirmed, in_time, product, stored};

/// What the server says once an INSERT is committed that was a transaction of its own, and a COMMIT.
const INSERTED: &[u8] = b"INSERT 0 ";
const COMMITTED: &[u8] = b"COMMIT";
/// A word in the evidence of each delivery.
const EVIDENCE: &[u8] = b"ALLOWED";
/// So that one that is lost leaves no other.
const CONNECTIONS: u32 = 1;

/// Runs a test on a PostgreSQL behind a proxy that can cut its connections.
fn behind_a_proxy<F: Future<Output = ()>>(test: impl FnOnce(Store, CuttingProxy) -> F) {
    behind_a_proxy_on(database::start_runtime().unwrap(), test);
}

/// The same on a runtime of one's own.
pub fn behind_a_proxy_on<F: Future<Output = ()>>(
    runtime: Runtime,
    test: impl FnOnce(Store, CuttingProxy) -> F,
) {
    let Some(place) = runtime.block_on(Throwaway::postgres()) else { return };
    let database = runtime.block_on(async {
        let proxy = CuttingProxy::start(&place.url()).await;
        let database = Database::connect(proxy.url(), CONNECTIONS).await.unwrap();
        database.migrate(&migrations()).await.unwrap();
        test(Store::new(database.clone()), proxy).await;
        database
    });
    database::end(runtime, &database);
}

#[test]
fn a_create_that_was_committed_before_the_connection_was_lost_is_found_as_stored() {
    behind_a_proxy(|store, proxy| async move {
        proxy.cut_at(From::Server, INSERTED);
        let delivery = stored(&store, confirmed(at(0))).await;
        assert!(proxy.has_cut());
        assert_eq!(store.get(delivery.id).await.unwrap(), Some(delivery));
        assert_eq!(store.commits().rows(), 0, "what was lost was not counted");
    });
}

#[test]
fn a_create_that_never_reached_the_server_is_stored_on_another_connection() {
    behind_a_proxy(|store, proxy| async move {
        proxy.cut_at(From::Client, EVIDENCE);
        let delivery = stored(&store, confirmed(at(0))).await;
        assert!(proxy.has_cut());
        assert_eq!(store.get(delivery.id).await.unwrap(), Some(delivery));
        assert_eq!(store.commits().rows(), 1);
    });
}

#[test]
fn everybody_in_a_lost_batch_gets_an_answer_of_their_own() {
    behind_a_proxy(|store, proxy| async move {
        let before = stored(&store, confirmed(at(0))).await;
        let other = Order { product: product(2), ..before.order.clone() };
        let other = Delivery { order: other, ..before.clone() };
        let fresh: Vec<_> = (1..20).map(|second| confirmed(at(second))).collect();
        proxy.cut_at(From::Server, INSERTED);
        let all = fresh.iter().chain([&other]).cloned();
        let creates = all.map(|delivery| store.create(delivery, None, NO_BOUND, in_time()));
        let mut created = futures_util::future::join_all(creates).await;
        assert!(proxy.has_cut());
        assert_eq!(created.pop().unwrap().unwrap(), Created::OtherContent);
        for (delivery, created) in fresh.into_iter().zip(created) {
            assert_eq!(created.unwrap(), Created::Stored(delivery));
        }
    });
}

#[test]
fn a_transition_that_was_committed_before_the_connection_was_lost_is_found_as_made() {
    behind_a_proxy(|store, proxy| async move {
        let id = stored(&store, confirmed(at(0))).await.id;
        proxy.cut_at(From::Server, COMMITTED);
        let made = store.transition(id, Transition::Dispatch, Some(1), None, at(1), in_time()).await.unwrap();
        assert!(proxy.has_cut());
        assert_eq!((made.state, made.version), (State::Dispatched, 2));
        assert_eq!(store.get(id).await.unwrap(), Some(made));
    });
}

#[test]
fn what_can_not_be_known_is_said_to_be_unknown_and_the_same_again_settles_it() {
    behind_a_proxy(|store, proxy| async move {
        let delivery = confirmed(at(0));
        proxy.cut_at(From::Server, INSERTED);
        proxy.open(false);
        let create = async || store.create(delivery.clone(), None, NO_BOUND, in_time()).await;
        assert!(matches!(create().await, Err(StoreError::Silent(_))));
        assert!(proxy.has_cut());
        proxy.open(true);
        assert_eq!(create().await.unwrap(), Created::Stored(delivery.clone()));
        assert_eq!(store.commits().rows(), 0, "it was stored the first time");
    });
}

#[test]
fn a_read_whose_connection_is_lost_is_made_on_another() {
    behind_a_proxy(|store, proxy| async move {
        let delivery = stored(&store, confirmed(at(0))).await;
        proxy.cut_at(From::Server, EVIDENCE);
        assert_eq!(store.get(delivery.id).await.unwrap(), Some(delivery));
        assert!(proxy.has_cut());
    });
}

#[test]
fn a_read_whose_connection_falls_silent_is_made_on_another() {
    // One thread, so that its clock can be moved.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    behind_a_proxy_on(runtime, |store, proxy| async move {
        let delivery = stored(&store, confirmed(at(0))).await;
        proxy.silence_at(From::Server, EVIDENCE);
        let reader = store.clone();
        let read = tokio::spawn(async move { reader.get(delivery.id).await });
        while !proxy.has_cut() {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(4)).await;
        tokio::time::resume();
        // Far less than the system's own time for a silent connection.
        let read = tokio::time::timeout(Duration::from_secs(2), read).await;
        assert_eq!(read.unwrap().unwrap().unwrap(), Some(delivery));
    });
}

#[test]
fn a_session_on_which_the_database_refuses_is_not_used_again() {
    behind_a_proxy(|store, _| async move {
        let mut session = store.database().writer().await.unwrap();
        // As on a primary that was demoted.
        on_database!(session.connection(), c => {
            sqlx::query("SET default_transaction_read_only = on").execute(c).await.map(drop).unwrap();
        });
        drop(session);
        let create = async || store.create(confirmed(at(0)), None, NO_BOUND, in_time()).await;
        assert!(matches!(create().await, Err(StoreError::Silent(_))));
        assert!(matches!(create().await, Ok(Created::Stored(_))));
    });
}

#[test]
fn after_a_restart_of_the_database_one_unit_of_work_fails_and_the_others_go_on() {
    on_each_database(|store| async move {
        let Some(pool) = store.database().postgres() else { return };
        end_all_but_one(pool).await;
        let mut failed = 0;
        for _ in 0..pool.size() {
            failed += u32::from(store.probe().await.is_err());
        }
        assert!(failed <= 1, "{failed}");
        end_all_but_one(pool).await;
        let mut failed = 0;
        for _ in 0..pool.size() {
            failed += u32::from(store.expire(1, at(0)).await.is_err());
        }
        assert!(failed <= 1, "{failed}");
    });
}

/// Has the server end all connections of a full pool, but for the last that it will give out.
async fn end_all_but_one(pool: &PgPool) {
    let mut all = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        all.push(pool.acquire().await.unwrap());
    }
    let mut last = all.pop().unwrap();
    let others = all.len();
    drop(all);
    while pool.num_idle() < others {
        tokio::task::yield_now().await;
    }
    let end = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(end).execute(&mut *last).await.unwrap();
    drop(last);
    while pool.num_idle() < others + 1 {
        tokio::task::yield_now().await;
    }
}
