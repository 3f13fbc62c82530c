//! Postcodes: what overlaps, and what is found, against trying every postcode and every location.

use deliverability::{
    Address, Catalogue, Change, Code, Location, LocationId, LocationKind, Name, PostalMatcher, PostalRange,
    Postcode, State, Tags,
};
use proptest::collection::SizeRange;
use proptest::prelude::*;
use uuid::Uuid;

const COUNTRY: usize = 0;

/// Every text of 1 to 4 of these: enough to tell any two matchers of at most 3 apart.
static LETTERS: [char; 4] = ['0', '1', '9', 'A'];

fn every_postcode() -> Vec<Postcode> {
    let mut texts = vec![String::new()];
    let mut all = Vec::new();
    for _ in 0..4 {
        texts = texts.iter().flat_map(|text| LETTERS.map(|letter| format!("{text}{letter}"))).collect();
        all.extend(texts.iter().map(|text| Postcode::parse(text).unwrap()));
    }
    all
}

fn texts(letters: &'static [char], length: impl Into<SizeRange>) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(letters), length).prop_map(String::from_iter)
}

fn matchers() -> impl Strategy<Value = PostalMatcher> {
    let digits = &LETTERS[..3];
    let ranges = (1..=3_usize).prop_flat_map(|length| (texts(digits, length), texts(digits, length)));
    prop_oneof![
        texts(&LETTERS, 1..=3).prop_map(|text| PostalMatcher::Exact(Postcode::parse(&text).unwrap())),
        texts(&LETTERS, 1..=3).prop_map(|text| PostalMatcher::Prefix(Postcode::parse(&text).unwrap())),
        ranges.prop_map(|(one, other)| {
            let (first, last) = if one < other { (one, other) } else { (other, one) };
            PostalMatcher::Range(PostalRange::parse(&first, &last).unwrap())
        }),
    ]
}

fn location(n: usize, parent: Option<usize>, postal: Option<PostalMatcher>) -> Location {
    Location {
        id: id(n),
        parent: parent.map(id),
        kind: LocationKind::PostalArea,
        code: (n == COUNTRY).then(|| Code::parse("XX").unwrap()),
        name: Name::parse("anywhere").unwrap(),
        zones: Tags::default(),
        postal,
        state: State::Active,
        version: 1,
    }
}

fn id(n: usize) -> LocationId {
    LocationId::from_uuid(Uuid::from_u128(n as u128 + 1)).unwrap()
}

proptest! {
    #[test]
    fn two_matchers_overlap_when_some_postcode_matches_both(one in matchers(), other in matchers()) {
        let some = every_postcode().iter().any(|postcode| one.matches(postcode) && other.matches(postcode));
        prop_assert_eq!(one.overlaps(&other), some);
    }

    #[test]
    fn a_postcode_is_found_at_the_deepest_location_that_matches(
        before in prop::collection::vec(matchers(), 8),
        areas in prop::collection::vec((matchers(), any::<prop::sample::Index>()), 8),
    ) {
        let mut catalogue = Catalogue::default();
        catalogue.apply(Change::Location(location(COUNTRY, None, None)));
        for (n, matcher) in before.into_iter().enumerate() {
            catalogue.apply(Change::Location(location(n + 1, Some(COUNTRY), Some(matcher))));
        }
        let parents: Vec<usize> = areas.iter().enumerate().map(|(n, (_, index))| index.index(n + 1)).collect();
        for (n, (matcher, _)) in areas.iter().enumerate() {
            catalogue.apply(Change::Location(location(n + 1, Some(parents[n]), Some(matcher.clone()))));
        }
        catalogue.seal();
        let depth = |mut n: usize| {
            let mut depth = 0;
            while n != COUNTRY {
                n = parents[n - 1];
                depth += 1;
            }
            depth
        };
        for postcode in every_postcode() {
            let matching = (1..=areas.len()).filter(|n| areas[n - 1].0.matches(&postcode));
            let expected = matching.min_by_key(|n| (std::cmp::Reverse(depth(*n)), *n)).unwrap_or(COUNTRY);
            let country = Code::parse("XX").unwrap();
            let address = Address { country, region: None, city: None, postcode: Some(postcode) };
            prop_assert_eq!(catalogue.resolve(&address), Some(id(expected)), "{:?}", address);
        }
    }
}
