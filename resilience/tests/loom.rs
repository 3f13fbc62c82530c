//! The lock-free parts under every order of events that loom can make. The files themselves are tried, with loom's atomics
//! under the name by which they know the standard ones.
#![allow(dead_code, missing_docs, reason = "the files are used in part here")]

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}
#[path = "../src/budget.rs"]
mod budget;
#[path = "../src/bulkhead.rs"]
mod bulkhead;

use budget::{Budget, BudgetSettings};
use bulkhead::Bulkhead;
use loom::sync::Arc;
use loom::thread;

#[test]
fn no_token_is_lost_and_none_is_withdrawn_twice() {
    loom::model(|| {
        let settings = BudgetSettings { per_ten_thousand: 5_000, capacity_tokens: 10, reserve_per_second: 0 };
        let budget = Arc::new(Budget::new(settings));
        budget.deposit();
        let threads = [0, 1].map(|_| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || {
                budget.deposit();
                budget.withdraw(0)
            })
        });
        let withdrawn = threads.map(|thread| thread.join().unwrap()).iter().filter(|done| **done).count();
        // Three halves were deposited: one token can be had, by whoever comes when it is there, and by nobody else.
        let left = usize::from(budget.withdraw(0));
        assert_eq!(withdrawn + left, 1);
    });
}

#[test]
fn the_reserve_gives_one_token_a_time_to_one() {
    loom::model(|| {
        let settings = BudgetSettings { per_ten_thousand: 0, capacity_tokens: 1, reserve_per_second: 10 };
        let budget = Arc::new(Budget::new(settings));
        let threads = [0, 1].map(|_| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || budget.withdraw(100_000_000))
        });
        let withdrawn = threads.map(|thread| thread.join().unwrap()).iter().filter(|done| **done).count();
        assert_eq!(withdrawn, 1);
    });
}

#[test]
fn a_bulkhead_never_holds_more_than_it_has_room_for_and_ends_empty() {
    loom::model(|| {
        let bulkhead = Arc::new(Bulkhead::new(1));
        let threads = [0, 1].map(|_| {
            let bulkhead = Arc::clone(&bulkhead);
            thread::spawn(move || {
                let place = bulkhead.enter();
                assert!(bulkhead.in_flight() <= 1);
                place.is_some()
            })
        });
        let entered = threads.map(|thread| thread.join().unwrap());
        assert!(entered.contains(&true));
        assert_eq!(bulkhead.in_flight(), 0);
    });
}
