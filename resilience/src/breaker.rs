//! The circuit breaker of one endpoint: after too many failures it refuses calls at once, so that callers don't wait for an
//! endpoint that will not answer and the endpoint is left alone until it can.
//!
//! `machine` is the breaker itself, without clock and lock; `window` is what it judges by; this file puts it behind one
//! short lock and gives out permits that can't be forgotten.

// The paths are written out for the model test, which loads this file from elsewhere.
#[path = "breaker/machine.rs"]
mod machine;
#[path = "breaker/window.rs"]
mod window;

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

pub use machine::{BreakerSettings, CallEnd, Change, Machine, NEVER_PERCENT, Refused, State, Ticket};
pub use window::{Counts, WindowSettings};

use crate::atomic::{AtomicU64, Mutex, MutexGuard, Ordering};
use crate::random::Random;

/// Told of each change of state, outside the lock.
pub type OnChange = Box<dyn Fn(Change) + Send + Sync>;

/// See the module.
pub struct Breaker {
    machine: Mutex<Machine>,
    made_at: Instant,
    /// In CLOSED, where everyone is let through: the machine's generation plus one. Else 0. So the way that calls take all
    /// day needs no lock to begin; who reads it a moment before the breaker opens was let through a moment before.
    closed: AtomicU64,
    /// Otherwise until when calls look refused, in nanoseconds since it was made.
    refuses_until_ns: AtomicU64,
    slow: Option<Duration>,
    random: Random,
    on_change: OnChange,
}

/// That a call was let through. Dropped without a result it gives its place back, so nothing that is cancelled can leave
/// the breaker stuck.
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    /// `None` once the result is in.
    ticket: Option<Ticket>,
}

// === impl Breaker ===

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(settings: BreakerSettings, random: Random, now: Instant, on_change: OnChange) -> Self {
        Self {
            machine: Mutex::new(Machine::new(settings, now)),
            made_at: now,
            closed: AtomicU64::new(1),
            refuses_until_ns: AtomicU64::new(0),
            slow: settings.slow,
            random,
            on_change,
        }
    }

    /// Asks for a call to be let through.
    ///
    /// # Errors
    /// It is refused.
    pub fn acquire(&self, now: Instant) -> Result<Permit<'_>, Refused> {
        let closed = self.closed.load(Ordering::Acquire);
        if closed != 0 {
            return Ok(Permit { breaker: self, ticket: Some(Ticket::closed(closed - 1)) });
        }
        let mut machine = self.lock();
        let acquired = machine.acquire(now);
        let change = match &acquired {
            Ok((_, change)) => *change,
            Err(_) => None,
        };
        self.unlock(machine, change);
        acquired.map(|(ticket, _)| Permit { breaker: self, ticket: Some(ticket) })
    }

    /// Whether a call would be refused, as far as can be seen without the lock; moves nothing and counts nothing.
    #[must_use]
    pub fn looks_open(&self, now: Instant) -> bool {
        self.closed.load(Ordering::Relaxed) == 0
            && (now - self.made_at).as_nanos() <= u128::from(self.refuses_until_ns.load(Ordering::Relaxed))
    }

    /// Whether it waits for a probe that nobody has begun.
    #[must_use]
    pub fn wants_probe(&self, now: Instant) -> bool {
        self.closed.load(Ordering::Relaxed) == 0 && !self.looks_open(now)
    }

    /// The state as it is; asking moves nothing.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().state()
    }

    /// How long it will refuse yet; zero if it does not.
    #[must_use]
    pub fn retry_after(&self, now: Instant) -> Duration {
        self.lock().retry_after(now)
    }

    /// After what time a call is slow.
    #[must_use]
    pub fn slow(&self) -> Option<Duration> {
        self.slow
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        // Nothing in the machine panics; what a panicking thread left would be whole.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends each use of the machine: what others see without the lock, and who is told.
    fn unlock(&self, machine: MutexGuard<'_, Machine>, change: Option<Change>) {
        let is_closed = machine.state() == State::Closed;
        if change.is_some() || !is_closed {
            let until = match machine.state() {
                State::Closed => 0,
                State::Open => {
                    let open = machine.open_until().saturating_duration_since(self.made_at);
                    u64::try_from(open.as_nanos()).unwrap_or(u64::MAX)
                }
                State::HalfOpen if machine.waits_for_probes() => u64::MAX,
                State::HalfOpen => 0,
            };
            self.refuses_until_ns.store(until, Ordering::Relaxed);
            let closed = if is_closed { machine.generation() + 1 } else { 0 };
            self.closed.store(closed, Ordering::Release);
        }
        drop(machine);
        if let Some(change) = change {
            (self.on_change)(change);
        }
    }
}

impl std::fmt::Debug for Breaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Breaker").field("machine", &self.machine).finish_non_exhaustive()
    }
}

// === impl Permit ===

impl Permit<'_> {
    /// Whether the call is a probe.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.ticket.as_ref().is_some_and(Ticket::is_probe)
    }

    /// Notes that the call is slow already.
    pub fn note_slow(&mut self, now: Instant) {
        if let Some(ticket) = &mut self.ticket {
            let mut machine = self.breaker.lock();
            let change = machine.note_slow(ticket, now, || self.breaker.random.fraction());
            self.breaker.unlock(machine, change);
        }
    }

    /// Notes how the call ended, having taken so long.
    pub fn finish(mut self, end: CallEnd, took: Duration, now: Instant) {
        if let Some(ticket) = self.ticket.take() {
            let mut machine = self.breaker.lock();
            let change = machine.finish(&ticket, end, took, now, || self.breaker.random.fraction());
            self.breaker.unlock(machine, change);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let mut machine = self.breaker.lock();
            let change = machine.cancel(&ticket, Instant::now(), || self.breaker.random.fraction());
            self.breaker.unlock(machine, change);
        }
    }
}
