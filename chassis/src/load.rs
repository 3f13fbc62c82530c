//! The load limit: how many calls of one service a process works on at once. There is no queue: one more is refused.
//!
//! Every core would wait for a count that all of them write with each call. So each runtime keeps some permits that its
//! calls gave back, and its next calls take those; only when it runs out, or has too many, does it touch the common pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderMap;

use crate::status::Failure;

/// When a refused caller may try again: some calls' time, so that the load has changed by then.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// All runtimes together keep at most one part in so many of the permits: that much below the limit a call may be refused.
const KEPT_PART: usize = 8;

/// Counts the calls in flight of a service in the process.
#[derive(Debug)]
pub(crate) struct LoadLimit {
    max: usize,
    common: Arc<Common>,
    shares: Vec<Arc<Share>>,
}

/// What the runtimes have in common.
#[derive(Debug)]
struct Common {
    pool: Pool,
    /// Permits that one runtime may keep.
    max_kept: usize,
    /// Made once: refusing must cost next to nothing, since it happens when there is no time.
    refusal: HeaderMap,
}

/// Permits that no call holds, on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
struct Pool(AtomicUsize);

/// The limit as one runtime sees it.
#[derive(Debug)]
pub(crate) struct Share {
    kept: Pool,
    refused: AtomicU64,
    common: Arc<Common>,
}

// === impl LoadLimit ===

impl LoadLimit {
    /// A limit for so many runtimes.
    pub(crate) fn new(max: usize, runtimes: usize) -> Self {
        let message = format!("{max} calls are in flight, which is the most that this service works on");
        let refusal = Failure::overloaded(message, RETRY_AFTER).into_status().into_http::<()>();
        let common = Common {
            pool: Pool(AtomicUsize::new(max)),
            max_kept: max / KEPT_PART / runtimes.max(1),
            refusal: refusal.into_parts().0.headers,
        };
        Self { max, common: Arc::new(common), shares: Vec::new() }
    }

    /// The limit for one more runtime.
    pub(crate) fn share(&mut self) -> Arc<Share> {
        let kept = Pool(AtomicUsize::new(0));
        let share = Share { kept, refused: AtomicU64::new(0), common: Arc::clone(&self.common) };
        let share = Arc::new(share);
        self.shares.push(Arc::clone(&share));
        share
    }

    /// How many calls are in flight. One that begins or ends meanwhile may be missed.
    pub(crate) fn in_flight(&self) -> usize {
        let kept: usize = self.shares.iter().map(|share| share.kept.count()).sum();
        self.max.saturating_sub(self.common.pool.count() + kept)
    }

    /// How many calls were refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.shares.iter().map(|share| share.refused.load(Ordering::Relaxed)).sum()
    }
}

// === impl Share ===

impl Share {
    /// Takes the right to one more call, unless the limit is reached. Who got it calls `leave` at the call's end.
    pub(crate) fn enter(&self) -> bool {
        let entered = self.kept.take() || self.common.pool.take();
        if !entered {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        entered
    }

    /// Gives one back.
    pub(crate) fn leave(&self) {
        if self.kept.give() >= self.common.max_kept && self.kept.take() {
            self.common.pool.give();
        }
    }

    /// The headers of a refusal, which is a whole gRPC answer.
    pub(crate) fn refusal(&self) -> HeaderMap {
        self.common.refusal.clone()
    }
}

// === impl Pool ===

impl Pool {
    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1)).is_ok()
    }

    /// Says how many there were before.
    fn give(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_more_than_the_limit_is_refused_until_another_ends() {
        let mut limit = LoadLimit::new(2, 1);
        let share = limit.share();
        assert!(share.enter() && share.enter() && !share.enter());
        assert_eq!((limit.in_flight(), limit.refused()), (2, 1));
        share.leave();
        assert!(share.enter());
        assert_eq!((limit.in_flight(), limit.refused()), (2, 1));
    }

    #[test]
    fn runtimes_share_the_limit_but_for_the_few_permits_that_each_keeps() {
        let mut limit = LoadLimit::new(64, 2);
        let (first, second) = (limit.share(), limit.share());
        assert_eq!((0..100).filter(|_| first.enter()).count(), 64);
        (0..64).for_each(|_| first.leave());
        assert_eq!(limit.in_flight(), 0);
        // An eighth of the limit is kept at most, half of it by each of the two.
        assert_eq!((0..100).filter(|_| second.enter()).count(), 60);
        assert_eq!((0..100).filter(|_| first.enter()).count(), 4);
        assert_eq!((limit.in_flight(), limit.refused()), (64, 36 + 40 + 96));
    }

    #[test]
    fn threads_that_race_never_pass_the_limit_and_lose_no_permit() {
        let mut limit = LoadLimit::new(40, 4);
        let held = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for share in [(); 4].map(|()| limit.share()) {
                let held = &held;
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        let entered = (0..15).filter(|_| share.enter()).count();
                        assert!(held.fetch_add(entered, Ordering::SeqCst) + entered <= 40);
                        held.fetch_sub(entered, Ordering::SeqCst);
                        (0..entered).for_each(|_| share.leave());
                    }
                });
            }
        });
        assert_eq!(limit.in_flight(), 0);
    }
}
