//! Instants by this service's clock.

use std::time::Duration;

use chassis::clock;
use deliverability::{MAX_UNIX_MICROS, Timestamp};

/// Now.
#[must_use]
pub fn now() -> Timestamp {
    from_micros(clock::unix_micros())
}

/// A while after an instant; the end of time if that is nearer.
#[must_use]
pub fn after(instant: Timestamp, while_: Duration) -> Timestamp {
    let micros = i64::try_from(while_.as_micros()).unwrap_or(i64::MAX);
    from_micros(instant.unix_micros().saturating_add(micros))
}

/// A while before an instant; the beginning of time if that is nearer.
#[must_use]
pub fn before(instant: Timestamp, while_: Duration) -> Timestamp {
    let micros = i64::try_from(while_.as_micros()).unwrap_or(i64::MAX);
    from_micros(instant.unix_micros().saturating_sub(micros))
}

/// How long ago an instant was; nothing if it is to come.
#[must_use]
pub fn age(instant: Timestamp, now: Timestamp) -> Duration {
    let micros = now.unix_micros().saturating_sub(instant.unix_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn from_micros(micros: i64) -> Timestamp {
    let clamped = micros.clamp(0, MAX_UNIX_MICROS);
    Timestamp::from_unix_micros(clamped).unwrap_or_else(|_| unreachable!("it lies in the years 1970 to 9999"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_while_after_now_is_a_while_away() {
        let now = now();
        let later = after(now, Duration::from_secs(5));
        assert_eq!(age(now, later), Duration::from_secs(5));
        assert_eq!(age(later, now), Duration::ZERO);
        assert_eq!(before(later, Duration::from_secs(5)), now);
    }

    #[test]
    fn time_ends_and_does_not_overflow() {
        let end = after(now(), Duration::MAX);
        assert_eq!(end.unix_micros(), MAX_UNIX_MICROS);
        assert_eq!(after(end, Duration::from_secs(1)), end);
        assert_eq!(before(end, Duration::MAX).unix_micros(), 0);
    }
}
