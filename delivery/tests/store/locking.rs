//! What becomes of a batch that meets somebody else's transaction on PostgreSQL; SQLite has one writer, which waits its turn.

use chassis::database::{Connection, StoreError, Transaction};
use chassis::on_database;
use delivery::domain::{DeliveryId, State, Transition};
use delivery::store::{Created, Store, TransitionError};
use futures_util::future::join_all;
use sqlx::PgPool;

use crate::databases::on_each_database;
use crate::samples::{NO_BOUND, at, confirmed, in_time, pending, stored};

/// Somebody else's transaction that holds a delivery. `None` on SQLite.
pub async fn hold(store: &Store, id: DeliveryId) -> Option<Transaction<'static>> {
    let mut transaction = store.database().write().await.unwrap();
    let Connection::Postgres(connection) = transaction.connection() else { return None };
    let lock = "SELECT 1 FROM deliveries WHERE delivery_id = $1 FOR UPDATE";
    sqlx::query(lock).bind(id.as_uuid()).execute(connection).await.unwrap();
    Some(transaction)
}

/// Has PostgreSQL give up the first so many inserts in favour of nobody. `false` on SQLite.
async fn give_up(store: &Store, inserts: u32) -> bool {
    let Some(postgres) = store.database().postgres() else { return false };
    let sql = format!(
        "CREATE SEQUENCE attempts; \
         CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('attempts') <= {inserts} THEN RAISE EXCEPTION USING ERRCODE = '40P01'; END IF; RETURN NULL; END $$; \
         CREATE TRIGGER give_up BEFORE INSERT ON deliveries EXECUTE FUNCTION give_up()"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(postgres).await.unwrap();
    true
}

/// Waits until somebody waits for a lock. Each look is a transaction of its own, since one sees but one state of this view.
async fn until_one_waits(pool: &PgPool) {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(pool).await.unwrap() == 0 {}
}

#[test]
fn a_delivery_that_somebody_else_holds_fails_alone_and_is_not_said_to_be_unreadable() {
    on_each_database(|store| async move {
        let mut ids = Vec::new();
        for second in 0..8 {
            ids.push(stored(&store, confirmed(at(second))).await.id);
        }
        let Some(held) = hold(&store, ids[3]).await else { return };
        let dispatch = |id| store.transition(id, Transition::Dispatch, None, None, at(9), in_time());
        let made = join_all(ids.iter().map(|id| dispatch(*id))).await;
        for (id, made) in ids.iter().zip(made) {
            match made {
                Ok(made) => assert_eq!((made.id, made.state), (*id, State::Dispatched)),
                Err(error) => {
                    assert_eq!(*id, ids[3]);
                    assert!(matches!(error, TransitionError::Store(StoreError::Silent(_))), "{error}");
                }
            }
        }
        held.rollback().await.unwrap();
        assert_eq!(dispatch(ids[3]).await.unwrap().version, 2);
    });
}

#[test]
fn where_all_is_held_nobody_waits_until_each_has_been_tried_alone() {
    on_each_database(|store| async move {
        let mut held = store.database().write().await.unwrap();
        let Connection::Postgres(connection) = held.connection() else { return };
        let lock =
            "SET LOCAL idle_in_transaction_session_timeout = 0; LOCK TABLE deliveries IN EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(connection).await.unwrap();
        let dispatch = |id| store.transition(id, Transition::Dispatch, None, None, at(9), in_time());
        // Each alone would take more than the time that a test has.
        let made = join_all((0..1_000).map(|_| dispatch(DeliveryId::fresh()))).await;
        for made in made {
            assert!(matches!(made, Err(TransitionError::Store(StoreError::Silent(_)))), "{made:?}");
        }
    });
}

#[test]
fn a_batch_that_was_given_up_for_another_transaction_is_committed_again() {
    on_each_database(|store| async move {
        if give_up(&store, 2).await {
            stored(&store, confirmed(at(0))).await;
        }
    });
}

#[test]
fn a_batch_that_is_given_up_again_and_again_fails_in_the_end() {
    on_each_database(|store| async move {
        if give_up(&store, 100).await {
            let created: Result<Created, _> = store.create(confirmed(at(0)), None, NO_BOUND, in_time()).await;
            assert!(matches!(created, Err(StoreError::Silent(_))), "{created:?}");
        }
    });
}

#[test]
fn a_release_waits_for_deliveries_in_the_order_of_their_ids() {
    on_each_database(|store| async move {
        let mut deliveries: Vec<_> = (0..20).map(|_| pending(at(0))).collect();
        deliveries.sort_unstable_by_key(|delivery| delivery.id);
        let first = deliveries[0].id;
        // The one with the lowest id is the last in the table.
        for delivery in deliveries.into_iter().rev() {
            stored(&store, delivery).await;
        }
        let lease = at(30);
        assert_eq!(store.claim(20, lease, at(1)).await.unwrap().len(), 20);
        let Some(mut held) = hold(&store, first).await else { return };
        let releasing = store.clone();
        let released = tokio::spawn(async move { releasing.release(lease).await });
        until_one_waits(store.database().postgres().unwrap()).await;
        let free = "SELECT delivery_id FROM deliveries FOR UPDATE SKIP LOCKED";
        let free = on_database!(held.connection(), c => sqlx::query(free).fetch_all(c).await.unwrap().len());
        assert_eq!(free, 20, "a release that waits holds none");
        held.rollback().await.unwrap();
        released.await.unwrap().unwrap();
        assert_eq!(store.claim(20, lease, at(1)).await.unwrap().len(), 20);
    });
}
