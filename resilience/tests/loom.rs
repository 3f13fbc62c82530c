//! The lock-free parts under every order of events that loom can make. The files themselves are tried, with loom's atomics
//! under the name by which they know the standard ones.
#![allow(dead_code, unused_imports, missing_docs, reason = "the files are used in part here")]

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}
#[path = "../src/breaker.rs"]
mod breaker;
#[path = "../src/budget.rs"]
mod budget;
#[path = "../src/bulkhead.rs"]
mod bulkhead;
#[path = "../src/random.rs"]
mod random;

use std::time::Duration;

use breaker::{Breaker, BreakerSettings, CallEnd, State, WindowSettings};
use budget::{Budget, BudgetSettings};
use bulkhead::Bulkhead;
use loom::sync::Arc;
use loom::thread;
use random::Random;
use tokio::time::Instant;

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

/// Opens at the first failure.
fn breaker(now: Instant) -> Arc<Breaker> {
    let settings = BreakerSettings {
        window: WindowSettings::Count(1),
        minimum_calls: 1,
        failure_rate_percent: 50,
        slow_rate_percent: 101,
        slow: None,
        half_open_calls: 1,
        open: Duration::from_secs(1),
        open_multiplier: 1.0,
        max_open: Duration::from_secs(1),
        open_jitter: 0.0,
    };
    Arc::new(Breaker::new(settings, Random::seeded(1), now, Box::new(|_| {})))
}

#[test]
fn a_call_that_began_before_its_breaker_opened_says_nothing_of_what_comes_after() {
    loom::model(|| {
        let now = Instant::now();
        let breaker = breaker(now);
        let threads = [CallEnd::Failure, CallEnd::Success].map(|end| {
            let breaker = Arc::clone(&breaker);
            thread::spawn(move || {
                if let Ok(permit) = breaker.acquire(now) {
                    permit.finish(end, Duration::ZERO, now);
                }
            })
        });
        let [(), ()] = threads.map(|thread| thread.join().unwrap());
        // Whoever came first: one failure in a window of one opens it, and no success of before closes it.
        assert_eq!(breaker.state(), State::Open);
        assert!(breaker.acquire(now).is_err() && breaker.looks_open(now));
    });
}

#[test]
fn one_of_two_callers_gets_the_probe_and_what_it_finds_counts() {
    loom::model(|| {
        let began = Instant::now();
        let breaker = breaker(began);
        breaker.acquire(began).unwrap().finish(CallEnd::Failure, Duration::ZERO, began);
        let now = began + Duration::from_secs(2);
        let threads = [0, 1].map(|_| {
            let breaker = Arc::clone(&breaker);
            thread::spawn(move || match breaker.acquire(now) {
                Ok(permit) if permit.is_probe() => {
                    permit.finish(CallEnd::Success, Duration::ZERO, now);
                    1
                }
                // After the probe, everyone.
                Ok(_) | Err(_) => 0,
            })
        });
        let probes: u32 = threads.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!((probes, breaker.state()), (1, State::Closed));
    });
}
