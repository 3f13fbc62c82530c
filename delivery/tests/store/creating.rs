//! Storing a delivery once, whoever sends it how often.

use deliverability::Timestamp;
use delivery::domain::{Delivery, Order, RevisionToken, State};
use delivery::store::Created;

use crate::databases::on_each_database;
use crate::samples::{NO_BOUND, at, confirmed, in_time, order, pending, product, stored};

#[test]
fn a_delivery_is_read_back_as_it_was_stored() {
    on_each_database(|store| async move {
        let without_reference = Order { external_reference: None, ..order() };
        let token = RevisionToken::parse("r-9").unwrap();
        for delivery in [
            confirmed(at(0)),
            pending(at(1)),
            Delivery { order: without_reference, ..confirmed(at(2)) },
            Delivery { min_revision: Some(token), ..pending(at(3)) },
        ] {
            stored(&store, delivery.clone()).await;
            assert_eq!(store.get(delivery.id).await.unwrap(), Some(delivery));
        }
        assert_eq!(store.get(confirmed(at(0)).id).await.unwrap(), None);
    });
}

#[test]
fn the_same_id_twice_is_one_row_and_the_first_answer_stands() {
    on_each_database(|store| async move {
        let first = stored(&store, confirmed(at(0))).await;
        let again = Delivery { create_time: at(5), ..pending(at(5)) };
        let again = Delivery { id: first.id, order: first.order.clone(), ..again };
        let created = store.create(again, None, NO_BOUND, in_time()).await.unwrap();
        assert_eq!(created, Created::Existing(first.clone()));
        assert_eq!(store.find_same(first.id, &first.order).await.unwrap(), Some(Created::Existing(first)));
    });
}

#[test]
fn other_content_under_the_same_id_is_refused() {
    on_each_database(|store| async move {
        let first = stored(&store, confirmed(at(0))).await;
        let other = Order { product: product(2), ..first.order.clone() };
        let created = store
            .create(Delivery { order: other.clone(), ..first.clone() }, None, NO_BOUND, in_time())
            .await
            .unwrap();
        assert_eq!(created, Created::OtherContent);
        assert_eq!(store.find_same(first.id, &other).await.unwrap(), Some(Created::OtherContent));
        assert_eq!(store.get(first.id).await.unwrap(), Some(first));
        assert_eq!(store.find_same(confirmed(at(0)).id, &other).await.unwrap(), None);
    });
}

#[test]
fn concurrent_creates_of_one_id_give_one_row_and_one_answer() {
    on_each_database(|store| async move {
        for round in 0..10 {
            let delivery = confirmed(at(round));
            let creates = (0..16).map(|number| {
                let (store, delivery) = (store.clone(), delivery.clone());
                let delivery = Delivery { create_time: at(number), update_time: at(number), ..delivery };
                tokio::spawn(async move { store.create(delivery, None, NO_BOUND, in_time()).await.unwrap() })
            });
            let (mut won, mut answers) = (0, Vec::new());
            for created in futures_util::future::join_all(creates).await {
                match created.unwrap() {
                    Created::Stored(delivery) => {
                        won += 1;
                        answers.push(delivery);
                    }
                    Created::Existing(delivery) => answers.push(delivery),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(won, 1);
            assert!(answers.iter().all(|answer| *answer == answers[0]));
        }
    });
}

#[test]
fn a_decision_that_ends_before_the_commit_stores_nothing() {
    on_each_database(|store| async move {
        let delivery = confirmed(at(0));
        let passed = Timestamp::from_unix_micros(1).unwrap();
        assert_eq!(
            store.create(delivery.clone(), Some(passed), NO_BOUND, in_time()).await.unwrap(),
            Created::Lapsed
        );
        assert_eq!(store.get(delivery.id).await.unwrap(), None);
        // The id is as free as it was.
        let far = Timestamp::from_unix_micros(deliverability::MAX_UNIX_MICROS).unwrap();
        let created = store.create(delivery.clone(), Some(far), NO_BOUND, in_time()).await.unwrap();
        assert_eq!(created, Created::Stored(delivery));
    });
}

#[test]
fn only_so_many_wait_for_product_and_the_bound_holds_nothing_else_up() {
    on_each_database(|store| async move {
        let bound = 3;
        let mut waiting = Vec::new();
        for second in 0..3 {
            let delivery = pending(at(second));
            waiting.push(delivery.clone());
            assert!(matches!(
                store.create(delivery, None, bound, in_time()).await.unwrap(),
                Created::Stored(_)
            ));
        }
        let one_more = pending(at(3));
        assert_eq!(
            store.create(one_more.clone(), None, bound, in_time()).await.unwrap(),
            Created::TooManyPending
        );
        assert_eq!(store.get(one_more.id).await.unwrap(), None);

        // One that is stored already is answered, and one that Product said yes to does not wait.
        let repeated = store.create(waiting[0].clone(), None, bound, in_time()).await.unwrap();
        assert_eq!(repeated, Created::Existing(waiting[0].clone()));
        stored(&store, confirmed(at(4))).await;

        // One that ends its wait makes room.
        let cancel = delivery::domain::Transition::Cancel;
        let cancelled = store.transition(waiting[1].id, cancel, None, None, at(5), in_time()).await.unwrap();
        assert_eq!(cancelled.state, State::Cancelled);
        assert!(matches!(store.create(one_more, None, bound, in_time()).await.unwrap(), Created::Stored(_)));
    });
}

#[test]
fn storing_a_pending_delivery_wakes_the_verifier() {
    on_each_database(|store| async move {
        stored(&store, pending(at(0))).await;
        store.next_pending().await;
        stored(&store, confirmed(at(1))).await;
        assert!(futures_util::FutureExt::now_or_never(store.next_pending()).is_none());
    });
}
