//! How verifiers share what is PENDING.

use std::collections::HashSet;

use deliverability::{Timestamp, Verdict};
use delivery::domain::{Admission, Delivery, DeliveryId, Source, State, Transition};
use delivery::store::{Backlog, Settled, Settlement, Store};

use crate::databases::on_each_database;
use crate::samples::{at, confirmed, evidence, in_time, pending, stored};

async fn claim(store: &Store, limit: u32, lease_until: Timestamp, now: Timestamp) -> Vec<DeliveryId> {
    let claimed = store.claim(limit, lease_until, now).await.unwrap();
    claimed.into_iter().map(|delivery| delivery.id).collect()
}

fn settlement(delivery: &Delivery, verdict: Verdict) -> Settlement {
    let evidence = evidence(verdict, Source::Deferred);
    Settlement { id: delivery.id, version: delivery.version, evidence }
}

#[test]
fn the_oldest_that_wait_are_claimed_first_and_as_they_are() {
    on_each_database(|store| async move {
        stored(&store, confirmed(at(0))).await;
        let youngest = stored(&store, pending(at(3))).await;
        let oldest = stored(&store, pending(at(1))).await;
        let middle = stored(&store, pending(at(2))).await;
        assert_eq!(store.claim(2, at(30), at(5)).await.unwrap(), [oldest, middle]);
        assert_eq!(store.claim(2, at(30), at(5)).await.unwrap(), [youngest]);
    });
}

#[test]
fn what_waits_is_counted_up_to_a_bound_and_the_oldest_of_it_is_known() {
    on_each_database(|store| async move {
        assert_eq!(store.backlog(10).await.unwrap(), Backlog { pending: 0, oldest: None });
        stored(&store, confirmed(at(0))).await;
        for second in [3, 1, 2] {
            stored(&store, pending(at(second))).await;
        }
        assert_eq!(store.backlog(10).await.unwrap(), Backlog { pending: 3, oldest: Some(at(1)) });
        assert_eq!(store.backlog(2).await.unwrap(), Backlog { pending: 2, oldest: Some(at(1)) });
    });
}

#[test]
fn two_verifiers_never_claim_the_same_delivery() {
    on_each_database(|store| async move {
        for second in 0..60 {
            stored(&store, pending(at(second))).await;
        }
        let claims = (0..8).map(|number| {
            let store = store.clone();
            tokio::spawn(async move { claim(&store, 10, at(200 + number), at(60)).await })
        });
        let claimed: Vec<_> =
            futures_util::future::join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), claimed.len(), "none twice");
        // Whoever came last may have found rows that were in other hands; they are there for the next.
        let rest = claim(&store, 100, at(300), at(60)).await;
        assert_eq!(claimed.len() + rest.len(), 60);
    });
}

#[test]
fn a_lease_that_has_ended_is_claimed_again() {
    on_each_database(|store| async move {
        let id = stored(&store, pending(at(0))).await.id;
        assert_eq!(claim(&store, 1, at(30), at(1)).await, [id]);
        assert_eq!(claim(&store, 1, at(59), at(29)).await, []);
        assert_eq!(claim(&store, 1, at(60), at(30)).await, [id]);
    });
}

#[test]
fn what_is_released_can_be_claimed_at_once_and_what_rests_can_not() {
    on_each_database(|store| async move {
        let released = stored(&store, pending(at(0))).await.id;
        let resting = stored(&store, pending(at(1))).await.id;
        let others = stored(&store, pending(at(2))).await.id;
        assert_eq!(claim(&store, 2, at(30), at(3)).await, [released, resting]);
        assert_eq!(claim(&store, 2, at(31), at(3)).await, [others]);
        store.rest(vec![resting], at(40)).await.unwrap();
        store.release(at(30)).await.unwrap();
        assert_eq!(claim(&store, 9, at(33), at(3)).await, [released]);
        assert_eq!(claim(&store, 9, at(90), at(39)).await, [released, others]);
        assert_eq!(claim(&store, 9, at(90), at(40)).await, [resting]);
    });
}

#[test]
fn what_product_says_makes_a_delivery_confirmed_or_rejected_with_its_evidence() {
    on_each_database(|store| async move {
        for (verdict, state) in
            [(Verdict::Deliverable, State::Confirmed), (Verdict::NotDeliverable, State::Rejected)]
        {
            let delivery = stored(&store, pending(at(0))).await;
            let settlement = settlement(&delivery, verdict);
            let admission = Admission::Checked(settlement.evidence.clone());
            assert_eq!(store.settle(vec![settlement], at(9)).await.unwrap().all(), 1);
            let wanted = Delivery { state, admission, version: 2, update_time: at(9), ..delivery.clone() };
            assert_eq!(store.get(delivery.id).await.unwrap(), Some(wanted));
        }
    });
}

#[test]
fn a_settlement_comes_too_late_for_what_was_cancelled_or_settled_meanwhile() {
    on_each_database(|store| async move {
        let cancelled = stored(&store, pending(at(0))).await;
        let settled = stored(&store, pending(at(1))).await;
        let waiting = stored(&store, pending(at(2))).await;
        store.transition(cancelled.id, Transition::Cancel, None, None, at(3), in_time()).await.unwrap();
        store.settle(vec![settlement(&settled, Verdict::NotDeliverable)], at(3)).await.unwrap();
        let late =
            [&cancelled, &settled, &waiting].map(|delivery| settlement(delivery, Verdict::Deliverable));
        let once = Settled { confirmed: 1, rejected: 0 };
        assert_eq!(store.settle(late.to_vec(), at(4)).await.unwrap(), once);
        let mut states = Vec::new();
        for delivery in [cancelled, settled, waiting] {
            states.push(store.get(delivery.id).await.unwrap().unwrap().state);
        }
        assert_eq!(states, [State::Cancelled, State::Rejected, State::Confirmed]);
    });
}

#[test]
fn what_nobody_could_say_in_time_expires_and_keeps_its_time() {
    on_each_database(|store| async move {
        let delivery = stored(&store, pending(at(0))).await;
        claim(&store, 1, at(500), at(1)).await;
        assert_eq!(store.expire(10, at(99)).await.unwrap(), 0);
        // A lease is no protection: the time is the caller's.
        assert_eq!(store.expire(10, at(100)).await.unwrap(), 1);
        let wanted = Delivery { state: State::Expired, version: 2, update_time: at(100), ..delivery.clone() };
        assert_eq!(wanted.admission, Admission::Unchecked { verify_by: Some(at(100)) });
        assert_eq!(store.get(delivery.id).await.unwrap(), Some(wanted));
        assert_eq!(store.expire(10, at(101)).await.unwrap(), 0);
    });
}

#[test]
fn what_is_past_its_time_is_not_claimed_any_more_and_expires_bit_by_bit() {
    on_each_database(|store| async move {
        for second in 0..5 {
            stored(&store, pending(at(second))).await;
        }
        assert_eq!(claim(&store, 9, at(200), at(100)).await, []);
        let expired = [store.expire(3, at(100)).await.unwrap(), store.expire(3, at(100)).await.unwrap()];
        assert_eq!(expired, [3, 2]);
    });
}
