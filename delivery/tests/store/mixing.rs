//! Whatever is sent at once: each answer is true, and all of them together tell one story.

use std::collections::BTreeMap;

use chassis::database::StoreError;
use delivery::domain::{Delivery, DeliveryId, Order, State, Transition};
use delivery::store::{Created, Store, TransitionError};
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::databases::on_each_database;
use crate::samples::{NO_BOUND, at, confirmed, in_time, pending, product};

const ROUNDS: usize = 60;
const MADE_BY_CALLERS: [Transition; 4] =
    [Transition::Dispatch, Transition::Complete, Transition::Return, Transition::Cancel];

/// A call about one of a few deliveries.
#[derive(Clone, Debug)]
enum Call {
    Create { of: usize, content: u128, waits: bool },
    Change { of: usize, transition: Transition, read: Option<u32> },
}

/// What a call was answered.
enum Said {
    Created(Result<Created, StoreError>),
    Changed(Result<Delivery, TransitionError>),
}

/// Calls that are sent at once, in some bursts.
fn bursts() -> impl Strategy<Value = Vec<Vec<Call>>> {
    let create = (0..3_usize, 0..2_u128, any::<bool>()).prop_map(|(of, content, waits)| Call::Create {
        of,
        content,
        waits,
    });
    let transition = proptest::sample::select(MADE_BY_CALLERS.to_vec());
    let change = (0..3_usize, transition, proptest::option::of(1..4_u32))
        .prop_map(|(of, transition, read)| Call::Change { of, transition, read });
    let burst = proptest::collection::vec(prop_oneof![create, change], 1..16);
    proptest::collection::vec(burst, 1..4)
}

async fn say(store: &Store, ids: &[DeliveryId], call: Call, second: i64) -> (usize, Said) {
    match call {
        Call::Create { of, content, waits } => {
            let delivery = if waits { pending(at(second)) } else { confirmed(at(second)) };
            let order = Order { product: product(content), ..delivery.order.clone() };
            let delivery = Delivery { id: ids[of], order, ..delivery };
            (of, Said::Created(store.create(delivery, None, NO_BOUND, in_time()).await))
        }
        Call::Change { of, transition, read } => {
            let made = store.transition(ids[of], transition, read, None, at(second), in_time());
            (of, Said::Changed(made.await))
        }
    }
}

#[test]
fn whatever_is_sent_at_once_all_answers_tell_one_story() {
    let mut runner = TestRunner::new(Config::default());
    let rounds: Vec<_> = (0..ROUNDS).map(|_| bursts().new_tree(&mut runner).unwrap().current()).collect();
    on_each_database(|store| {
        let rounds = rounds.clone();
        async move {
            for round in rounds {
                println!("{round:?}");
                let ids = [(); 3].map(|()| DeliveryId::fresh());
                let mut said = Vec::new();
                let mut second = 0;
                for burst in round {
                    let calls: Vec<_> = burst
                        .into_iter()
                        .map(|call| {
                            second += 1;
                            say(&store, &ids, call, second)
                        })
                        .collect();
                    said.extend(join_all(calls).await);
                }
                for (of, id) in ids.into_iter().enumerate() {
                    let about = said.iter().filter(|(about, _)| *about == of).map(|(_, said)| said);
                    check(about, store.get(id).await.unwrap());
                }
            }
        }
    });
}

/// Whether all that was said about one delivery can be true, given what it is in the end.
fn check<'a>(said: impl Iterator<Item = &'a Said>, last: Option<Delivery>) {
    let mut stored = 0;
    // Each version that somebody saw, as it was.
    let mut versions: BTreeMap<u32, Delivery> = BTreeMap::new();
    let mut see = |seen: &Delivery| {
        let known = versions.entry(seen.version).or_insert_with(|| seen.clone());
        assert_eq!(known, seen, "one version is one state");
    };
    let (mut creates, mut changes) = (0, 0);
    for said in said {
        match said {
            Said::Created(created) => {
                creates += 1;
                match created.as_ref().unwrap() {
                    Created::Stored(delivery) => {
                        stored += 1;
                        see(delivery);
                    }
                    Created::Existing(delivery) => see(delivery),
                    Created::OtherContent => {}
                    other => panic!("{other:?}"),
                }
            }
            Said::Changed(Ok(delivery)) => {
                changes += 1;
                see(delivery);
            }
            Said::Changed(Err(TransitionError::Refused(_))) => {}
            Said::Changed(Err(error)) => panic!("{error:?}"),
        }
    }
    assert_eq!(stored, u32::from(creates > 0), "one of them stores it");
    let Some(last) = last else {
        assert_eq!((creates, changes), (0, 0));
        return;
    };
    // No version is missing: each was made by somebody, who was told.
    assert_eq!(versions.keys().copied().collect::<Vec<_>>(), (1..=last.version).collect::<Vec<_>>());
    let states: Vec<State> = versions.values().map(|delivery| delivery.state).collect();
    for step in states.windows(2) {
        let leads_on = Transition::ALL.iter().any(|transition| step[0].after(*transition) == Some(step[1]));
        assert!(leads_on, "{step:?}");
    }
    assert_eq!(versions.into_values().last(), Some(last));
}
