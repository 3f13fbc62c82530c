//! What came of the calls.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::connection::End;

/// Ends, times, and the first answer.
#[derive(Default)]
pub struct Tally {
    ends: BTreeMap<End, usize>,
    deadline: Option<Duration>,
    /// Of the good calls: answered OK, and in time.
    took: Vec<Duration>,
    elapsed: Duration,
    first_message: Vec<u8>,
    /// Calls that were due and found no room, or were never answered.
    pub unsent: usize,
}

// === impl Tally ===

impl Tally {
    pub fn new(deadline: Option<Duration>) -> Self {
        Self { deadline, ..Self::default() }
    }

    pub fn ended(&mut self, end: End, took: Duration) {
        *self.ends.entry(end).or_default() += 1;
        if end == End::Code(0) && self.deadline.is_none_or(|deadline| took <= deadline) {
            self.took.push(took);
        }
    }

    /// Calls that were answered OK, and in time.
    pub fn good(&self) -> usize {
        self.took.len()
    }

    pub fn finish(mut self, elapsed: Duration, first_message: Vec<u8>) -> Self {
        (self.elapsed, self.first_message) = (elapsed, first_message);
        self
    }

    /// Takes another connection's in.
    pub fn add(&mut self, other: Self) {
        for (end, number) in other.ends {
            *self.ends.entry(end).or_default() += number;
        }
        self.took.extend(other.took);
        self.elapsed = self.elapsed.max(other.elapsed);
        self.unsent += other.unsent;
        if self.first_message.is_empty() {
            self.first_message = other.first_message;
        }
    }

    pub fn json(mut self) -> String {
        self.took.sort_unstable();
        let quantile = |part: f64| {
            let rank = (self.took.len() as f64 * part) as usize;
            let took = self.took.get(rank.min(self.took.len().saturating_sub(1)));
            took.map_or(0.0, |took| took.as_secs_f64() * 1e6)
        };
        let good = self.good();
        let seconds = self.elapsed.as_secs_f64();
        let ends: Vec<_> =
            self.ends.iter().map(|(end, number)| format!("\"{}\":{number}", name(*end))).collect();
        let first = self.first_message.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        format!(
            "{{\"good\":{good},\"seconds\":{seconds:.6},\"per_second\":{:.1},\"p50_us\":{:.1},\"p99_us\":{:.1},\
             \"p999_us\":{:.1},\"unsent\":{},\"ends\":{{{}}},\"first_message\":\"{first}\"}}",
            good as f64 / seconds,
            quantile(0.5),
            quantile(0.99),
            quantile(0.999),
            self.unsent,
            ends.join(","),
        )
    }
}

fn name(end: End) -> String {
    match end {
        End::Code(code) => format!("code {code}"),
        End::Unreadable => "status unreadable".to_owned(),
        End::Reset => "reset".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_after_the_deadline_is_not_good_and_still_tells_how_it_ended() {
        let mut tally = Tally::new(Some(Duration::from_millis(10)));
        tally.ended(End::Code(0), Duration::from_millis(10));
        tally.ended(End::Code(0), Duration::from_millis(11));
        tally.ended(End::Code(8), Duration::from_millis(1));
        assert_eq!(tally.good(), 1);
        let json = tally.finish(Duration::from_secs(2), Vec::new()).json();
        assert!(json.contains("\"good\":1,\"seconds\":2.000000,\"per_second\":0.5"), "{json}");
        assert!(json.contains("\"code 0\":2,\"code 8\":1"), "{json}");
    }

    #[test]
    fn without_a_deadline_no_answer_is_late() {
        let mut tally = Tally::new(None);
        tally.ended(End::Code(0), Duration::from_secs(60));
        assert_eq!(tally.good(), 1);
    }
}
