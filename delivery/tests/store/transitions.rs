//! What may become of a delivery, and what may not.

use deliverability::Verdict;
use delivery::domain::{Admission, Delivery, DeliveryId, Refusal, Source, State, Step, Transition};
use delivery::store::{Settlement, Store, TransitionError};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::databases::on_each_database;
use crate::samples::{at, confirmed, evidence, in_time, pending, stored};

async fn refusal(store: &Store, id: DeliveryId, transition: Transition, read: Option<u32>) -> Refusal {
    match store.transition(id, transition, read, None, at(9), in_time()).await {
        Err(TransitionError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transition_changes_the_state_the_version_and_the_time_and_nothing_else() {
    on_each_database(|store| async move {
        let delivery = stored(&store, confirmed(at(0))).await;
        let dispatched = store
            .transition(delivery.id, Transition::Dispatch, Some(1), None, at(7), in_time())
            .await
            .unwrap();
        let wanted =
            Delivery { state: State::Dispatched, version: 2, update_time: at(7), ..delivery.clone() };
        assert_eq!(dispatched, wanted);
        assert_eq!(store.get(delivery.id).await.unwrap(), Some(wanted));
    });
}

#[test]
fn new_evidence_takes_the_place_of_the_old() {
    on_each_database(|store| async move {
        let delivery = stored(&store, confirmed(at(0))).await;
        let mut fresh = evidence(Verdict::Deliverable, Source::Live);
        (fresh.check_time, fresh.deciding_rules) = (at(8), Vec::new());
        let admission = Admission::Checked(fresh.clone());
        let made = store
            .transition(delivery.id, Transition::Dispatch, None, Some(fresh), at(9), in_time())
            .await
            .unwrap();
        assert_eq!(made.admission, admission);
        assert_eq!(store.get(delivery.id).await.unwrap(), Some(made));
    });
}

#[test]
fn repeating_the_last_transition_changes_nothing() {
    on_each_database(|store| async move {
        let delivery = stored(&store, confirmed(at(0))).await;
        let once =
            store.transition(delivery.id, Transition::Cancel, Some(1), None, at(1), in_time()).await.unwrap();
        for read in [None, Some(1), Some(2)] {
            let again = store
                .transition(delivery.id, Transition::Cancel, read, None, at(2), in_time())
                .await
                .unwrap();
            assert_eq!(again, once);
        }
    });
}

#[test]
fn what_can_not_be_is_refused_by_its_reason() {
    on_each_database(|store| async move {
        let id = confirmed(at(0)).id;
        assert_eq!(refusal(&store, id, Transition::Dispatch, None).await, Refusal::NotFound { id });

        let waiting = stored(&store, pending(at(0))).await.id;
        let invalid = Refusal::InvalidState { state: State::Pending, transition: Transition::Dispatch };
        assert_eq!(refusal(&store, waiting, Transition::Dispatch, Some(1)).await, invalid);

        let id = stored(&store, confirmed(at(0))).await.id;
        let mismatch = Refusal::VersionMismatch { stored: 1, read: 2 };
        assert_eq!(refusal(&store, id, Transition::Dispatch, Some(2)).await, mismatch);
    });
}

#[test]
fn a_delivery_cancelled_while_it_waits_is_not_asked_about_any_more() {
    on_each_database(|store| async move {
        let delivery = stored(&store, pending(at(0))).await;
        let cancelled =
            store.transition(delivery.id, Transition::Cancel, None, None, at(1), in_time()).await.unwrap();
        assert_eq!(cancelled.admission, Admission::Unchecked { verify_by: None });
        assert_eq!(store.claim(10, at(30), at(2)).await.unwrap(), []);
    });
}

#[test]
fn of_two_transitions_at_once_one_is_made() {
    on_each_database(|store| async move {
        for _ in 0..10 {
            let id = stored(&store, confirmed(at(0))).await.id;
            let make = |transition| {
                let store = store.clone();
                tokio::spawn(
                    async move { store.transition(id, transition, None, None, at(1), in_time()).await },
                )
            };
            let (dispatch, cancel) = (make(Transition::Dispatch), make(Transition::Cancel));
            let made = [dispatch.await.unwrap(), cancel.await.unwrap()];
            assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
            assert_eq!(store.get(id).await.unwrap().unwrap().version, 2);
        }
    });
}

/// What a random walk does next: a transition, and the version it gives.
fn steps() -> impl Strategy<Value = Vec<(Transition, Option<u32>)>> {
    let step = (proptest::sample::select(Transition::ALL.to_vec()), proptest::option::of(1..5_u32));
    proptest::collection::vec(step, 1..12)
}

#[test]
fn whatever_is_done_in_whatever_order_the_store_follows_the_diagram() {
    let mut runner = TestRunner::new(Config { cases: 40, ..Config::default() });
    let walks: Vec<_> = (0..40).map(|_| steps().new_tree(&mut runner).unwrap().current()).collect();
    on_each_database(|store| {
        let walks = walks.clone();
        async move {
            for walk in walks {
                println!("{walk:?}");
                let mut model = stored(&store, pending(at(0))).await;
                for (transition, read) in walk {
                    take(&store, &mut model, transition, read).await;
                    assert_eq!(store.get(model.id).await.unwrap().as_ref(), Some(&model));
                }
                // The next walk finds nothing else to expire.
                store.expire(10, at(100)).await.unwrap();
            }
        }
    });
}

/// Takes one step in the store and in the model, which is a delivery and the diagram.
async fn take(store: &Store, model: &mut Delivery, transition: Transition, read: Option<u32>) {
    let now = at(10);
    let settled_by = match transition {
        Transition::Confirm => Some(Verdict::Deliverable),
        Transition::Reject => Some(Verdict::NotDeliverable),
        _ => None,
    };
    let made = if let Some(verdict) = settled_by {
        let evidence = evidence(verdict, Source::Deferred);
        let version = read.unwrap_or(model.version);
        let made = model.state == State::Pending && version == model.version;
        if made {
            model.admission = Admission::Checked(evidence.clone());
        }
        let settled = store.settle(vec![Settlement { id: model.id, version, evidence }], now).await.unwrap();
        assert_eq!(settled.all(), u64::from(made));
        made
    } else if transition == Transition::Expire {
        let made = model.state == State::Pending;
        assert_eq!(store.expire(10, at(100)).await.unwrap(), u64::from(made));
        made
    } else {
        let wanted = model.step(transition, read);
        let answer = store.transition(model.id, transition, read, None, now, in_time()).await;
        assert_eq!(answer.is_ok(), wanted.is_ok(), "{answer:?}");
        if wanted == Ok(Step::ToMake) && model.state == State::Pending {
            model.admission = Admission::Unchecked { verify_by: None };
        }
        wanted == Ok(Step::ToMake)
    };
    if made {
        model.state = model.state.after(transition).expect("the diagram leads there");
        model.version += 1;
        model.update_time = if transition == Transition::Expire { at(100) } else { now };
    }
}
