//! The breaker's states and what moves it between them. No clock and no lock: time comes as an argument.
//!
//! ```text
//!            a rate reaches its threshold
//!   CLOSED ───────────────────────────────▶ OPEN ◀──────────────┐
//!      ▲                                      │ wait is over,   │ a rate reaches
//!      │ neither rate does                    ▼ and a call comes│ its threshold
//!      └────────────────────────────────  HALF_OPEN ────────────┘
//! ```
//! Sliding windows and rates as in resilience4j; generations, which drop what was begun in another state, as in gobreaker.

use std::time::Duration;

use tokio::time::Instant;

use super::window::{CallResult, Counts, Slot, Window, WindowSettings};

/// A rate that is never reached.
pub const NEVER_PERCENT: u32 = 101;

/// When a breaker trips, and how it recovers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerSettings {
    /// Which results count.
    pub window: WindowSettings,
    /// Results that are needed before it may trip.
    pub minimum_calls: u32,
    /// Failures in percent, at which it trips; `NEVER_PERCENT`: never.
    pub failure_rate_percent: u32,
    /// Slow calls in percent, at which it trips; `NEVER_PERCENT`: never.
    pub slow_rate_percent: u32,
    /// A call that takes longer is slow; `None`: none is.
    pub slow: Option<Duration>,
    /// Probes that are let through in HALF_OPEN, and results by which it is then decided.
    pub half_open_calls: u32,
    /// How long it refuses at its first opening.
    pub open: Duration,
    /// How much longer at each further one without a recovery between.
    pub open_multiplier: f64,
    /// The longest that this grows to.
    pub max_open: Duration,
    /// The wait varies by this fraction, up and down, so that many clients don't probe together. 0: not at all.
    pub open_jitter: f64,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Lets calls through.
    Closed,
    /// Refuses them.
    Open,
    /// Lets probes through.
    HalfOpen,
}

impl State {
    /// As operators and clients read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
        }
    }
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// It went well.
    Success,
    /// It did not.
    Failure,
    /// It did not, and took as long as one that is slow, or would have.
    SlowFailure,
    /// It says nothing.
    Neutral,
}

/// That a call was let through. To be given back by `finish` or `cancel`.
#[derive(Debug)]
pub struct Ticket {
    generation: u64,
    is_probe: bool,
    slow: Option<NotedSlow>,
}

/// A call that was slow before it ended.
#[derive(Clone, Copy, Debug)]
enum NotedSlow {
    /// It is among the results already.
    At(Slot),
    /// A probe's result waits for its end.
    AtItsEnd,
}

/// That a call was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// From which.
    pub from: State,
    /// To which.
    pub to: State,
    /// The results by which it was decided.
    pub counts: Counts,
}

/// See the module.
#[derive(Debug)]
pub struct Machine {
    settings: BreakerSettings,
    made_at: Instant,
    state: State,
    /// Grows with each change of state: what was begun in an earlier one says nothing of this one.
    generation: u64,
    window: Window,
    probes: Probes,
    /// Openings without a recovery between.
    openings: u32,
    open_until: Instant,
    /// The results at the last opening, if they were enough for rates.
    tripped: Option<Counts>,
    refused: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Probes {
    in_flight: u32,
    counts: Counts,
}

// === impl Ticket ===

impl Ticket {
    /// That a call was let through in CLOSED, where everyone is.
    #[must_use]
    pub fn closed(generation: u64) -> Self {
        Self { generation, is_probe: false, slow: None }
    }

    /// Whether the call is a probe.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }
}

// === impl Machine ===

impl Machine {
    /// A closed one.
    #[must_use]
    pub fn new(settings: BreakerSettings, now: Instant) -> Self {
        Self {
            window: Window::new(settings.window),
            settings,
            made_at: now,
            state: State::Closed,
            generation: 0,
            probes: Probes::default(),
            openings: 0,
            open_until: now,
            tripped: None,
            refused: 0,
        }
    }

    /// Asks for a call to be let through.
    ///
    /// # Errors
    /// It is refused.
    pub fn acquire(&mut self, now: Instant) -> Result<(Ticket, Option<Change>), Refused> {
        let mut change = None;
        // The wait must be over, strictly.
        if self.state == State::Open && now > self.open_until {
            change = Some(self.enter(State::HalfOpen));
        }
        match self.state {
            State::Closed => Ok((Ticket::closed(self.generation), change)),
            State::HalfOpen if self.has_permit() => {
                self.probes.in_flight += 1;
                Ok((Ticket { is_probe: true, ..Ticket::closed(self.generation) }, change))
            }
            State::HalfOpen | State::Open => {
                self.refused += 1;
                Err(Refused)
            }
        }
    }

    /// Notes that a call that has not ended has become slow. Told once a call.
    pub fn note_slow(
        &mut self,
        ticket: &mut Ticket,
        now: Instant,
        chance: impl Fn() -> f64,
    ) -> Option<Change> {
        if ticket.generation != self.generation || ticket.slow.is_some() {
            return None;
        }
        if ticket.is_probe {
            // It may yet be a failure, and with one probe it decides: that waits for its end.
            ticket.slow = Some(NotedSlow::AtItsEnd);
            return None;
        }
        let slot = self.window.note(CallResult { failed: false, slow: true }, now - self.made_at);
        ticket.slow = Some(NotedSlow::At(slot));
        self.judge_window(now, chance)
    }

    /// Takes back the ticket of a call that has ended, having taken so long. `chance` gives random numbers from 0 to 1, for
    /// the jitter.
    pub fn finish(
        &mut self,
        ticket: &Ticket,
        end: CallEnd,
        took: Duration,
        now: Instant,
        chance: impl Fn() -> f64,
    ) -> Option<Change> {
        if ticket.generation != self.generation {
            return None;
        }
        let slow = end == CallEnd::SlowFailure || self.settings.slow.is_some_and(|slow| took > slow);
        let failed = matches!(end, CallEnd::Failure | CallEnd::SlowFailure);
        match (end, ticket.is_probe, ticket.slow) {
            (CallEnd::Neutral, ..) => self.cancel(ticket, now, chance),
            (_, true, _) => self.judge_probe(CallResult { failed, slow }, now, chance),
            (_, false, Some(NotedSlow::At(slot))) => {
                if failed {
                    self.window.turn_into_failure(slot, now - self.made_at);
                }
                self.judge_window(now, chance)
            }
            (_, false, _) => {
                self.window.note(CallResult { failed, slow }, now - self.made_at);
                self.judge_window(now, chance)
            }
        }
    }

    /// Takes back the ticket of a call that ended without a result. One that was slow until then was that; a probe that was
    /// can open the breaker again, but no probe closes it without an answer.
    pub fn cancel(&mut self, ticket: &Ticket, now: Instant, chance: impl Fn() -> f64) -> Option<Change> {
        if ticket.generation != self.generation || !ticket.is_probe {
            return None;
        }
        self.probes.in_flight -= 1;
        let alone = Counts { calls: 1, failures: 0, slow: 1 };
        (ticket.slow.is_some() && self.trips(alone)).then(|| self.open(alone, now, chance))
    }

    /// Moves it, as an operator may.
    pub fn force(&mut self, to: State, now: Instant, chance: impl Fn() -> f64) -> Change {
        let counts = self.window.counts(now - self.made_at);
        if to == State::Open { self.open(counts, now, chance) } else { self.enter(to) }
    }

    /// The state as it is; asking moves nothing.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Until when it refuses, while it is open.
    #[must_use]
    pub fn open_until(&self) -> Instant {
        self.open_until
    }

    /// Whether every probe is under way.
    #[must_use]
    pub fn waits_for_probes(&self) -> bool {
        self.state == State::HalfOpen && !self.has_permit()
    }

    /// Calls refused since the present state began.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The results that count now.
    pub fn counts(&mut self, now: Instant) -> Counts {
        match self.state {
            State::HalfOpen => self.probes.counts,
            State::Closed | State::Open => self.window.counts(now - self.made_at),
        }
    }

    /// The results from which rates are made; `None`: too few. In OPEN those by which it tripped.
    pub fn rates(&mut self, now: Instant) -> Option<Counts> {
        if self.state == State::Open {
            return self.tripped;
        }
        let (counts, least) = (self.counts(now), self.least());
        (counts.calls >= least).then_some(counts)
    }

    /// Which state this is, counted from the first.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn has_permit(&self) -> bool {
        self.probes.in_flight + self.probes.counts.calls < self.settings.half_open_calls.max(1)
    }

    /// After a result was noted, which has dropped what no longer counts.
    fn judge_window(&mut self, now: Instant, chance: impl Fn() -> f64) -> Option<Change> {
        let counts = self.window.noted();
        (counts.calls >= self.least() && self.trips(counts)).then(|| self.open(counts, now, chance))
    }

    /// How long it refuses yet, or, while probes are under way, how long it would if they failed.
    #[must_use]
    pub fn retry_after(&self, now: Instant) -> Duration {
        match self.state {
            State::Closed => Duration::ZERO,
            State::Open => self.open_until.saturating_duration_since(now),
            State::HalfOpen => self.wait(|| 0.5),
        }
    }

    fn judge_probe(&mut self, result: CallResult, now: Instant, chance: impl Fn() -> f64) -> Option<Change> {
        self.probes.in_flight -= 1;
        let counts = &mut self.probes.counts;
        counts.calls += 1;
        counts.failures += u32::from(result.failed);
        counts.slow += u32::from(result.slow);
        let counts = *counts;
        if counts.calls < self.least() {
            return None;
        }
        Some(if self.trips(counts) {
            self.open(counts, now, chance)
        } else {
            let change = self.enter(State::Closed);
            Change { counts, ..change }
        })
    }

    /// Results that are needed to decide. More than a window of so many results holds would be never.
    fn least(&self) -> u32 {
        match (self.state, self.settings.window) {
            (State::HalfOpen, _) => self.settings.half_open_calls.max(1),
            (_, WindowSettings::Count(calls)) => self.settings.minimum_calls.min(calls).max(1),
            (_, WindowSettings::Seconds(_)) => self.settings.minimum_calls.max(1),
        }
    }

    fn trips(&self, counts: Counts) -> bool {
        let reaches =
            |part: u32, percent: u32| u64::from(part) * 100 >= u64::from(counts.calls) * u64::from(percent);
        reaches(counts.failures, self.settings.failure_rate_percent)
            || reaches(counts.slow, self.settings.slow_rate_percent)
    }

    fn open(&mut self, counts: Counts, now: Instant, chance: impl Fn() -> f64) -> Change {
        let enough = counts.calls >= self.least();
        let change = self.enter(State::Open);
        self.tripped = enough.then_some(counts);
        self.open_until = now + self.wait(chance);
        self.openings = self.openings.saturating_add(1);
        Change { counts, ..change }
    }

    fn wait(&self, chance: impl Fn() -> f64) -> Duration {
        let growth = self.settings.open_multiplier.powi(i32::try_from(self.openings).unwrap_or(i32::MAX));
        let max = self.settings.max_open.as_secs_f64();
        let wait = (self.settings.open.as_secs_f64() * growth).min(max);
        let jitter = 1.0 + self.settings.open_jitter * (2.0 * chance() - 1.0);
        Duration::try_from_secs_f64(wait * jitter).unwrap_or(self.settings.max_open)
    }

    fn enter(&mut self, to: State) -> Change {
        let from = std::mem::replace(&mut self.state, to);
        self.generation += 1;
        self.refused = 0;
        self.probes = Probes::default();
        self.window.clear();
        if to == State::Closed {
            self.openings = 0;
        }
        Change { from, to, counts: Counts::default() }
    }
}
