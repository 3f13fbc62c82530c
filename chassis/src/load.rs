//! The load limit: how many calls of one service a process works on at once. There is no queue: one more is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderMap;

use crate::status::Failure;

/// When a refused caller may try again: some calls' time, so that the load has changed by then.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Counts the calls in flight of a service in the process; a clone counts with it.
#[derive(Clone, Debug)]
pub(crate) struct LoadLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    in_flight: AtomicUsize,
    refused: AtomicU64,
    /// Made once: refusing must cost next to nothing, since it happens when there is no time.
    refusal: HeaderMap,
}

/// The right to one call; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Inner>);

// === impl LoadLimit ===

impl LoadLimit {
    pub(crate) fn new(max: usize) -> Self {
        let message = format!("{max} calls are in flight, which is the most that this service works on");
        let refusal = Failure::overloaded(message, RETRY_AFTER).into_status().into_http::<()>();
        let refusal = refusal.into_parts().0.headers;
        Self(Arc::new(Inner { max, in_flight: AtomicUsize::new(0), refused: AtomicU64::new(0), refusal }))
    }

    /// The right to one more call, unless the limit is reached.
    pub(crate) fn permit(&self) -> Option<Permit> {
        // Made first, so that leaving without it gives back what was counted.
        let permit = Permit(Arc::clone(&self.0));
        if self.0.in_flight.fetch_add(1, Ordering::Relaxed) < self.0.max {
            return Some(permit);
        }
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// The headers of a refusal, which is a whole gRPC answer.
    pub(crate) fn refusal(&self) -> HeaderMap {
        self.0.refusal.clone()
    }

    /// How many calls are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// How many calls were refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

// === impl Permit ===

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_more_than_the_limit_is_refused_until_another_ends() {
        let limit = LoadLimit::new(2);
        let first = limit.permit().unwrap();
        let _second = limit.permit().unwrap();
        assert!(limit.permit().is_none());
        assert_eq!((limit.in_flight(), limit.refused()), (2, 1));
        drop(first);
        assert!(limit.permit().is_some());
        assert_eq!((limit.in_flight(), limit.refused()), (1, 1));
    }
}
