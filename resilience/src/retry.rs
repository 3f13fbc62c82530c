//! Whether a call that failed is tried again, when, and where.
//!
//! Which ends may be tried again follows AIP-194 (UNAVAILABLE), and gRPC's transparent retries for what was never processed.
//! The pauses have full jitter, as in Brooker, "Exponential Backoff And Jitter", 2015.

use std::time::Duration;

use tokio::time::Instant;

use crate::budget::Budget;
use crate::deadline::CallTime;
use crate::outcome::{Again, Evidence, Meaning, Pushback};

/// How often and how soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// Attempts of one call in all; those that are sent again uncharged don't count. 1: no retries.
    pub max_attempts: u32,
    /// The first pause is at most so long; each further one may be twice as long.
    pub first_pause: Duration,
    /// No pause is longer, unless the peer asks for it.
    pub max_pause: Duration,
}

/// The attempts of one call so far.
#[derive(Clone, Debug)]
pub struct Retries {
    settings: RetrySettings,
    /// Attempts that count, the first one included.
    attempts: u32,
    /// Whether it was sent again uncharged.
    resent: bool,
    /// Whether it was moved because an endpoint can't answer it.
    moved: bool,
}

/// What to do after an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The call ends.
    Stop(Stop),
    /// Another attempt, after a pause.
    Attempt {
        /// The pause before it.
        pause: Duration,
        /// Whether it must be on an endpoint that was not tried; else it is if there is one.
        elsewhere: bool,
        /// Whether it was taken from the budget.
        charged: bool,
    },
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// It would end the same.
    Pointless,
    /// There were as many as there may be.
    Attempts,
    /// The budget is spent.
    Budget,
    /// It would come too late.
    Time,
    /// It would make sense elsewhere only, and there is nowhere else; or every breaker is open.
    NowhereElse,
}

/// What the decision depends on besides the attempt itself.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Now.
    pub now: Instant,
    /// Now, in nanoseconds since the budget's start.
    pub now_ns: u64,
    /// The time of the call.
    pub time: &'a CallTime,
    /// Whether there is an endpoint that was not tried and lets calls through.
    pub others: bool,
    /// Whether any endpoint lets calls through.
    pub anywhere: bool,
    /// A random number from 0 to 1.
    pub chance: f64,
}

// === impl Stop ===

impl Stop {
    /// Every one, in the order in which they are declared.
    pub const ALL: [Self; 5] = [Self::Pointless, Self::Attempts, Self::Budget, Self::Time, Self::NowhereElse];

    /// Its name in a metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pointless => "pointless",
            Self::Attempts => "attempts",
            Self::Budget => "budget",
            Self::Time => "time",
            Self::NowhereElse => "nowhere_else",
        }
    }
}

// === impl Retries ===

impl Retries {
    /// The first attempt is about to be made.
    #[must_use]
    pub fn new(settings: RetrySettings) -> Self {
        Self { settings, attempts: 1, resent: false, moved: false }
    }

    /// Whether the attempt that is about to be made is the last that may be charged.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.attempts >= self.settings.max_attempts
    }

    /// A second attempt is made beside the present one: it counts like any other.
    pub fn note_hedge(&mut self) {
        self.attempts += 1;
    }

    /// What to do after an attempt that meant this.
    pub fn next(&mut self, meaning: &Meaning, budget: &Budget, around: Circumstances<'_>) -> Next {
        let at_once = |elsewhere| Next::Attempt { pause: Duration::ZERO, elsewhere, charged: false };
        let in_time = around.time.allows(around.now, Duration::ZERO);
        match meaning.again {
            Again::No => Next::Stop(Stop::Pointless),
            Again::Unsent if around.others && !self.resent && in_time => {
                self.resent = true;
                at_once(true)
            }
            Again::Unprocessed if !self.resent && in_time => {
                self.resent = true;
                at_once(false)
            }
            Again::Elsewhere if self.moved || !around.others => Next::Stop(Stop::NowhereElse),
            // An endpoint that is well is in no trouble that a further call elsewhere could worsen.
            Again::Elsewhere if meaning.evidence == Evidence::Neutral && in_time => {
                self.moved = true;
                at_once(true)
            }
            Again::Elsewhere => {
                let next = self.charge(Duration::ZERO, true, budget, around);
                self.moved = matches!(next, Next::Attempt { .. });
                next
            }
            // One endpoint that is not ready is no reason to wait where others are.
            Again::Yes if around.others && matches!(meaning.pushback, Some(Pushback::Hint(_))) => {
                self.charge(self.pause(around.chance), true, budget, around)
            }
            Again::Yes | Again::Unsent | Again::Unprocessed => {
                let asked = meaning.pushback.map(Pushback::pause);
                let pause = asked.unwrap_or_else(|| self.pause(around.chance));
                self.charge(pause, false, budget, around)
            }
        }
    }

    fn charge(
        &mut self,
        pause: Duration,
        elsewhere: bool,
        budget: &Budget,
        around: Circumstances<'_>,
    ) -> Next {
        if self.is_last() {
            return Next::Stop(Stop::Attempts);
        }
        if !around.anywhere {
            return Next::Stop(Stop::NowhereElse);
        }
        if !around.time.allows(around.now, pause) {
            return Next::Stop(Stop::Time);
        }
        if !budget.withdraw(around.now_ns) {
            return Next::Stop(Stop::Budget);
        }
        self.attempts += 1;
        Next::Attempt { pause, elsewhere, charged: true }
    }

    fn pause(&self, chance: f64) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(31);
        let most = self.settings.first_pause.saturating_mul(1 << doublings).min(self.settings.max_pause);
        most.mul_f64(chance)
    }
}
