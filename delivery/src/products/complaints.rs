//! Tells that Product is silent: an outage is one line every few seconds, not one for each call.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Why;

/// The least time between two lines: often enough to see that it goes on.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts the calls that got no answer since the last line.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: Option<Instant>,
    kept_back: u64,
}

// === impl Complaints ===

impl Complaints {
    /// Notes one call without an answer. A caller in a hurry says nothing about Product.
    pub(super) fn note(&self, why: Why) {
        if why == Why::CallersDeadline {
            return;
        }
        if let Some(kept_back) = self.due(Instant::now()) {
            tracing::warn!(%why, calls_before = kept_back, "Product is silent");
        }
    }

    /// How many were kept back, if it is time for a line.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.last.is_some_and(|last| now - last < INTERVAL) {
            inner.kept_back += 1;
            return None;
        }
        inner.last = Some(now);
        Some(std::mem::take(&mut inner.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_every_ten_seconds_counts_what_was_kept_back() {
        let complaints = Complaints::default();
        let begin = Instant::now();
        let due_after = |seconds| complaints.due(begin + Duration::from_secs(seconds));
        assert_eq!([due_after(0), due_after(1), due_after(9), due_after(10)], [Some(0), None, None, Some(2)]);
    }
}
