//! Which of PostgreSQL's connections are used without a test: asking each whether it still lives costs a round trip before
//! every unit of work, and one that answered a moment ago does, as a rule.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::StoreError;

/// How long an answer speaks for a connection. A server that restarts takes about as long, so few are found dead in use.
const TRUST: Duration = Duration::from_secs(1);
/// For how long after one was found dead the others are tested, used since or not: one that takes no writes goes back to its
/// pool a moment after that was noticed.
const DOUBT: Duration = Duration::from_secs(1);

/// What is thought of the connections of one pool. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// When one of them was last found dead.
    lost: Arc<Mutex<Option<Instant>>>,
}

// === impl Trust ===

impl Trust {
    /// Whether a connection need not be tested that has been idle for so long.
    pub(super) fn covers(&self, idle_for: Duration) -> bool {
        let lost = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        idle_for < TRUST && lost.is_none_or(|lost| lost.elapsed() > idle_for + DOUBT)
    }

    /// Loses it if a connection was lost, or leads to where nothing can be written.
    pub(super) fn weigh(&self, error: &StoreError) {
        if error.is_of_connection() || error.is_of_read_only() {
            self.lose();
        }
    }

    /// The same for what may be a `StoreError`. What wraps one is not looked into.
    pub(super) fn weigh_any(&self, error: &(dyn Any + Send)) {
        if let Some(error) = error.downcast_ref() {
            self.weigh(error);
        }
    }

    /// One was found dead: what was idle at that moment is tested before it is used.
    pub(super) fn lose(&self) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answered_a_moment_ago_is_trusted() {
        let trust = Trust::default();
        assert!(trust.covers(Duration::ZERO));
        assert!(!trust.covers(TRUST));
    }

    #[test]
    fn when_one_is_lost_those_that_were_idle_then_or_soon_after_are_tested_and_those_used_since_are_not() {
        let trust = Trust::default();
        trust.lose();
        assert!(!trust.covers(TRUST / 2));
        *trust.lost.lock().unwrap() = Instant::now().checked_sub(DOUBT + TRUST * 3 / 8);
        assert!(!trust.covers(TRUST / 2));
        assert!(trust.covers(TRUST / 4));
    }
}
