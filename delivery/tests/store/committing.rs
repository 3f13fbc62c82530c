//! How creates and transitions are committed together, and what each caller learns.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::database::{Connection, StoreError, Transaction};
use chassis::deadline::Deadline;
use chassis::on_database;
use deliverability::{Quantity, Timestamp};
use delivery::domain::{Delivery, DeliveryId, Order, State, Transition};
use delivery::store::{Created, Store};
use futures_util::FutureExt;
use futures_util::future::{JoinAll, join_all};

use crate::databases::on_each_database;
use crate::locking::until_one_waits;
use crate::samples::{NO_BOUND, at, confirmed, in_time, order, pending, product, stored};

/// Somebody else's transaction, which keeps the writer waiting until it ends.
pub async fn hold(store: &Store) -> Transaction<'static> {
    let mut transaction = store.database().write().await.unwrap();
    if let Connection::Postgres(connection) = transaction.connection() {
        sqlx::query("LOCK TABLE deliveries IN EXCLUSIVE MODE").execute(connection).await.unwrap();
    }
    transaction
}

/// A create that is to come.
fn create(store: &Store, delivery: Delivery) -> Pin<Box<impl Future<Output = Result<Created, StoreError>>>> {
    let store = store.clone();
    Box::pin(async move { store.create(delivery, None, NO_BOUND, in_time()).await })
}

/// Sends a call on its way, which does not end yet.
fn begin(call: impl Future) {
    assert!(Box::pin(call).now_or_never().is_none());
}

/// Has all of these queue up, in their order, before any is committed.
async fn together<F: Future>(store: &Store, calls: impl IntoIterator<Item = F>) -> JoinAll<F> {
    let held = hold(store).await;
    let mut calls = join_all(calls);
    begin(&mut calls);
    held.rollback().await.unwrap();
    calls
}

/// Has the database refuse rows of 13 units.
async fn refuse_thirteen(store: &Store) {
    let mut transaction = store.database().write().await.unwrap();
    let connection = transaction.connection();
    let sql = match connection {
        Connection::Sqlite(_) => {
            "CREATE TRIGGER thirteen BEFORE INSERT ON deliveries WHEN NEW.quantity = 13 \
             BEGIN SELECT RAISE(ABORT, 'thirteen'); END"
        }
        Connection::Postgres(_) => "ALTER TABLE deliveries ADD CONSTRAINT thirteen CHECK (quantity <> 13)",
    };
    on_database!(connection, c => sqlx::query(sql).execute(c).await.map(drop).unwrap());
    transaction.commit().await.unwrap();
}

/// Makes of a row what this program never stores.
async fn spoil(store: &Store, id: DeliveryId) {
    let mut transaction = store.database().write().await.unwrap();
    let connection = transaction.connection();
    let spoilt = match connection {
        // SQLite stores what is no number all the same.
        Connection::Sqlite(c) => {
            let spoil = "UPDATE deliveries SET quantity = 'some' WHERE delivery_id = $1";
            sqlx::query(spoil).bind(id.as_uuid()).execute(c).await.map(|done| done.rows_affected())
        }
        Connection::Postgres(c) => {
            let allow = "ALTER TABLE deliveries ALTER COLUMN quantity DROP NOT NULL";
            sqlx::query(allow).execute(&mut *c).await.unwrap();
            let spoil = "UPDATE deliveries SET quantity = NULL WHERE delivery_id = $1";
            sqlx::query(spoil).bind(id.as_uuid()).execute(c).await.map(|done| done.rows_affected())
        }
    };
    assert_eq!(spoilt.unwrap(), 1);
    transaction.commit().await.unwrap();
}

fn of_units(units: u32) -> Delivery {
    Delivery { order: Order { quantity: Quantity::new(units).unwrap(), ..order() }, ..confirmed(at(0)) }
}

#[test]
fn a_create_that_finds_nobody_waiting_is_committed_at_once_and_alone() {
    on_each_database(|store| async move {
        for number in 1..=3 {
            stored(&store, confirmed(at(0))).await;
            assert_eq!((store.commits().commits(), store.commits().rows()), (number, number));
        }
    });
}

#[test]
fn what_queues_up_while_a_commit_runs_is_one_commit() {
    on_each_database(|store| async move {
        let dispatched = stored(&store, confirmed(at(0))).await.id;
        let before = store.commits().commits();
        let held = hold(&store).await;
        let mut creates = join_all((0..50).map(|_| create(&store, confirmed(at(1)))));
        let dispatch = store.transition(dispatched, Transition::Dispatch, None, None, at(2), in_time());
        let mut dispatch = Box::pin(dispatch);
        begin(&mut creates);
        begin(&mut dispatch);
        held.rollback().await.unwrap();
        for created in creates.await {
            assert!(matches!(created, Ok(Created::Stored(_))), "{created:?}");
        }
        assert_eq!(dispatch.await.unwrap().state, State::Dispatched);
        // The first commit had begun with what was there by then.
        assert!((1..=2).contains(&(store.commits().commits() - before)));
        assert_eq!(store.commits().rows(), 52);
    });
}

#[test]
fn a_row_that_the_database_refuses_fails_alone() {
    on_each_database(|store| async move {
        refuse_thirteen(&store).await;
        let orders = (0..40).map(|number| of_units(if number % 9 == 5 { 13 } else { 12 }));
        let orders: Vec<_> = orders.collect();
        let calls = together(&store, orders.iter().map(|order| create(&store, order.clone()))).await;
        for (order, created) in orders.into_iter().zip(calls.await) {
            if order.order.quantity.get() == 13 {
                assert!(matches!(created, Err(StoreError::Corrupt(_))), "{created:?}");
                assert_eq!(store.get(order.id).await.unwrap(), None);
            } else {
                assert_eq!(created.unwrap(), Created::Stored(order));
            }
        }
    });
}

#[test]
fn a_row_that_can_not_be_read_fails_alone() {
    on_each_database(|store| async move {
        let mut ids = Vec::new();
        for second in 0..20 {
            ids.push(stored(&store, confirmed(at(second))).await.id);
        }
        spoil(&store, ids[7]).await;
        // All but the first queue up behind its read.
        let reads = join_all(ids.iter().map(|id| store.get(*id))).await;
        for (id, read) in ids.iter().zip(reads) {
            match read {
                Ok(read) => assert_eq!(read.unwrap().id, *id),
                Err(error) => assert_eq!(*id, ids[7], "{error}"),
            }
        }
        assert!(matches!(store.get(ids[7]).await, Err(StoreError::Corrupt(_))));
    });
}

#[test]
fn a_refused_row_does_not_fail_the_transitions_of_its_batch() {
    on_each_database(|store| async move {
        refuse_thirteen(&store).await;
        let delivery = stored(&store, confirmed(at(0))).await;
        let held = hold(&store).await;
        let mut bad = create(&store, of_units(13));
        let cancel = store.transition(delivery.id, Transition::Cancel, None, None, at(1), in_time());
        let mut cancel = Box::pin(cancel);
        begin(&mut bad);
        begin(&mut cancel);
        held.rollback().await.unwrap();
        assert!(matches!(bad.await, Err(StoreError::Corrupt(_))));
        assert_eq!(cancel.await.unwrap().state, State::Cancelled);
    });
}

#[test]
fn of_one_id_in_one_batch_the_first_is_stored_and_the_others_are_compared_with_it() {
    on_each_database(|store| async move {
        let first = confirmed(at(0));
        let same = Delivery { create_time: at(5), update_time: at(5), ..first.clone() };
        let other = Delivery { order: Order { product: product(2), ..first.order.clone() }, ..first.clone() };
        let calls = [first.clone(), same, other].map(|delivery| create(&store, delivery));
        let created: Vec<_> = together(&store, calls).await.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(
            created,
            [Created::Stored(first.clone()), Created::Existing(first.clone()), Created::OtherContent]
        );
    });
}

#[test]
fn several_transitions_of_one_delivery_in_one_batch_are_made_in_their_order() {
    on_each_database(|store| async move {
        let delivery = stored(&store, confirmed(at(0))).await;
        let steps = [Transition::Dispatch, Transition::Dispatch, Transition::Complete, Transition::Cancel];
        let calls = steps.map(|step| {
            let store = store.clone();
            Box::pin(async move { store.transition(delivery.id, step, None, None, at(1), in_time()).await })
        });
        let made = together(&store, calls).await.await;
        let versions: Vec<_> = made.iter().map(|made| made.as_ref().ok().map(|made| made.version)).collect();
        assert_eq!(versions, [Some(2), Some(2), Some(3), None]);
        let last = store.get(delivery.id).await.unwrap();
        assert_eq!(last, made.into_iter().nth(2).unwrap().ok());
    });
}

#[test]
fn a_deadline_that_passes_in_the_queue_drops_the_entry_and_those_behind_it_go_on() {
    on_each_database(|store| async move {
        let late = confirmed(at(0));
        let now = Deadline::at(tokio::time::Instant::now());
        let too_late = store.create(late.clone(), None, NO_BOUND, now);
        let (too_late, behind) = tokio::join!(too_late, create(&store, confirmed(at(1))));
        assert!(matches!(too_late, Err(StoreError::Expired)));
        assert!(matches!(behind, Ok(Created::Stored(_))));
        assert_eq!(store.get(late.id).await.unwrap(), None);
        let late = store.transition(late.id, Transition::Cancel, None, None, at(2), now).await;
        assert!(late.unwrap_err().to_string().contains("deadline"));
    });
}

#[test]
fn a_deadline_that_passes_while_the_batch_waits_for_a_connection_drops_the_entry() {
    on_each_database(|store| async move {
        let connections = store.database().postgres().map_or(1, |pool| pool.options().get_max_connections());
        let mut held = Vec::new();
        for _ in 0..connections {
            held.push(store.database().writer().await.unwrap());
        }
        let soon = Deadline::after(Duration::from_millis(50));
        let late = confirmed(at(0));
        let (writer, order) = (store.clone(), late.clone());
        let too_late = tokio::spawn(async move { writer.create(order, None, NO_BOUND, soon).await });
        while !soon.remaining().is_zero() {
            tokio::task::yield_now().await;
        }
        drop(held);
        assert!(matches!(too_late.await.unwrap(), Err(StoreError::Expired)));
        assert_eq!(store.get(late.id).await.unwrap(), None);
    });
}

#[test]
fn a_caller_that_gives_up_before_its_batch_begins_leaves_nothing() {
    on_each_database(|store| async move {
        let deliveries: Vec<_> = (0..20).map(|second| confirmed(at(second))).collect();
        let held = hold(&store).await;
        // A batch that has begun. On SQLite none begins before it has the one connection that writes.
        let mut first = create(&store, confirmed(at(0)));
        begin(&mut first);
        if let Some(pool) = store.database().postgres() {
            until_one_waits(pool).await;
        }
        let mut creates: Vec<_> = deliveries.iter().map(|one| create(&store, one.clone())).collect();
        for create in &mut creates {
            begin(create);
        }
        let kept = creates.split_off(10);
        drop(creates);
        held.rollback().await.unwrap();
        for created in join_all(kept).await {
            assert!(matches!(created, Ok(Created::Stored(_))), "{created:?}");
        }
        assert!(matches!(first.await, Ok(Created::Stored(_))));
        for (number, delivery) in deliveries.into_iter().enumerate() {
            let wanted = (number >= 10).then(|| delivery.clone());
            assert_eq!(store.get(delivery.id).await.unwrap(), wanted);
        }
    });
}

#[test]
fn a_decision_that_ends_while_its_batch_is_written_falls_out_and_the_others_are_stored() {
    on_each_database(|store| async move {
        let soon = || chassis::clock::unix_micros() + 100_000;
        let held = hold(&store).await;
        let ends = soon();
        let valid_until = Some(Timestamp::from_unix_micros(ends).unwrap());
        let (short, long) = (confirmed(at(0)), confirmed(at(1)));
        let mut short_create = Box::pin(store.create(short.clone(), valid_until, NO_BOUND, in_time()));
        let mut long_create = create(&store, long.clone());
        begin(&mut short_create);
        begin(&mut long_create);
        while chassis::clock::unix_micros() < ends {
            tokio::task::yield_now().await;
        }
        held.rollback().await.unwrap();
        assert_eq!(short_create.await.unwrap(), Created::Lapsed);
        assert_eq!(long_create.await.unwrap(), Created::Stored(long));
        assert_eq!(store.get(short.id).await.unwrap(), None);
    });
}

#[test]
fn the_bound_on_what_waits_for_product_holds_within_a_batch() {
    on_each_database(|store| async move {
        let calls = (0..10).map(|second| {
            let store = store.clone();
            Box::pin(async move { store.create(pending(at(second)), None, 4, in_time()).await.unwrap() })
        });
        let created = together(&store, calls).await.await;
        let stored = created.iter().filter(|created| matches!(created, Created::Stored(_))).count();
        let refused = created.iter().filter(|created| **created == Created::TooManyPending).count();
        assert_eq!((stored, refused), (4, 6));
    });
}

#[test]
fn more_than_can_wait_are_refused_at_once_and_the_others_are_stored() {
    on_each_database(|store| async move {
        let calls = (0..6_000).map(|_| create(&store, confirmed(at(0))));
        let created = together(&store, calls).await.await;
        let stored = created.iter().filter(|created| matches!(created, Ok(Created::Stored(_)))).count();
        let refused = created.iter().filter(|created| matches!(created, Err(StoreError::Overloaded))).count();
        assert!(refused > 0);
        assert_eq!(stored + refused, 6_000);
        assert_eq!(store.commits().rows(), stored as u64);
    });
}

#[test]
fn a_writer_that_is_never_idle_lets_others_have_their_turn() {
    on_each_database(|store| async move {
        let done = Arc::new(AtomicBool::new(false));
        let creators: Vec<_> = (0..16)
            .map(|_| {
                let (store, done) = (store.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    while !done.load(Ordering::Relaxed) {
                        stored(&store, confirmed(at(0))).await;
                    }
                })
            })
            .collect();
        // On SQLite these need the one connection that writes.
        for second in 0..20 {
            assert_eq!(store.claim(10, at(second + 30), at(second)).await.unwrap(), []);
        }
        done.store(true, Ordering::Relaxed);
        for creator in creators {
            creator.await.unwrap();
        }
    });
}
