//! What becomes of a batch that meets somebody else's transaction on PostgreSQL; SQLite has one writer, which waits its turn.

use std::time::{Duration, Instant};

use chassis::database::{Connection, StoreError, Transaction};
use chassis::on_database;
use delivery::domain::{Delivery, DeliveryId, State, Transition};
use delivery::store::{Created, Store, TransitionError};
use futures_util::future::join_all;
use sqlx::PgPool;

use crate::databases::on_each_database;
use crate::samples::{NO_BOUND, at, confirmed, in_time, pending, stored};

/// Far less than PostgreSQL works on a statement.
const SOON: Duration = Duration::from_secs(5);

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

/// Somebody else's transaction that is about to store a delivery under an id, otherwise like another. `None` on SQLite.
async fn about_to_store(store: &Store, id: DeliveryId, like: DeliveryId) -> Option<Transaction<'static>> {
    let mut transaction = store.database().write().await.unwrap();
    let Connection::Postgres(connection) = transaction.connection() else { return None };
    let insert = "INSERT INTO deliveries \
         SELECT (jsonb_populate_record(d, jsonb_build_object('delivery_id', $1))).* FROM deliveries d WHERE delivery_id = $2";
    sqlx::query(insert).bind(id.as_uuid()).bind(like.as_uuid()).execute(connection).await.unwrap();
    Some(transaction)
}

/// Has PostgreSQL leave out the next insert, as if what stood in its way were gone when it is looked for. `false` on SQLite.
async fn leave_one_out(store: &Store) -> bool {
    let Some(postgres) = store.database().postgres() else { return false };
    let sql = "CREATE SEQUENCE attempts; \
         CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('attempts') = 1 THEN RETURN NULL; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER leave_out BEFORE INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION leave_out()";
    sqlx::raw_sql(sql).execute(postgres).await.unwrap();
    true
}

/// Waits until somebody waits for a lock. Each look is a transaction of its own, since one sees but one state of this view.
pub async fn until_one_waits(pool: &PgPool) {
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
fn a_create_whose_id_somebody_else_is_about_to_store_fails_alone_and_soon() {
    on_each_database(|store| async move {
        let like = stored(&store, confirmed(at(0))).await;
        for is_committed in [true, false] {
            let wanted: Vec<_> = (1..8).map(|second| confirmed(at(second))).collect();
            let Some(other) = about_to_store(&store, wanted[3].id, like.id).await else { return };
            let create = |one: &Delivery| store.create(one.clone(), None, NO_BOUND, in_time());
            let begun = Instant::now();
            let created = join_all(wanted.iter().map(create)).await;
            assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
            for (one, created) in wanted.iter().zip(created) {
                match created {
                    Ok(created) => assert_eq!(created, Created::Stored(one.clone())),
                    Err(error) => {
                        assert_eq!(one.id, wanted[3].id);
                        assert!(matches!(error, StoreError::Silent(_)), "{error}");
                    }
                }
            }
            assert_eq!(store.get(wanted[3].id).await.unwrap(), None);
            if is_committed {
                other.commit().await.unwrap();
                let found = Delivery { id: wanted[3].id, ..like.clone() };
                assert_eq!(create(&wanted[3]).await.unwrap(), Created::Existing(found));
            } else {
                other.rollback().await.unwrap();
                assert_eq!(create(&wanted[3]).await.unwrap(), Created::Stored(wanted[3].clone()));
            }
        }
    });
}

#[test]
fn a_create_whose_id_was_archived_before_it_was_looked_at_is_stored() {
    on_each_database(|store| async move {
        if leave_one_out(&store).await {
            let delivery = stored(&store, confirmed(at(0))).await;
            assert_eq!(store.get(delivery.id).await.unwrap(), Some(delivery));
        }
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
