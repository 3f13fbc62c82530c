//! Hedging: a second attempt, on another endpoint, when the first takes longer than most do. (Dean and Barroso, "The Tail at
//! Scale", 2013.) Only for calls that change nothing. Off unless asked for: it helps where single endpoints stall, and costs
//! further attempts where all of them are slow, which the retry budget bounds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When a call is hedged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgeSettings {
    /// The part of all attempts that are faster than the wait for the second one, such as 0.95.
    pub quantile: f64,
    /// The least wait.
    pub min_wait: Duration,
}

/// Attempts that must have been seen before any call is hedged.
const MIN_SEEN: u64 = 100;
/// The quantile is found anew after so many attempts, and what was seen before counts half from then on.
const RENEW_EVERY: u64 = 1_000;
/// Buckets double from one microsecond: the last begins at two minutes. Four steps in each, so they are 19 % wide.
const STEPS_PER_DOUBLING: u32 = 4;
const BUCKETS: usize = 28 * STEPS_PER_DOUBLING as usize;

/// How long attempts take, as far as the wait for a second one needs it.
#[derive(Debug)]
pub struct Latencies {
    settings: HedgeSettings,
    buckets: [AtomicU64; BUCKETS],
    seen: AtomicU64,
    /// 0: not known yet.
    wait_us: AtomicU64,
}

// === impl Latencies ===

impl Latencies {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(settings: HedgeSettings) -> Self {
        Self {
            settings,
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            seen: AtomicU64::new(0),
            wait_us: AtomicU64::new(0),
        }
    }

    /// Notes an attempt that was answered, or was given up after so long.
    pub fn note(&self, took: Duration) {
        self.buckets[bucket(took)].fetch_add(1, Ordering::Relaxed);
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if seen == MIN_SEEN || seen.is_multiple_of(RENEW_EVERY) {
            self.renew(seen != MIN_SEEN);
        }
    }

    /// How long to wait for an attempt before a second one is made; `None`: too little is known.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        let wait_us = self.wait_us.load(Ordering::Relaxed);
        (wait_us > 0).then(|| Duration::from_micros(wait_us).max(self.settings.min_wait))
    }

    fn renew(&self, forget: bool) {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let rank = all as f64 * self.settings.quantile;
        let mut below = 0;
        for (index, count) in counts.iter().enumerate() {
            below += count;
            let reached = below as f64 >= rank;
            if reached {
                self.wait_us.store(upper_bound_us(index), Ordering::Relaxed);
                break;
            }
        }
        if forget {
            // What other threads add meanwhile stays: only half of what was read is taken off.
            for (bucket, count) in self.buckets.iter().zip(counts) {
                bucket.fetch_sub(count / 2, Ordering::Relaxed);
            }
        }
    }
}

fn bucket(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let doubling = us.ilog2();
    // The two bits below the highest one are the step.
    let step = if doubling >= 2 { (us >> (doubling - 2)) & 3 } else { (us << (2 - doubling)) & 3 };
    let index = doubling as usize * STEPS_PER_DOUBLING as usize + usize::try_from(step).unwrap_or(0);
    index.min(BUCKETS - 1)
}

fn upper_bound_us(index: usize) -> u64 {
    let (doubling, step) =
        (index / STEPS_PER_DOUBLING as usize, index as u64 % u64::from(STEPS_PER_DOUBLING));
    ((1_u64 << doubling) * (u64::from(STEPS_PER_DOUBLING) + step + 1)).div_ceil(u64::from(STEPS_PER_DOUBLING))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies() -> Latencies {
        Latencies::new(HedgeSettings { quantile: 0.95, min_wait: Duration::from_micros(10) })
    }

    #[test]
    fn every_duration_lies_below_the_upper_bound_of_its_bucket_and_not_far() {
        for us in [1, 2, 3, 4, 5, 7, 8, 9, 100, 127, 128, 1_000, 65_535, 1_000_000, 100_000_000] {
            let bound = upper_bound_us(bucket(Duration::from_micros(us)));
            assert!(bound >= us && bound <= us + us / 3 + 1, "{us}: {bound}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn nothing_is_hedged_before_enough_was_seen_and_then_after_the_quantile() {
        let latencies = latencies();
        for _ in 0..95 {
            latencies.note(Duration::from_millis(1));
        }
        assert_eq!(latencies.wait(), None);
        for _ in 0..5 {
            latencies.note(Duration::from_millis(100));
        }
        let wait = latencies.wait().unwrap();
        assert!(wait >= Duration::from_millis(1) && wait < Duration::from_millis(2), "{wait:?}");
    }

    #[test]
    fn what_was_is_forgotten() {
        let latencies = latencies();
        (0..1_000).for_each(|_| latencies.note(Duration::from_millis(1)));
        (0..20_000).for_each(|_| latencies.note(Duration::from_millis(50)));
        assert!(latencies.wait().unwrap() > Duration::from_millis(49));
        (0..20_000).for_each(|_| latencies.note(Duration::from_millis(1)));
        assert!(latencies.wait().unwrap() < Duration::from_millis(2));
    }

    #[test]
    fn the_wait_is_never_shorter_than_its_least() {
        let latencies = latencies();
        (0..200).for_each(|_| latencies.note(Duration::from_micros(2)));
        assert_eq!(latencies.wait(), Some(Duration::from_micros(10)));
    }
}
