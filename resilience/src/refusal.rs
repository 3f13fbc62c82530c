//! Why a call got no answer. What was refused here is never dressed up as an answer of the peer's.

use std::time::Duration;

use tonic::Status;

/// A call without an answer.
#[derive(Debug)]
pub struct CallError {
    /// Why.
    pub cause: Cause,
    /// Attempts that were made.
    pub attempts: u32,
    /// When another call may do better, where that is known.
    pub retry_after: Option<Duration>,
    /// Whether it ended because its caller's deadline left no more time.
    pub out_of_callers_time: bool,
}

/// Why a call got no answer.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The last attempt ended so: the peer said it, or tonic did of what went wrong on the way.
    Failed(Status),
    /// The last attempt was not answered in time.
    TimedOut,
    /// It was refused here, and nothing was sent.
    Refused(Refusal),
}

/// Why a call is refused here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Its deadline leaves no time for an attempt.
    NoTime,
    /// The bulkhead is full.
    Full,
    /// Every endpoint's breaker is open, or its limit reached.
    AllOpen,
    /// There are no endpoints.
    NoEndpoints,
}

// === impl Refusal ===

impl Refusal {
    /// Every one, in the order in which they are declared.
    pub const ALL: [Self; 4] = [Self::NoTime, Self::Full, Self::AllOpen, Self::NoEndpoints];

    /// Its name in a metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoTime => "no_time",
            Self::Full => "bulkhead_full",
            Self::AllOpen => "all_open",
            Self::NoEndpoints => "no_endpoints",
        }
    }
}
