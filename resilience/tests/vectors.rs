//! Replays tests/breaker.json, or the file that BREAKER_VECTORS names; an unknown step or key fails.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

use std::collections::HashMap;
use std::time::Duration;

use resilience::breaker::{
    BreakerSettings, CallEnd, Counts, Machine, NEVER_PERCENT, State, Ticket, WindowSettings,
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

/// No vector has jitter, so any number will do.
fn chance() -> f64 {
    0.5
}

#[test]
fn every_sequence_comes_out_as_written() {
    let path = std::env::var("BREAKER_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/breaker.json").to_owned());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let vectors: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let vectors = vectors.as_array().expect("a list of vectors");
    assert!(!vectors.is_empty(), "{path} has no vectors");
    for vector in vectors {
        let vector = object(vector, &["id", "source", "config", "steps"]);
        let id = vector["id"].as_str().expect("an id");
        let mut replay = Replay::new(&vector["config"]);
        for (number, step) in vector["steps"].as_array().expect("steps").iter().enumerate() {
            let step = step.as_array().expect("a step is a list");
            if let Some((expected, seen)) = replay.step(step)
                && !is_same(&expected, &seen)
            {
                panic!("{id}, step {}, {step:?}: expected {expected}, seen {seen}", number + 1);
            }
        }
    }
}

struct Replay {
    machine: Machine,
    now: Instant,
    calls: HashMap<String, (Ticket, Instant)>,
}

impl Replay {
    fn new(config: &Value) -> Self {
        let now = Instant::now();
        Self { machine: Machine::new(settings(config), now), now, calls: HashMap::new() }
    }

    /// What the step expects and what is seen, if it looks at something.
    fn step(&mut self, step: &[Value]) -> Option<(Value, Value)> {
        match (step[0].as_str().expect("a step's name"), &step[1..]) {
            ("success", took) => self.call(CallEnd::Success, took),
            ("failure", took) => self.call(CallEnd::Failure, took),
            ("neutral", []) => self.call(CallEnd::Neutral, &[]),
            ("begin", [name]) => {
                let ticket = self.acquire();
                assert!(self.calls.insert(text(name), (ticket, self.now)).is_none(), "begun twice: {name}");
                None
            }
            ("finish", [name, end]) => {
                let (ticket, begun) = self.calls.remove(&text(name)).expect("a call that was begun");
                self.machine.finish(&ticket, call_end(end), self.now - begun, self.now, chance);
                None
            }
            ("cancel", [name]) => {
                let (ticket, _) = self.calls.remove(&text(name)).expect("a call that was begun");
                self.machine.cancel(&ticket, self.now, chance);
                None
            }
            ("try", [expected]) => {
                let acquired = self.machine.acquire(self.now);
                if let Ok((ticket, _)) = &acquired {
                    self.machine.cancel(ticket, self.now, chance);
                }
                Some((expected.clone(), json!(acquired.is_ok())))
            }
            ("advance", [seconds]) => {
                self.now += duration(seconds);
                None
            }
            ("force", [to]) => {
                self.machine.force(state(to), self.now, chance);
                None
            }
            ("state", [expected]) => Some((expected.clone(), json!(name(self.machine.state())))),
            ("window", [calls, failures]) => {
                let counts = self.machine.counts(self.now);
                Some((json!([calls, failures]), json!([counts.calls, counts.failures])))
            }
            ("rate", [expected]) => {
                let rate = self.machine.rates(self.now).map(Counts::failure_rate_percent);
                Some((expected.clone(), json!(rate)))
            }
            ("slow_rate", [expected]) => {
                let rate = self.machine.rates(self.now).map(Counts::slow_rate_percent);
                Some((expected.clone(), json!(rate)))
            }
            ("refused", [expected]) => Some((expected.clone(), json!(self.machine.refused()))),
            unknown => panic!("unknown step: {unknown:?}"),
        }
    }

    fn call(&mut self, end: CallEnd, took: &[Value]) -> Option<(Value, Value)> {
        let took = match took {
            [] => Duration::ZERO,
            [took] => duration(took),
            more => panic!("a call took {more:?}"),
        };
        let ticket = self.acquire();
        self.machine.finish(&ticket, end, took, self.now, chance);
        None
    }

    fn acquire(&mut self) -> Ticket {
        self.machine.acquire(self.now).unwrap_or_else(|refused| panic!("not let through: {refused:?}")).0
    }
}

fn settings(config: &Value) -> BreakerSettings {
    let known = [
        "window",
        "minimum_calls",
        "failure_rate",
        "slow_call_rate",
        "slow_call_seconds",
        "half_open_calls",
        "open_seconds",
        "open_multiplier",
    ];
    let config = object(config, &known);
    let window = object(&config["window"], &["count", "seconds"]);
    BreakerSettings {
        window: match (window.get("count"), window.get("seconds")) {
            (Some(count), None) => WindowSettings::Count(number(count)),
            (None, Some(seconds)) => WindowSettings::Seconds(number(seconds)),
            _ => panic!("a window is of a count or of seconds"),
        },
        minimum_calls: number(&config["minimum_calls"]),
        failure_rate_percent: number(&config["failure_rate"]),
        slow_rate_percent: config.get("slow_call_rate").map_or(NEVER_PERCENT, number),
        slow: config.get("slow_call_seconds").map(duration),
        half_open_calls: number(&config["half_open_calls"]),
        open: duration(&config["open_seconds"]),
        open_multiplier: config.get("open_multiplier").map_or(1.0, |value| value.as_f64().unwrap()),
        max_open: Duration::from_secs(1_000_000),
        open_jitter: 0.0,
    }
}

fn object<'a>(value: &'a Value, known: &[&str]) -> &'a Map<String, Value> {
    let object = value.as_object().expect("an object");
    for key in object.keys() {
        assert!(known.contains(&key.as_str()), "unknown key: {key}");
    }
    object
}

fn call_end(value: &Value) -> CallEnd {
    match value.as_str() {
        Some("success") => CallEnd::Success,
        Some("failure") => CallEnd::Failure,
        Some("neutral") => CallEnd::Neutral,
        _ => panic!("unknown result: {value}"),
    }
}

fn state(value: &Value) -> State {
    match value.as_str() {
        Some("closed") => State::Closed,
        Some("open") => State::Open,
        Some("half_open") => State::HalfOpen,
        _ => panic!("unknown state: {value}"),
    }
}

fn name(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half_open",
    }
}

/// Numbers are the same whether they are written with a point or without.
fn is_same(expected: &Value, seen: &Value) -> bool {
    match (expected.as_f64(), seen.as_f64()) {
        (Some(expected), Some(seen)) => (expected - seen).abs() < 1e-9,
        _ => expected == seen,
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a name").to_owned()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().expect("a whole number")).unwrap()
}

fn duration(value: &Value) -> Duration {
    Duration::from_secs_f64(value.as_f64().expect("seconds"))
}
