//! No answer from Product, and why, as far as it can be known from here.

use std::time::Duration;

use resilience::breaker::State;

/// When to ask again, if nobody knows better: a Product that restarts is back in about that time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// No answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Why.
    pub why: Why,
    /// When to ask again.
    pub retry_after: Duration,
    /// How often Product was asked.
    pub attempts: u32,
    /// The best state among the breakers of Product's endpoints; `None`: there are no endpoints, or it was not looked at.
    pub breaker: Option<State>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No connection, or one that broke.
    #[error("Product can't be reached")]
    Unreachable,
    /// The name that it is behind has no addresses.
    #[error("Product has no address")]
    NoEndpoints,
    /// It has not answered lately, so nobody asks it now.
    #[error("Product is not asked for a moment, since it did not answer lately")]
    BreakerOpen,
    /// As many questions wait for it as may.
    #[error("too many questions wait for Product")]
    Full,
    /// Not within --product-timeout-ms.
    #[error("Product did not answer in time")]
    TooSlow,
    /// Not within what the caller's deadline left, which was less.
    #[error("Product did not answer within the caller's deadline")]
    CallersDeadline,
    /// It answers that it can't answer anybody for now.
    #[error("Product is not ready to answer")]
    Unready,
    /// It answers, with an error that may be about this question.
    #[error("Product can't answer")]
    Failing,
    /// It has not seen the min_revision yet.
    #[error("Product has not reached min_revision yet")]
    RevisionNotReached,
    /// It sent what the contract does not allow.
    #[error("Product's answer makes no sense")]
    Nonsense,
    /// It decided, each time with an end that had passed before the delivery could be stored.
    #[error("Product's decisions ended before they could be used")]
    Lapsed,
}

// === impl Silence ===

impl Silence {
    /// Silence after one attempt.
    #[must_use]
    pub fn new(why: Why) -> Self {
        Self { why, retry_after: RETRY_AFTER, attempts: 1, breaker: None }
    }
}
