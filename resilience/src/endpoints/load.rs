//! How busy an endpoint is: the latency it lately had, times the calls that wait for it.
//!
//! The latency is a peak-sensitive moving average: it jumps up with a slow answer and comes down slowly, so a stalled
//! endpoint is left at once and tried again carefully. (Finagle's PeakEwma, which linkerd uses too.)

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// In what time what was seen fades to a third: a failure that counts as 300 ms keeps most calls away for half a minute.
const DECAY: Duration = Duration::from_secs(5);
/// What an endpoint that nothing is known of is taken to need: about a call within one data centre.
const UNKNOWN: Duration = Duration::from_millis(1);

/// See the module. What two threads note at the same moment may be lost for one of them: it is an estimate.
#[derive(Debug)]
pub struct Load {
    made_at: Instant,
    in_flight: AtomicU64,
    /// Nanoseconds, as the bits of an f64.
    latency: AtomicU64,
    /// When that was so, in nanoseconds since it was made.
    noted_ns: AtomicU64,
}

/// A call that waits for the endpoint, until it is dropped.
#[derive(Debug)]
pub struct Waiting<'a>(&'a Load);

// === impl Load ===

impl Load {
    /// Nothing known yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            made_at: now,
            in_flight: AtomicU64::new(0),
            latency: AtomicU64::new(nanos(UNKNOWN).to_bits()),
            noted_ns: AtomicU64::new(0),
        }
    }

    /// A call begins.
    pub fn begin(&self) -> Waiting<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    /// Calls that wait now.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Notes how long an answer took, or how long a failure is to count as having taken.
    pub fn note(&self, took: Duration, now: Instant) {
        let (old, age) = self.seen(now);
        let new = nanos(took);
        let latency = if new >= old {
            new
        } else {
            let weight = weight(age);
            old * weight + new * (1.0 - weight)
        };
        self.latency.store(latency.to_bits(), Ordering::Relaxed);
        self.noted_ns.store(self.ns_at(now), Ordering::Relaxed);
    }

    /// Notes that an answer would have taken at least so long: nobody waited for it.
    pub fn note_at_least(&self, took: Duration, now: Instant) {
        if nanos(took) > self.seen(now).0 {
            self.note(took, now);
        }
    }

    /// What choosing it costs, in nanoseconds of waiting; the less the better.
    #[must_use]
    pub fn cost(&self, now: Instant) -> f64 {
        let (latency, age) = self.seen(now);
        // What nobody tries comes down to what nothing is known of, and is tried again.
        let faded = nanos(UNKNOWN).min(latency) + (latency - nanos(UNKNOWN)).max(0.0) * weight(age);
        let waiting = (self.in_flight() + 1) as f64;
        faded * waiting
    }

    /// The latency as last noted.
    #[must_use]
    pub fn latency(&self) -> Duration {
        Duration::from_nanos(f64::from_bits(self.latency.load(Ordering::Relaxed)) as u64)
    }

    fn seen(&self, now: Instant) -> (f64, u64) {
        let latency = f64::from_bits(self.latency.load(Ordering::Relaxed));
        let age = self.ns_at(now).saturating_sub(self.noted_ns.load(Ordering::Relaxed));
        (latency, age)
    }

    fn ns_at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.made_at).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What is left of something after so many nanoseconds.
fn weight(age_ns: u64) -> f64 {
    // Below a thousandth of the decay the exponential is its tangent, which is all that busy endpoints need.
    let x = age_ns as f64 / nanos(DECAY);
    if x < 0.001 { 1.0 - x } else { (-x).exp() }
}

fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

// === impl Waiting ===

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_counts_at_once_and_is_forgotten_slowly() {
        let now = Instant::now();
        let load = Load::new(now);
        load.note(Duration::from_millis(200), now);
        assert_eq!(load.latency(), Duration::from_millis(200));
        load.note(Duration::from_millis(2), now + Duration::from_secs(1));
        assert!(load.latency() > Duration::from_millis(100), "{:?}", load.latency());
        load.note(Duration::from_millis(2), now + Duration::from_secs(60));
        assert!(load.latency() < Duration::from_millis(10), "{:?}", load.latency());
    }

    #[test]
    fn what_nobody_tries_becomes_worth_a_try() {
        let now = Instant::now();
        let (stalled, busy) = (Load::new(now), Load::new(now));
        stalled.note(Duration::from_secs(1), now);
        let later = now + Duration::from_secs(120);
        busy.note(Duration::from_millis(5), later);
        assert!(stalled.cost(now) > busy.cost(now));
        assert!(stalled.cost(later) < busy.cost(later));
    }

    #[test]
    fn calls_in_flight_count_until_they_are_dropped() {
        let now = Instant::now();
        let load = Load::new(now);
        let idle = load.cost(now);
        let (one, other) = (load.begin(), load.begin());
        assert!((load.cost(now) / idle - 3.0).abs() < 1e-9);
        drop((one, other));
        assert_eq!(load.in_flight(), 0);
    }
}
