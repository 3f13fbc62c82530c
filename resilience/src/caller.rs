//! One kind of calls to a service, whatever thread they are on: its settings, and all that its calls share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use crate::budget::{Budget, BudgetSettings};
use crate::bulkhead::Bulkhead;
use crate::deadline::DeadlineSettings;
use crate::endpoints::Endpoints;
use crate::hedge::{HedgeSettings, Latencies};
use crate::outcome::{Kind, Meaning};
use crate::random::Random;
use crate::refusal::Refusal;
use crate::retry::{RetrySettings, Stop};

/// The layers of a call, outermost first.
#[derive(Clone, Copy, Debug)]
pub struct CallSettings {
    /// How long a call and an attempt may take.
    pub deadline: DeadlineSettings,
    /// How many calls may be in flight.
    pub bulkhead: u32,
    /// How often a call is tried again.
    pub retry: RetrySettings,
    /// How many further attempts all calls together may make.
    pub budget: BudgetSettings,
    /// When a second attempt runs beside the first; `None`: never.
    pub hedge: Option<HedgeSettings>,
    /// What an error of an attempt means; `Meaning::of`, unless a service has codes with a meaning of their own.
    pub classify: fn(&Status) -> Meaning,
    /// Whether these calls' latency says how busy an endpoint is; not if each asks for more than others do.
    pub weighs: bool,
    /// An attempt that got no answer speaks against its endpoint if it had at least so long: less is a caller in a hurry.
    pub judged_from: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Caller {
    pub(crate) settings: CallSettings,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) bulkhead: Bulkhead,
    pub(crate) budget: Budget,
    pub(crate) latencies: Option<Latencies>,
    pub(crate) random: Random,
    pub(crate) counts: Counts,
    made_at: Instant,
}

/// What happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls, whatever came of them.
    pub calls: u64,
    /// Further attempts, taken from the budget.
    pub retries: u64,
    /// Requests sent again that cost nothing of it.
    pub resends: u64,
    /// Second attempts beside a first.
    pub hedges: u64,
    /// Those of them that answered first.
    pub hedges_won: u64,
    /// Attempts that were made for calls that went together.
    pub batches: u64,
    /// The calls in them.
    pub batched: u64,
}

/// The same, being counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: AtomicU64,
    retries: [AtomicU64; Kind::ALL.len()],
    pub(crate) resends: AtomicU64,
    pub(crate) hedges: AtomicU64,
    pub(crate) hedges_won: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) batched: AtomicU64,
    refusals: [AtomicU64; Refusal::ALL.len()],
    stops: [AtomicU64; Stop::ALL.len()],
}

// === impl Caller ===

impl Caller {
    /// No calls yet.
    #[must_use]
    pub fn new(settings: CallSettings, endpoints: Arc<Endpoints>, random: Random) -> Self {
        Self {
            bulkhead: Bulkhead::new(settings.bulkhead),
            budget: Budget::new(settings.budget),
            latencies: settings.hedge.map(Latencies::new),
            settings,
            endpoints,
            random,
            counts: Counts::default(),
            made_at: Instant::now(),
        }
    }

    /// The endpoints that it calls.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Calls in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.bulkhead.in_flight()
    }

    /// Whole tokens in the retry budget.
    #[must_use]
    pub fn budget_tokens(&self) -> u64 {
        self.budget.tokens()
    }

    /// What happened, since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Totals {
            calls: read(&self.counts.calls),
            retries: self.counts.retries.iter().map(read).sum(),
            resends: read(&self.counts.resends),
            hedges: read(&self.counts.hedges),
            hedges_won: read(&self.counts.hedges_won),
            batches: read(&self.counts.batches),
            batched: read(&self.counts.batched),
        }
    }

    pub(crate) fn age_ns(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.made_at).as_nanos()).unwrap_or(u64::MAX)
    }
}

// === impl Counts ===

impl Counts {
    /// A further attempt because the last one ended so.
    pub(crate) fn retried(&self, because: Kind) {
        self.retries[because as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retries(&self, because: Kind) -> u64 {
        self.retries[because as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refusals[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self, stop: Stop) {
        self.stops[stop as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refusals(&self, refusal: Refusal) -> u64 {
        self.refusals[refusal as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn stops(&self, stop: Stop) -> u64 {
        self.stops[stop as usize].load(Ordering::Relaxed)
    }
}
