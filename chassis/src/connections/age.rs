//! How old a connection grows. Its client opens another then, perhaps to a process that was not there before.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The most by which an age is less than the longest, in percent: connections that were opened together are not opened
/// again together.
const JITTER_PERCENT: u32 = 20;

/// How long streams go on after the age. Whoever reads one resumes it, but seldom likes to.
const STREAMS_GRACE: Duration = Duration::from_secs(600);

/// How long after its streams have ended a connection is cut, with whatever is left on it: calls with a deadline of many
/// minutes, or answers that the client does not read.
const CUT_GRACE: Duration = Duration::from_secs(60);

/// When one connection is to end; `None`: its age has no bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Age(Option<Instant>);

// === impl Age ===

impl Age {
    /// Of a connection that opens now.
    pub(super) fn new(longest: Option<Duration>) -> Self {
        Self(longest.map(|longest| Instant::now() + shortened(longest, RandomState::new().hash_one(()))))
    }

    /// Waits until the client is to go elsewhere with its next calls.
    pub(super) async fn reached(self) {
        until(self.0).await;
    }

    /// When streams end.
    pub(super) fn streams_end(self) -> Option<Instant> {
        self.0.map(|reached| reached + STREAMS_GRACE)
    }

    /// Waits until the connection is to be cut.
    pub(super) async fn over(self) {
        until(self.streams_end().map(|end| end + CUT_GRACE)).await;
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// `longest` without a part of it that `chance` decides.
fn shortened(longest: Duration, chance: u64) -> Duration {
    const STEPS: u32 = 1_000;
    let steps = u32::try_from(chance % u64::from(STEPS + 1)).unwrap_or(0);
    longest - longest * JITTER_PERCENT / 100 * steps / STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_up_to_a_fifth() {
        let longest = Duration::from_secs(300);
        assert_eq!(shortened(longest, 0), longest);
        assert_eq!(shortened(longest, 1_000), Duration::from_secs(240));
        assert!(shortened(longest, 1) < longest);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_of_one_moment_end_at_different_ones() {
        let ages = [(); 8].map(|()| Age::new(Some(Duration::from_secs(300))).streams_end());
        assert!(ages.iter().any(|age| *age != ages[0]), "{ages:?}");
        assert_eq!(Age::new(None).streams_end(), None);
    }
}
