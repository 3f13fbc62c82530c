//! Calls at a steady rate, whatever becomes of them, and what came of each.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::{Code, Request};

use crate::system::{System, wanted};

/// Connections of the callers together.
const CONNECTIONS: usize = 4;

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// When it began.
    pub at: Duration,
    pub took: Duration,
    pub code: Code,
}

/// All calls of some time.
#[derive(Clone, Debug, Default)]
pub struct Ends(pub Vec<End>);

/// Calls `per_second` times a second for so long, each with a deadline.
pub async fn steady(system: &System, per_second: f64, how_long: Duration, deadline: Duration) -> Ends {
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| system.client()).collect();
    let began = Instant::now();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
    // Open loop: what is late is sent at once, so a slow answer delays no further call.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut calls, mut ends) = (JoinSet::new(), Ends::default());
    let mut number = 0;
    while began.elapsed() < how_long {
        ticks.tick().await;
        let mut client = clients[number % CONNECTIONS].clone();
        number += 1;
        calls.spawn(async move {
            let begun = Instant::now();
            let mut request = Request::new(wanted());
            request.set_timeout(deadline);
            let answer = client.create_delivery(request).await;
            let code = answer.err().map_or(Code::Ok, |status| status.code());
            End { at: begun - began, took: begun.elapsed(), code }
        });
        while let Some(ended) = calls.try_join_next() {
            ends.0.push(ended.unwrap());
        }
    }
    while let Some(ended) = calls.join_next().await {
        ends.0.push(ended.unwrap());
    }
    ends
}

// === impl Ends ===

impl Ends {
    /// Those that began within a time.
    pub fn between(&self, from: Duration, until: Duration) -> Self {
        Self(self.0.iter().copied().filter(|end| end.at >= from && end.at < until).collect())
    }

    pub fn ok(&self) -> Self {
        Self(self.0.iter().copied().filter(|end| end.code == Code::Ok).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time in which such a part of them had ended.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let mut took: Vec<_> = self.0.iter().map(|end| end.took).collect();
        took.sort_unstable();
        let rank = (took.len() as f64 * quantile) as usize;
        took.get(rank.min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// The codes that are not OK, each with its number.
    pub fn failures(&self) -> String {
        let mut codes: Vec<_> = self.0.iter().map(|end| end.code).filter(|code| *code != Code::Ok).collect();
        codes.sort_unstable_by_key(|code| *code as i32);
        let mut told: Vec<String> = Vec::new();
        for chunk in codes.chunk_by(|one, other| one == other) {
            told.push(format!("{} {:?}", chunk.len(), chunk[0]));
        }
        if told.is_empty() { "none".to_owned() } else { told.join(", ") }
    }
}

/// In milliseconds, for a line.
pub fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}
