//! What a call carries from attempt to attempt.

use super::Patience;
use crate::budget::Budget;
use crate::deadline::CallTime;
use crate::endpoints::{Endpoint, Tried};
use crate::refusal::Cause;
use crate::retry::Retries;

/// See the module.
pub(super) struct Progress {
    pub(super) time: CallTime,
    pub(super) patience: Patience,
    pub(super) retries: Retries,
    pub(super) tried: Tried,
    pub(super) attempts: u32,
    /// Whether it has paid into the budget: with its first attempt.
    has_deposited: bool,
    /// Whether the next attempt must be on an endpoint that was not tried.
    pub(super) elsewhere: bool,
    /// Whether the next attempt must not go with other calls: one of them may be why the last one failed.
    pub(super) alone: bool,
    pub(super) last_failure: Option<Cause>,
}

// === impl Progress ===

impl Progress {
    pub(super) fn new(time: CallTime, patience: Patience, retries: Retries) -> Self {
        Self {
            time,
            patience,
            retries,
            tried: Tried::new(),
            attempts: 0,
            has_deposited: false,
            elsewhere: false,
            alone: false,
            last_failure: None,
        }
    }

    /// An attempt on an endpoint begins.
    pub(super) fn begin(&mut self, endpoint: &Endpoint, budget: &Budget) {
        self.tried.push(endpoint.id);
        self.attempts += 1;
        if !std::mem::replace(&mut self.has_deposited, true) {
            budget.deposit();
        }
    }

    /// The last one did not: nothing was sent.
    pub(super) fn unbegin(&mut self) {
        self.tried.pop();
        self.attempts -= 1;
    }
}
