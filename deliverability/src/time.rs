//! Instants, and the spans in which rules are in force.

use crate::Invalid;

/// 0001-01-01T00:00:00Z, the first instant that a protobuf Timestamp can name.
pub const MIN_UNIX_MICROS: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999Z, the last one.
pub const MAX_UNIX_MICROS: i64 = 253_402_300_799_999_999;

/// An instant in UTC, to the microsecond, as exact as both databases store it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// When a rule is in force: from an instant on, until just before another. Absent: since ever, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Validity {
    from: Timestamp,
    until: Timestamp,
}

/// Before and after every instant that can be told: a comparison with them needs no case for what is absent.
const SINCE_EVER: Timestamp = Timestamp(i64::MIN);
pub(crate) const FOR_EVER: Timestamp = Timestamp(i64::MAX);

// === impl Timestamp ===

impl Timestamp {
    /// Takes microseconds since 1970-01-01T00:00:00Z, in the years 0001 to 9999.
    pub fn from_unix_micros(micros: i64) -> Result<Self, Invalid> {
        if !(MIN_UNIX_MICROS..=MAX_UNIX_MICROS).contains(&micros) {
            return Err(Invalid::new("must lie in the years 0001 to 9999"));
        }
        Ok(Self(micros))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn unix_micros(self) -> i64 {
        self.0
    }
}

// === impl Validity ===

impl Validity {
    /// Refuses a span that is empty.
    pub fn new(from: Option<Timestamp>, until: Option<Timestamp>) -> Result<Self, Invalid> {
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            return Err(Invalid::new("must lie after valid_from"));
        }
        Ok(Self { from: from.unwrap_or(SINCE_EVER), until: until.unwrap_or(FOR_EVER) })
    }

    /// The first instant in force.
    pub fn from(&self) -> Option<Timestamp> {
        (self.from != SINCE_EVER).then_some(self.from)
    }

    /// The first instant no longer in force.
    pub fn until(&self) -> Option<Timestamp> {
        (self.until != FOR_EVER).then_some(self.until)
    }

    /// Whether the rule is in force.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// The first start or end after an instant.
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.change_after(after);
        (next != FOR_EVER).then_some(next)
    }

    /// The same, or `FOR_EVER`.
    pub(crate) fn change_after(&self, after: Timestamp) -> Timestamp {
        let until = if self.until > after { self.until } else { FOR_EVER };
        if self.from > after { self.from } else { until }
    }

    /// Whether it starts or ends at all.
    pub(crate) fn has_ends(&self) -> bool {
        *self != Self::default()
    }
}

impl Default for Validity {
    fn default() -> Self {
        Self { from: SINCE_EVER, until: FOR_EVER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_unix_micros(micros).unwrap()
    }

    #[test]
    fn an_instant_lies_in_the_years_0001_to_9999() {
        for (micros, good) in [
            (MIN_UNIX_MICROS, true),
            (MIN_UNIX_MICROS - 1, false),
            (MAX_UNIX_MICROS, true),
            (MAX_UNIX_MICROS + 1, false),
        ] {
            assert_eq!(Timestamp::from_unix_micros(micros).is_ok(), good, "{micros}");
        }
    }

    #[test]
    fn a_validity_holds_from_its_start_until_just_before_its_end() {
        let validity = Validity::new(Some(at(10)), Some(at(20))).unwrap();
        assert_eq!([9, 10, 19, 20].map(|t| validity.holds(at(t))), [false, true, true, false]);
    }

    #[test]
    fn a_validity_without_ends_always_holds() {
        assert!(
            Validity::default().holds(at(MIN_UNIX_MICROS)) && Validity::default().holds(at(MAX_UNIX_MICROS))
        );
        assert_eq!(Validity::default().next_change(at(0)), None);
    }

    #[test]
    fn an_empty_validity_is_refused() {
        assert!(Validity::new(Some(at(10)), Some(at(10))).is_err());
    }

    #[test]
    fn the_next_change_is_the_first_after_the_instant() {
        let validity = Validity::new(Some(at(10)), Some(at(20))).unwrap();
        assert_eq!(
            [9, 10, 19, 20].map(|t| validity.next_change(at(t))),
            [Some(at(10)), Some(at(20)), Some(at(20)), None]
        );
    }
}
