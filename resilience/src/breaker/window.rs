//! The results that a breaker judges by: the last so many, or those of the last so many seconds.

use std::time::Duration;

/// Which results count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSettings {
    /// The last so many.
    Count(u32),
    /// Those of the last so many seconds, the one that runs included.
    Seconds(u32),
}

/// What came out of some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that were slow, whatever came out.
    pub slow: u32,
}

/// One result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CallResult {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

/// Where a result that may still turn out a failure has been noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u64);

#[derive(Debug)]
pub(super) enum Window {
    Count(CountWindow),
    Time(TimeWindow),
}

/// A ring of the last results.
#[derive(Debug)]
pub(super) struct CountWindow {
    ring: Box<[CallResult]>,
    /// Results noted so far; the next one's place is this modulo the ring's length.
    noted: u64,
    counts: Counts,
}

/// A ring of buckets, one for each second; a bucket that has left the window is subtracted when it is passed.
#[derive(Debug)]
pub(super) struct TimeWindow {
    ring: Box<[Counts]>,
    /// The last second of the window, and its place.
    second: u64,
    place: usize,
    counts: Counts,
}

// === impl Window ===

impl Window {
    pub(super) fn new(settings: WindowSettings) -> Self {
        match settings {
            WindowSettings::Count(calls) => {
                let ring = vec![CallResult::default(); calls.max(1) as usize].into_boxed_slice();
                Self::Count(CountWindow { ring, noted: 0, counts: Counts::default() })
            }
            WindowSettings::Seconds(seconds) => {
                let ring = vec![Counts::default(); seconds.max(1) as usize].into_boxed_slice();
                Self::Time(TimeWindow { ring, second: 0, place: 0, counts: Counts::default() })
            }
        }
    }

    /// The results that count at an age, which is the time since the breaker was made.
    pub(super) fn counts(&mut self, age: Duration) -> Counts {
        match self {
            Self::Count(window) => window.counts,
            Self::Time(window) => {
                window.advance(age.as_secs());
                window.counts
            }
        }
    }

    /// The results that counted when the last one was noted.
    pub(super) fn noted(&self) -> Counts {
        match self {
            Self::Count(window) => window.counts,
            Self::Time(window) => window.counts,
        }
    }

    pub(super) fn note(&mut self, result: CallResult, age: Duration) -> Slot {
        match self {
            Self::Count(window) => window.note(result),
            Self::Time(window) => window.note(result, age.as_secs()),
        }
    }

    /// Makes a failure of a result that was noted as none, if it still counts.
    pub(super) fn turn_into_failure(&mut self, slot: Slot, age: Duration) {
        match self {
            Self::Count(window) => window.turn_into_failure(slot),
            Self::Time(window) => window.turn_into_failure(slot, age.as_secs()),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Count(window) => {
                window.ring.fill(CallResult::default());
                window.counts = Counts::default();
                window.noted = 0;
            }
            Self::Time(window) => {
                window.ring.fill(Counts::default());
                window.counts = Counts::default();
            }
        }
    }
}

// === impl CountWindow ===

impl CountWindow {
    fn note(&mut self, result: CallResult) -> Slot {
        let place = self.place(self.noted);
        if self.noted >= self.ring.len() as u64 {
            self.counts.remove(Counts::of(self.ring[place]));
        }
        self.ring[place] = result;
        self.counts.add(Counts::of(result));
        self.noted += 1;
        Slot(self.noted - 1)
    }

    fn turn_into_failure(&mut self, slot: Slot) {
        let still_counts = slot.0 < self.noted && self.noted - slot.0 <= self.ring.len() as u64;
        let place = self.place(slot.0);
        if still_counts && !self.ring[place].failed {
            self.ring[place].failed = true;
            self.counts.failures += 1;
        }
    }

    fn place(&self, number: u64) -> usize {
        usize::try_from(number % self.ring.len() as u64).expect("a ring's places are counted in usize")
    }
}

// === impl TimeWindow ===

impl TimeWindow {
    fn note(&mut self, result: CallResult, second: u64) -> Slot {
        self.advance(second);
        self.ring[self.place].add(Counts::of(result));
        self.counts.add(Counts::of(result));
        Slot(self.second)
    }

    fn turn_into_failure(&mut self, slot: Slot, second: u64) {
        self.advance(second);
        let ago = usize::try_from(self.second - slot.0).unwrap_or(usize::MAX);
        if ago < self.ring.len() {
            let place = (self.place + self.ring.len() - ago) % self.ring.len();
            self.ring[place].failures += 1;
            self.counts.failures += 1;
        }
    }

    /// Drops the buckets that have left the window. A second before the last one seen, which two threads that read the
    /// clock side by side can bring, belongs to the last one.
    fn advance(&mut self, second: u64) {
        if second <= self.second {
            return;
        }
        let passed = usize::try_from(second - self.second).unwrap_or(usize::MAX);
        // Further than the whole ring empties all of it, whatever the number.
        for _ in 0..passed.min(self.ring.len()) {
            self.place = if self.place + 1 == self.ring.len() { 0 } else { self.place + 1 };
            self.counts.remove(self.ring[self.place]);
            self.ring[self.place] = Counts::default();
        }
        self.second = second;
    }
}

// === impl Counts ===

impl Counts {
    fn of(result: CallResult) -> Self {
        Self { calls: 1, failures: u32::from(result.failed), slow: u32::from(result.slow) }
    }

    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.slow += other.slow;
    }

    fn remove(&mut self, other: Self) {
        self.calls -= other.calls;
        self.failures -= other.failures;
        self.slow -= other.slow;
    }

    /// Failures in percent.
    #[must_use]
    pub fn failure_rate_percent(self) -> f64 {
        percent(self.failures, self.calls)
    }

    /// Slow calls in percent.
    #[must_use]
    pub fn slow_rate_percent(self) -> f64 {
        percent(self.slow, self.calls)
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    f64::from(part) * 100.0 / f64::from(whole.max(1))
}
