//! Deadlines: how long a call may take in all, and how long each of its attempts.

use std::time::Duration;

use tokio::time::Instant;

/// How much earlier than here a deadline may pass at the peer: its timers, and the header's units, are of a millisecond.
const CLOCK_SLACK: Duration = Duration::from_millis(10);

/// How time is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlineSettings {
    /// What is kept of the caller's time for what comes after the call.
    pub reserve: Duration,
    /// A caller in a hurry keeps this part of its time instead, if that is less.
    pub reserve_fraction: u32,
    /// Most time that a call may take, whatever its caller allows.
    pub cap: Duration,
    /// Most time that an attempt may take, unless it is the last one: that may use all that remains.
    pub attempt: Duration,
    /// The least time in which an attempt is begun at all.
    pub floor: Duration,
}

/// The time of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTime {
    until: Instant,
    /// Whether the caller's deadline is what limits it, and not the cap.
    is_callers: bool,
    attempt: Duration,
    floor: Duration,
}

/// The time of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptTime {
    /// When it ends.
    pub until: Instant,
    /// How long that is: what the peer is told.
    pub timeout: Duration,
}

// === impl DeadlineSettings ===

impl DeadlineSettings {
    /// The time of a call that begins now and whose caller waits until `callers`.
    #[must_use]
    pub fn call(&self, now: Instant, callers: Option<Instant>) -> CallTime {
        let capped = now + self.cap;
        let callers = callers.map(|callers| {
            let remaining = callers.saturating_duration_since(now);
            now + (remaining - self.reserve.min(remaining / self.reserve_fraction.max(1)))
        });
        let until = callers.map_or(capped, |callers| callers.min(capped));
        CallTime { until, is_callers: until < capped, attempt: self.attempt, floor: self.floor }
    }
}

// === impl CallTime ===

impl CallTime {
    /// The time of an attempt that begins now; `None`: what is left is not worth one.
    #[must_use]
    pub fn attempt(&self, now: Instant, is_last: bool) -> Option<AttemptTime> {
        let remaining = self.remaining(now);
        let timeout = if is_last { remaining } else { remaining.min(self.attempt) };
        (remaining >= self.floor).then(|| AttemptTime { until: now + timeout, timeout })
    }

    /// Whether an attempt could begin after a pause.
    #[must_use]
    pub fn allows(&self, now: Instant, pause: Duration) -> bool {
        self.remaining(now) >= pause.saturating_add(self.floor)
    }

    /// What is left.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }

    /// When all of it is over.
    #[must_use]
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Whether the caller's deadline, and not the cap, leaves no more time.
    #[must_use]
    pub fn is_callers_and_over(&self, now: Instant) -> bool {
        self.is_callers && self.remaining(now) < self.floor + CLOCK_SLACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const SETTINGS: DeadlineSettings = DeadlineSettings {
        reserve: ms(50),
        reserve_fraction: 4,
        cap: ms(1_000),
        attempt: ms(300),
        floor: ms(1),
    };

    #[test]
    fn a_call_may_take_what_its_caller_leaves_and_never_more_than_the_cap() {
        let now = Instant::now();
        let call = |callers| {
            let call = SETTINGS.call(now, Some(now + ms(callers)));
            (call.remaining(now), call.is_callers_and_over(now + call.remaining(now)))
        };
        assert_eq!(call(5_000), (ms(1_000), false));
        assert_eq!(call(500), (ms(450), true));
        assert_eq!(call(40), (ms(30), true));
        assert_eq!(call(0), (ms(0), true));
        assert_eq!(SETTINGS.call(now, None).remaining(now), ms(1_000));
    }

    #[test]
    fn the_last_attempt_may_use_what_remains_and_none_begins_without_its_floor() {
        let now = Instant::now();
        let call = SETTINGS.call(now, None);
        assert_eq!(call.attempt(now, false).map(|attempt| attempt.timeout), Some(ms(300)));
        assert_eq!(call.attempt(now, true).map(|attempt| attempt.timeout), Some(ms(1_000)));
        assert_eq!(call.attempt(now + ms(900), false).map(|attempt| attempt.timeout), Some(ms(100)));
        assert_eq!(call.attempt(now + ms(999), true).map(|attempt| attempt.timeout), Some(ms(1)));
        assert_eq!(call.attempt(now + ms(999) + Duration::from_nanos(1), true), None);
    }

    #[test]
    fn a_pause_leaves_room_for_an_attempt_or_is_not_allowed() {
        let now = Instant::now();
        let call = SETTINGS.call(now, None);
        assert!(call.allows(now, ms(999)));
        assert!(!call.allows(now, ms(1_000)));
        assert!(!call.allows(now, Duration::MAX));
    }
}
