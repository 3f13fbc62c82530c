//! Which postcodes the children of one location claim, so that no two claim the same.

use std::collections::BTreeMap;

use deliverability::{LocationId, PostalMatcher};

/// The claims below one parent. No two overlap.
#[derive(Debug, Default)]
pub(super) struct PostalClaims {
    /// Postcodes and prefixes.
    texts: Spans,
    /// Ranges of leading digits. Apart from the texts, because "1A" lies between "10" and "29" and in no such range.
    ranges: Spans,
}

/// Claims by the first text that each may match. Within a map the spans don't overlap, so they end in the order in
/// which they begin.
type Spans = BTreeMap<String, Claim>;

#[derive(Debug)]
struct Claim {
    /// The last text that it may match.
    last: String,
    matcher: PostalMatcher,
    owner: LocationId,
}

// === impl PostalClaims ===

impl PostalClaims {
    /// Who else claims a postcode that `matcher` matches.
    pub(super) fn conflict(&self, matcher: &PostalMatcher, of: LocationId) -> Option<LocationId> {
        let (first, last) = span(matcher);
        let meeting = |spans: &'_ Spans| {
            let near = spans.range(..=last.clone()).rev().take_while(|(_, claim)| claim.last >= first);
            near.map(|(_, claim)| claim)
                .find(|claim| claim.owner != of && claim.matcher.overlaps(matcher))
                .map(|claim| claim.owner)
        };
        meeting(&self.texts).or_else(|| meeting(&self.ranges))
    }

    /// Adds a claim that conflicts with none.
    pub(super) fn insert(&mut self, matcher: &PostalMatcher, owner: LocationId) {
        let (first, last) = span(matcher);
        self.spans(matcher).insert(first, Claim { last, matcher: matcher.clone(), owner });
    }

    /// Takes a claim back.
    pub(super) fn remove(&mut self, matcher: &PostalMatcher) {
        let (first, _) = span(matcher);
        self.spans(matcher).remove(&first);
    }

    fn spans(&mut self, matcher: &PostalMatcher) -> &mut Spans {
        match matcher {
            PostalMatcher::Exact(_) | PostalMatcher::Prefix(_) => &mut self.texts,
            PostalMatcher::Range(_) => &mut self.ranges,
        }
    }
}

/// The first and the last text that a matcher may match.
fn span(matcher: &PostalMatcher) -> (String, String) {
    // Above every letter and digit.
    const END: char = '~';
    match matcher {
        PostalMatcher::Exact(postcode) => (postcode.as_str().to_owned(), postcode.as_str().to_owned()),
        PostalMatcher::Prefix(prefix) => (prefix.as_str().to_owned(), format!("{}{END}", prefix.as_str())),
        PostalMatcher::Range(range) => (range.first().to_owned(), format!("{}{END}", range.last())),
    }
}

#[cfg(test)]
mod tests {
    use deliverability::{PostalRange, Postcode};
    use uuid::Uuid;

    use super::*;

    fn exact(text: &str) -> PostalMatcher {
        PostalMatcher::Exact(Postcode::parse(text).unwrap())
    }

    fn prefix(text: &str) -> PostalMatcher {
        PostalMatcher::Prefix(Postcode::parse(text).unwrap())
    }

    fn range(first: &str, last: &str) -> PostalMatcher {
        PostalMatcher::Range(PostalRange::parse(first, last).unwrap())
    }

    fn location(number: u128) -> LocationId {
        LocationId::from_uuid(Uuid::from_u128(number)).unwrap()
    }

    #[test]
    fn a_claim_conflicts_exactly_with_those_that_match_one_of_its_postcodes() {
        let matchers = [
            exact("1A"),
            exact("10"),
            exact("1011"),
            exact("15AB"),
            exact("2Z"),
            prefix("1"),
            prefix("1B"),
            prefix("10"),
            prefix("101"),
            prefix("2"),
            prefix("A"),
            range("10", "19"),
            range("12", "29"),
            range("1000", "1099"),
            range("1500", "2500"),
            range("20", "20"),
        ];
        for held in &matchers {
            for asked in &matchers {
                let mut claims = PostalClaims::default();
                claims.insert(held, location(1));
                let expected = held.overlaps(asked).then(|| location(1));
                assert_eq!(claims.conflict(asked, location(2)), expected, "{held:?} {asked:?}");
                assert_eq!(claims.conflict(asked, location(1)), None, "a location is no rival of its own");
                claims.remove(held);
                assert_eq!(claims.conflict(held, location(2)), None);
            }
        }
    }

    #[test]
    fn letters_between_two_digits_hide_no_conflict_behind_them() {
        let mut claims = PostalClaims::default();
        for (number, text) in (1..).zip(["10", "1A", "1B", "1Z"]) {
            claims.insert(&exact(text), location(number));
        }
        assert_eq!(claims.conflict(&range("10", "29"), location(9)), Some(location(1)));
        assert_eq!(claims.conflict(&range("11", "29"), location(9)), None);
    }
}
