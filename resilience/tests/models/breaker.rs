//! The breaker against a model that remembers every result and counts anew each time.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use resilience::breaker::{BreakerSettings, CallEnd, Counts, Machine, State, Ticket, WindowSettings};
use tokio::time::Instant;

const SLOW_MS: u64 = 300;
const OPEN_MS: u64 = 1_000;
const MAX_OPEN_MS: u64 = 4_000;

#[derive(Clone, Debug)]
enum Step {
    Begin(u8),
    BecomesSlow(u8),
    Finish(u8, CallEnd),
    Cancel(u8),
    Advance(u64),
    Force(State),
}

/// The model: all that ever happened, and the rules read off the documentation.
#[derive(Clone, Debug)]
struct Model {
    settings: BreakerSettings,
    now_ms: u64,
    state: State,
    open_until_ms: u64,
    openings: u32,
    refused: u64,
    /// Grows with each change of state.
    era: u32,
    results: Vec<Noted>,
    /// Calls let through in this era or an earlier one.
    calls: BTreeMap<u8, Call>,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    era: u32,
    at_ms: u64,
    failed: bool,
    slow: bool,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    era: u32,
    is_probe: bool,
    begun_ms: u64,
    /// Its place among the results, if it is there already.
    noted: Option<usize>,
    slow: bool,
}

impl Model {
    fn counts(&self) -> Counts {
        let in_era = self.results.iter().filter(|noted| noted.era == self.era);
        let window: Vec<_> = match self.settings.window {
            _ if self.state == State::HalfOpen => in_era.collect(),
            WindowSettings::Count(n) => {
                let all: Vec<_> = in_era.collect();
                all[all.len().saturating_sub(n as usize)..].to_vec()
            }
            WindowSettings::Seconds(s) => {
                let now = self.now_ms / 1_000;
                in_era.filter(|noted| noted.at_ms / 1_000 + u64::from(s) > now).collect()
            }
        };
        let count = |part: &dyn Fn(&Noted) -> bool| window.iter().filter(|noted| part(noted)).count() as u32;
        Counts {
            calls: window.len() as u32,
            failures: count(&|noted| noted.failed),
            slow: count(&|noted| noted.slow),
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.era += 1;
        self.refused = 0;
        if state == State::Closed {
            self.openings = 0;
        }
        if state == State::Open {
            let wait = OPEN_MS.saturating_mul(1 << self.openings.min(20)).min(MAX_OPEN_MS);
            self.open_until_ms = self.now_ms + wait;
            self.openings += 1;
        }
    }

    fn probes_out(&self) -> usize {
        self.calls.values().filter(|call| call.era == self.era && call.is_probe).count()
    }

    fn begin(&mut self, id: u8) {
        if self.state == State::Open && self.now_ms > self.open_until_ms {
            self.enter(State::HalfOpen);
        }
        let is_probe = self.state == State::HalfOpen;
        let answered = self.counts().calls as usize;
        let full = self.probes_out() + answered >= self.settings.half_open_calls as usize;
        if self.state == State::Open || (is_probe && full) {
            self.refused += 1;
            return;
        }
        let call = Call { era: self.era, is_probe, begun_ms: self.now_ms, noted: None, slow: false };
        self.calls.insert(id, call);
    }

    fn note(&mut self, failed: bool, slow: bool) -> usize {
        self.results.push(Noted { era: self.era, at_ms: self.now_ms, failed, slow });
        self.results.len() - 1
    }

    fn judge(&mut self) {
        let counts = self.counts();
        let least = match (self.state, self.settings.window) {
            (State::HalfOpen, _) => self.settings.half_open_calls,
            (_, WindowSettings::Count(n)) => self.settings.minimum_calls.min(n),
            _ => self.settings.minimum_calls,
        };
        if counts.calls < least {
            return;
        }
        let trips = counts.failure_rate_percent() >= f64::from(self.settings.failure_rate_percent)
            || counts.slow_rate_percent() >= f64::from(self.settings.slow_rate_percent);
        match (trips, self.state) {
            (true, _) => self.enter(State::Open),
            (false, State::HalfOpen) => self.enter(State::Closed),
            (false, _) => {}
        }
    }

    fn becomes_slow(&mut self, id: u8) {
        let Some(mut call) = self.calls.get(&id).copied() else { return };
        if call.era != self.era || call.slow {
            return;
        }
        call.slow = true;
        if !call.is_probe {
            call.noted = Some(self.note(false, true));
        }
        self.calls.insert(id, call);
        if !call.is_probe {
            self.judge();
        }
    }

    fn end(&mut self, id: u8, end: Option<CallEnd>) {
        let Some(call) = self.calls.remove(&id).filter(|call| call.era == self.era) else { return };
        let failed = matches!(end, Some(CallEnd::Failure | CallEnd::SlowFailure));
        let took_long = self.now_ms - call.begun_ms > SLOW_MS || end == Some(CallEnd::SlowFailure);
        match (end, call.noted) {
            (None | Some(CallEnd::Neutral), _) if call.is_probe && call.slow => {
                if self.settings.slow_rate_percent <= 100 {
                    self.enter(State::Open);
                }
            }
            (None | Some(CallEnd::Neutral), _) => {}
            (Some(_), Some(place)) => {
                self.results[place].failed |= failed;
                self.judge();
            }
            (Some(_), None) => {
                self.note(failed, took_long);
                self.judge();
            }
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let window = prop_oneof![
            (1..12_u32).prop_map(WindowSettings::Count),
            (1..6_u32).prop_map(WindowSettings::Seconds)
        ];
        (window, 1..8_u32, 1..102_u32, 1..102_u32, 1..4_u32)
            .prop_map(|(window, minimum_calls, failure_rate_percent, slow_rate_percent, half_open_calls)| {
                Self {
                    settings: BreakerSettings {
                        window,
                        minimum_calls,
                        failure_rate_percent,
                        slow_rate_percent,
                        slow: Some(Duration::from_millis(SLOW_MS)),
                        half_open_calls,
                        open: Duration::from_millis(OPEN_MS),
                        open_multiplier: 2.0,
                        max_open: Duration::from_millis(MAX_OPEN_MS),
                        open_jitter: 0.0,
                    },
                    now_ms: 0,
                    state: State::Closed,
                    open_until_ms: 0,
                    openings: 0,
                    refused: 0,
                    era: 0,
                    results: Vec::new(),
                    calls: BTreeMap::new(),
                }
            })
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let end = prop_oneof![
            Just(CallEnd::Success),
            Just(CallEnd::Failure),
            Just(CallEnd::SlowFailure),
            Just(CallEnd::Neutral)
        ];
        let state = prop_oneof![Just(State::Closed), Just(State::Open), Just(State::HalfOpen)];
        let id = 0..6_u8;
        prop_oneof![
            8 => id.clone().prop_map(Step::Begin),
            2 => id.clone().prop_map(Step::BecomesSlow),
            8 => (id.clone(), end).prop_map(|(id, end)| Step::Finish(id, end)),
            2 => id.prop_map(Step::Cancel),
            4 => (0..3_000_u64).prop_map(Step::Advance),
            1 => state.prop_map(Step::Force),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::Begin(id) if state.calls.contains_key(id) => {}
            Step::Begin(id) => state.begin(*id),
            Step::BecomesSlow(id) => state.becomes_slow(*id),
            Step::Finish(id, end) => state.end(*id, Some(*end)),
            Step::Cancel(id) => state.end(*id, None),
            Step::Advance(ms) => state.now_ms += ms,
            Step::Force(to) => state.enter(*to),
        }
        state
    }
}

struct Tested {
    machine: Machine,
    began: Instant,
    now_ms: u64,
    tickets: BTreeMap<u8, (Ticket, u64)>,
}

/// There is no jitter, so any number will do.
fn chance() -> f64 {
    0.25
}

impl StateMachineTest for Tested {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let began = Instant::now();
        Self { machine: Machine::new(model.settings, began), began, now_ms: 0, tickets: BTreeMap::new() }
    }

    fn apply(mut self_: Self, model: &Model, step: Step) -> Self {
        let now = self_.began + Duration::from_millis(self_.now_ms);
        let took = |begun_ms: u64| Duration::from_millis(self_.now_ms - begun_ms);
        match step {
            Step::Begin(id) if self_.tickets.contains_key(&id) => {}
            Step::Begin(id) => {
                if let Ok((ticket, _)) = self_.machine.acquire(now) {
                    self_.tickets.insert(id, (ticket, self_.now_ms));
                }
            }
            Step::BecomesSlow(id) => {
                if let Some((ticket, _)) = self_.tickets.get_mut(&id) {
                    self_.machine.note_slow(ticket, now, chance);
                }
            }
            Step::Finish(id, end) => {
                if let Some((ticket, begun_ms)) = self_.tickets.remove(&id) {
                    self_.machine.finish(&ticket, end, took(begun_ms), now, chance);
                }
            }
            Step::Cancel(id) => {
                if let Some((ticket, _)) = self_.tickets.remove(&id) {
                    self_.machine.cancel(&ticket, now, chance);
                }
            }
            Step::Advance(ms) => self_.now_ms += ms,
            Step::Force(to) => {
                self_.machine.force(to, now, chance);
            }
        }
        let now = self_.began + Duration::from_millis(self_.now_ms);
        assert_eq!(self_.machine.state(), model.state);
        assert_eq!(self_.machine.counts(now), model.counts());
        assert_eq!(self_.machine.refused(), model.refused);
        assert!(self_.tickets.keys().eq(model.calls.keys()), "the same calls were let through");
        self_
    }
}

prop_state_machine! {
    #![proptest_config(crate::config())]

    #[test]
    fn a_breaker_does_what_its_model_does(sequential 1..80 => Tested);
}
