//! Deadlines: what a caller's `grpc-timeout` says, and how much of it is left.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::settings::DEFAULT_CALL_TIMEOUT_SECONDS;

/// The header by which callers say how long they wait.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The longest time that counts: more (99999999H is 11,000 years) is the same to every caller, and sums stay in range.
const MAX_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// The gRPC protocol's limit.
const MAX_DIGITS: usize = 8;

thread_local! {
    /// Of the handler that this thread polls. An extension of the request would cost three allocations a call.
    static CURRENT: Cell<Option<Deadline>> = const { Cell::new(None) };
}

/// When an answer is of no more use to the caller. Each call that `Services` hands to a handler has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// Waits for a deadline. It costs nothing until it is first polled, which most calls never do.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

/// A `grpc-timeout` that is not what the gRPC protocol wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidTimeout;

// === impl Deadline ===

impl Deadline {
    /// The deadline of the call whose handler asks. Work that the handler hands to other tasks or leaves to the stream that it
    /// answers with is to be told it; asked from there, and from calls that did not come through `Services`, it is the default
    /// call timeout from now.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.get().unwrap_or_else(|| Self::after(Duration::from_secs(DEFAULT_CALL_TIMEOUT_SECONDS)))
    }

    /// Polls a handler whose deadline this is. Panics are caught inside of `poll`.
    pub(crate) fn during<R>(self, poll: impl FnOnce() -> R) -> R {
        CURRENT.set(Some(self));
        let result = poll();
        CURRENT.set(None);
        result
    }

    /// The deadline that is `timeout` from now.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self::since(Instant::now(), timeout)
    }

    /// The deadline that is `timeout` from an instant.
    pub(crate) fn since(began: Instant, timeout: Duration) -> Self {
        Self(began + timeout.min(MAX_TIMEOUT))
    }

    /// The deadline at `instant`.
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// When it is.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }

    /// How long it is until then; nothing when it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

// === impl Timer ===

impl Timer {
    pub(crate) fn poll(&mut self, deadline: Deadline, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline.0))).as_mut().poll(cx)
    }
}

/// How long the caller waits, if it says so: up to eight digits and a unit.
pub(crate) fn grpc_timeout(header: Option<&HeaderValue>) -> Result<Option<Duration>, InvalidTimeout> {
    header.map(|value| parse(value.as_bytes()).ok_or(InvalidTimeout)).transpose()
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits.iter().fold(0_u64, |amount, digit| amount * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(amount * 3_600)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_the_protocol_is_understood() {
        assert_eq!(parse(b"2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(parse(b"2M"), Some(Duration::from_secs(120)));
        assert_eq!(parse(b"2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse(b"20m"), Some(Duration::from_millis(20)));
        assert_eq!(parse(b"20u"), Some(Duration::from_micros(20)));
        assert_eq!(parse(b"99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert_eq!(parse(b"0m"), Some(Duration::ZERO));
    }

    #[test]
    fn what_the_protocol_does_not_know_is_invalid() {
        for value in ["", "5", "m", "5s", "-5S", "+5S", "1.5S", " 5S", "5S ", "123456789m", "5mm", "５S"] {
            assert_eq!(parse(value.as_bytes()), None, "{value}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_runs_down_to_nothing_and_stays_there() {
        let deadline = Deadline::after(Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(deadline.remaining(), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(deadline.remaining(), Duration::ZERO);
    }

    #[test]
    fn the_longest_timeout_of_the_protocol_is_a_deadline_too() {
        let longest = parse(b"99999999H").unwrap();
        assert!(Deadline::after(longest).remaining() <= MAX_TIMEOUT);
    }
}
