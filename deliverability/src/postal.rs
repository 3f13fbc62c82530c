//! Postcodes, and which of them lie in a location.

use std::borrow::Borrow;

use crate::Invalid;

/// Longest postcode in letters and digits; the longest in use have 10.
pub const MAX_POSTCODE_BYTES: usize = 12;

/// A postcode as it is compared: upper case, without spaces and dashes, 1 to 12 letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Postcode(Box<str>);

/// Which postcodes lie in a location.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PostalMatcher {
    /// This one.
    Exact(Postcode),
    /// Every one that begins so.
    Prefix(Postcode),
    /// Every one whose leading digits lie in a range.
    Range(PostalRange),
}

/// Leading digits, from first to last, both included and equally many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PostalRange {
    first: Postcode,
    last: Postcode,
}

// === impl Postcode ===

impl Postcode {
    /// Normalises what people write; the only place that does.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut normal = String::with_capacity(MAX_POSTCODE_BYTES);
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            if !c.is_ascii_alphanumeric() || normal.len() == MAX_POSTCODE_BYTES {
                return Err(Self::refusal());
            }
            normal.push(c.to_ascii_uppercase());
        }
        if normal.is_empty() { Err(Self::refusal()) } else { Ok(Self(normal.into_boxed_str())) }
    }

    /// The normalised postcode.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn refusal() -> Invalid {
        Invalid::new(format!(
            "must be 1 to {MAX_POSTCODE_BYTES} letters (A-Z) and digits, spaces and dashes not counted"
        ))
    }

    fn is_digits(&self) -> bool {
        self.0.bytes().all(|b| b.is_ascii_digit())
    }
}

impl Borrow<str> for Postcode {
    fn borrow(&self) -> &str {
        &self.0
    }
}

// === impl PostalMatcher ===

impl PostalMatcher {
    /// Whether a postcode lies here.
    pub fn matches(&self, postcode: &Postcode) -> bool {
        match self {
            Self::Exact(exact) => exact == postcode,
            Self::Prefix(prefix) => postcode.0.starts_with(&*prefix.0),
            Self::Range(range) => range.holds(&postcode.0),
        }
    }

    /// Whether some postcode lies in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(exact), matcher) | (matcher, Self::Exact(exact)) => matcher.matches(exact),
            (Self::Prefix(one), Self::Prefix(other)) => {
                one.0.starts_with(&*other.0) || other.0.starts_with(&*one.0)
            }
            (Self::Prefix(prefix), Self::Range(range)) | (Self::Range(range), Self::Prefix(prefix)) => {
                range.meets_prefix(&prefix.0)
            }
            (Self::Range(one), Self::Range(other)) => one.meets(other),
        }
    }

    /// Prefixes such that every postcode that matches begins with one of them: what an index finds it by.
    pub(crate) fn prefixes(&self) -> Vec<Postcode> {
        match self {
            Self::Exact(postcode) | Self::Prefix(postcode) => vec![postcode.clone()],
            Self::Range(range) => range.prefixes(),
        }
    }
}

// === impl PostalRange ===

impl PostalRange {
    /// Both ends digits only and equally many, first not above last.
    pub fn parse(first: &str, last: &str) -> Result<Self, Invalid> {
        let (first, last) = (Postcode::parse(first)?, Postcode::parse(last)?);
        if !first.is_digits() || !last.is_digits() {
            return Err(Invalid::new("must consist of digits"));
        }
        if first.0.len() != last.0.len() {
            return Err(Invalid::new("must have as many digits at its first as at its last"));
        }
        if first > last {
            return Err(Invalid::new("must not end before it begins"));
        }
        Ok(Self { first, last })
    }

    /// The first digits.
    pub fn first(&self) -> &str {
        &self.first.0
    }

    /// The last digits.
    pub fn last(&self) -> &str {
        &self.last.0
    }

    // Equally many digits compare as text as they do as numbers.
    fn holds(&self, postcode: &str) -> bool {
        let digits = self.first.0.len();
        postcode.get(..digits).is_some_and(|leading| {
            leading.bytes().all(|b| b.is_ascii_digit())
                && *self.first.0 <= *leading
                && *leading <= *self.last.0
        })
    }

    // The prefix, continued by any digits, covers a span; so does each number of fewer digits in `meets`.
    fn meets_prefix(&self, prefix: &str) -> bool {
        if prefix.len() >= self.first.0.len() {
            return self.holds(prefix);
        }
        prefix.bytes().all(|b| b.is_ascii_digit())
            && self.first.0[..prefix.len()] <= *prefix
            && *prefix <= self.last.0[..prefix.len()]
    }

    fn meets(&self, other: &Self) -> bool {
        let digits = self.first.0.len().min(other.first.0.len());
        self.first.0[..digits] <= other.last.0[..digits] && other.first.0[..digits] <= self.last.0[..digits]
    }

    // Greedy from below: the widest block of 10^n numbers that starts here and does not pass the end is one prefix.
    // At most 18 for each digit.
    fn prefixes(&self) -> Vec<Postcode> {
        let digits = self.first.0.len();
        let number = |text: &str| text.parse::<u64>().expect("at most 12 digits");
        let (mut next, last) = (number(&self.first.0), number(&self.last.0));
        let mut prefixes = Vec::new();
        while next <= last {
            let (mut block, mut dropped) = (1, 0);
            while dropped + 1 < digits && next % (block * 10) == 0 && next + block * 10 - 1 <= last {
                block *= 10;
                dropped += 1;
            }
            let width = digits - dropped;
            prefixes.push(Postcode(format!("{:0width$}", next / block).into_boxed_str()));
            next += block;
        }
        prefixes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Postcode {
        Postcode::parse(text).unwrap()
    }

    fn exact(text: &str) -> PostalMatcher {
        PostalMatcher::Exact(code(text))
    }

    fn prefix(text: &str) -> PostalMatcher {
        PostalMatcher::Prefix(code(text))
    }

    fn range(first: &str, last: &str) -> PostalMatcher {
        PostalMatcher::Range(PostalRange::parse(first, last).unwrap())
    }

    #[test]
    fn a_postcode_is_compared_without_spaces_and_dashes() {
        assert_eq!(code(" 1011 ab"), code("1011-AB"));
        assert_eq!(code("sw1a 1aa").as_str(), "SW1A1AA");
    }

    #[test]
    fn a_postcode_has_1_to_12_letters_and_digits() {
        assert!(Postcode::parse("1 2 3 4 5 6 7 8 9 0 1 2").is_ok());
        for bad in ["", " - ", "1234567890123", "10é1", "10/11"] {
            assert!(Postcode::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_range_has_digits_equally_many_and_in_order() {
        assert!(PostalRange::parse("0100", "0100").is_ok());
        for (first, last) in [("10", "999"), ("20", "10"), ("1A", "1B"), ("", "")] {
            assert!(PostalRange::parse(first, last).is_err(), "{first}..{last}");
        }
    }

    #[test]
    fn a_range_looks_at_leading_digits_only() {
        let matcher = range("1000", "1099");
        assert!(["1000", "1011AB", "10995"].iter().all(|p| matcher.matches(&code(p))));
        assert!(["0999", "1100", "10", "10A0", "A1011"].iter().all(|p| !matcher.matches(&code(p))));
    }

    #[test]
    fn matchers_overlap_when_one_postcode_matches_both() {
        for (one, other, expected) in [
            (exact("1011"), exact("1011"), true),
            (exact("1011"), prefix("10"), true),
            (exact("1011"), range("1012", "1020"), false),
            (prefix("10"), prefix("1011"), true),
            (prefix("10"), prefix("11"), false),
            (prefix("10"), range("1099", "1200"), true),
            (prefix("10"), range("1100", "1200"), false),
            (prefix("1011AB"), range("1000", "1099"), true),
            (prefix("A"), range("1000", "1099"), false),
            (range("10", "19"), range("1999", "2500"), true),
            (range("10", "19"), range("2000", "2500"), false),
        ] {
            assert_eq!(one.overlaps(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.overlaps(&one), expected, "{other:?} {one:?}");
        }
    }

    #[test]
    fn a_range_is_found_by_few_prefixes() {
        let prefixes =
            |first, last| range(first, last).prefixes().iter().map(|p| p.0.to_string()).collect::<Vec<_>>();
        assert_eq!(prefixes("1000", "1999"), ["1"]);
        assert_eq!(prefixes("0098", "0120"), ["0098", "0099", "010", "011", "0120"]);
        assert_eq!(prefixes("0", "9").len(), 10);
        assert!(prefixes("000000000001", "999999999998").len() <= 18 * MAX_POSTCODE_BYTES);
    }
}
