//! The retry budget: how many further attempts all calls together may make.
//!
//! A token bucket in whole numbers. Each call deposits a fraction of a token, each retry withdraws a whole one, so at
//! worst the traffic grows by that fraction. A trickle of further tokens, the reserve, lets a client with few calls retry
//! too. (The idea is Finagle's RetryBudget; there the fractions are floating point, and its relatives in Rust round them.)

use crate::atomic::{AtomicU64, Ordering};

/// The smallest fraction of a token that is counted: a ratio of 0.0001 is exact.
const UNITS_PER_TOKEN: u64 = 10_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How much a budget gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// What each call deposits, in ten-thousandths of a token: 1,000 lets every tenth call be retried.
    pub per_ten_thousand: u32,
    /// Most tokens that are kept: what a burst of failures after a long calm may spend at once.
    pub capacity_tokens: u32,
    /// Tokens a second besides, one at a time and none saved, not even at start. 0: none.
    pub reserve_per_second: u32,
}

/// See the module. One for all calls of a kind, whatever thread they are on.
#[derive(Debug)]
pub struct Budget {
    deposit_units: u64,
    capacity_units: u64,
    units: AtomicU64,
    /// Time between two tokens of the reserve; `None`: there is none.
    reserve_interval_ns: Option<u64>,
    /// When the reserve has its next token, in nanoseconds since the budget's start.
    reserve_at_ns: AtomicU64,
}

// === impl Budget ===

impl Budget {
    /// An empty budget, at the time 0.
    #[must_use]
    pub fn new(settings: BudgetSettings) -> Self {
        let reserve = u64::from(settings.reserve_per_second);
        let interval = NANOS_PER_SECOND.checked_div(reserve);
        Self {
            deposit_units: u64::from(settings.per_ten_thousand.min(10_000)),
            capacity_units: u64::from(settings.capacity_tokens) * UNITS_PER_TOKEN,
            units: AtomicU64::new(0),
            reserve_interval_ns: interval,
            // The first token comes after an interval: a start is no burst.
            reserve_at_ns: AtomicU64::new(interval.unwrap_or(0)),
        }
    }

    /// Notes a call.
    pub fn deposit(&self) {
        let added = |units: u64| Some(self.capacity_units.min(units + self.deposit_units));
        // It never refuses, so there is no error.
        let _ = self.units.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added);
    }

    /// Takes a token, `now_ns` nanoseconds after the budget's start. False: there is none, don't retry.
    pub fn withdraw(&self, now_ns: u64) -> bool {
        let taken = |units: u64| units.checked_sub(UNITS_PER_TOKEN);
        self.units.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
            || self.withdraw_reserve(now_ns)
    }

    /// Whole tokens that are left, the reserve not counted.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.units.load(Ordering::Relaxed) / UNITS_PER_TOKEN
    }

    fn withdraw_reserve(&self, now_ns: u64) -> bool {
        let Some(interval) = self.reserve_interval_ns else { return false };
        let next = |at: u64| if at <= now_ns { Some(now_ns + interval) } else { None };
        self.reserve_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}
