//! An adaptive limit of the calls in flight to one endpoint: it follows what the endpoint can do.
//!
//! The gradient of latency, as in Netflix/concurrency-limits: while answers take as long as they usually do the limit grows,
//! and where they take longer, because they queue, it shrinks. By that alone it climbs for ever at a mild overload, since
//! what is usual climbs with it (issue 134 there); so here it grows only while growing brings more answers a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between what the limit moves, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitSettings {
    /// Where it begins.
    pub initial: u32,
    /// It never falls below.
    pub min: u32,
    /// It never grows beyond.
    pub max: u32,
    /// Time between two changes.
    pub window: Duration,
    /// How much longer than usual answers may take without the limit shrinking: 1.5 is half as long again.
    pub tolerance: f64,
}

/// Answers of a window that are too few to say anything.
const MIN_ANSWERS: u32 = 10;
/// What more answers a second a larger limit must have brought.
const LEAST_GAIN: f64 = 1.02;
/// Nothing is answered faster.
const LEAST_LATENCY_S: f64 = 1e-9;
/// How much of a new limit is taken on at once.
const SMOOTHING: f64 = 0.2;
/// How much of a window's latency goes into what is usual: it takes minutes to get used to a slow endpoint.
const LONG_TERM: f64 = 0.01;
const UNLEARN: f64 = 0.95;
/// Most that a limit shrinks in one window.
const MAX_SHRINK: f64 = 0.5;
/// Windows without a gain after which it is tried whether a smaller limit does as well, and how much smaller.
const STEP_DOWN_AFTER_WINDOWS: u32 = 50;
const STEP_DOWN: f64 = 0.9;

/// See the module.
#[derive(Debug)]
pub struct Limit {
    settings: LimitSettings,
    current: AtomicU64,
    gradient: Mutex<Gradient>,
}

/// What is known of the latency.
#[derive(Debug)]
struct Gradient {
    window_began: Instant,
    answers: u32,
    total_s: f64,
    most_in_flight: u64,
    /// `None` until the first window.
    usual_s: Option<f64>,
    limit: f64,
    /// The most answers a second seen, and the limit under which they were.
    best: Best,
}

#[derive(Clone, Copy, Debug, Default)]
struct Best {
    per_second: f64,
    limit: f64,
    windows_ago: u32,
}

// === impl Limit ===

impl Limit {
    /// At its beginning.
    #[must_use]
    pub fn new(settings: LimitSettings, now: Instant) -> Self {
        let gradient = Gradient {
            window_began: now,
            answers: 0,
            total_s: 0.0,
            most_in_flight: 0,
            usual_s: None,
            limit: f64::from(settings.initial),
            best: Best::default(),
        };
        let current = AtomicU64::new(u64::from(settings.initial));
        Self { settings, current, gradient: Mutex::new(gradient) }
    }

    /// The limit now.
    #[must_use]
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::Relaxed)
    }

    /// Whether one more call may be in flight.
    #[must_use]
    pub fn has_room(&self, in_flight: u64) -> bool {
        in_flight < self.current()
    }

    /// Notes an answer, or that there was none for so long; `in_flight`: the calls at that moment, this one included.
    pub fn note(&self, took: Duration, in_flight: u64, now: Instant) {
        let mut gradient = self.lock();
        gradient.answers += 1;
        gradient.total_s += took.as_secs_f64();
        gradient.most_in_flight = gradient.most_in_flight.max(in_flight);
        let window = now.saturating_duration_since(gradient.window_began);
        if window >= self.settings.window && gradient.answers >= MIN_ANSWERS {
            gradient.end_window(&self.settings, window, now);
            self.current.store(gradient.limit as u64, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gradient> {
        self.gradient.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Gradient ===

impl Gradient {
    fn end_window(&mut self, settings: &LimitSettings, window: Duration, now: Instant) {
        // In simulated time an answer may take none.
        let latency_s = (self.total_s / f64::from(self.answers)).max(LEAST_LATENCY_S);
        let per_second = f64::from(self.answers) / window.as_secs_f64();
        let usual_s = match self.usual_s {
            None => latency_s,
            // What was learnt in a bad time is unlearnt faster than that it took.
            Some(usual_s) if usual_s > 2.0 * latency_s => usual_s * UNLEARN,
            Some(usual_s) => usual_s + (latency_s - usual_s) * LONG_TERM,
        };
        self.usual_s = Some(usual_s);

        let gradient = (settings.tolerance * usual_s / latency_s).clamp(MAX_SHRINK, 1.0);
        let wanted = self.limit * gradient + self.limit.sqrt();
        // A limit that is not used says nothing of whether it could be larger.
        let is_used = self.most_in_flight as f64 >= self.limit / 2.0;
        let gains = per_second > self.best.per_second * LEAST_GAIN;
        self.best.windows_ago += 1;
        if gains {
            self.best = Best { per_second, limit: self.limit, windows_ago: 0 };
        } else if is_used && self.best.windows_ago >= STEP_DOWN_AFTER_WINDOWS {
            // If as much is answered under a smaller one, the difference was a queue; if not, it grows back.
            self.best = Best::default();
            self.limit *= STEP_DOWN;
        }
        let may_grow = is_used && (gains || self.limit <= self.best.limit);
        if wanted < self.limit || may_grow {
            let limit = self.limit * (1.0 - SMOOTHING) + wanted * SMOOTHING;
            self.limit = limit.clamp(f64::from(settings.min.max(1)), f64::from(settings.max));
        }
        (self.window_began, self.answers, self.total_s, self.most_in_flight) = (now, 0, 0.0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: LimitSettings =
        LimitSettings { initial: 20, min: 5, max: 1_000, window: Duration::from_millis(100), tolerance: 1.5 };

    /// Ten simulated minutes of a server that does `servers` calls at a time, 10 ms each, while so many callers ask without a
    /// pause as the limit allows.
    fn limit_after_ten_minutes(servers: f64, callers: u64) -> u64 {
        let mut now = Instant::now();
        let limit = Limit::new(SETTINGS, now);
        for _ in 0..6_000 {
            let in_flight = limit.current().min(callers);
            let queue = (in_flight as f64 / servers).max(1.0);
            let took = Duration::from_secs_f64(0.010 * queue);
            let answers = (0.1 * in_flight as f64 / took.as_secs_f64()) as u32;
            for answer in 1..=answers {
                let at = now + Duration::from_secs_f64(0.1 * f64::from(answer) / f64::from(answers));
                limit.note(took, in_flight, at);
            }
            now += Duration::from_millis(100);
        }
        limit.current()
    }

    #[test]
    fn the_limit_finds_what_a_server_can_do_and_stays_there_under_a_lasting_overload() {
        let found = limit_after_ten_minutes(50.0, 10_000);
        assert!((40..=150).contains(&found), "{found} for a server of 50");
    }

    #[test]
    fn a_limit_that_nobody_uses_stays_where_it_is() {
        assert_eq!(limit_after_ten_minutes(50.0, 5), 20);
    }
}
