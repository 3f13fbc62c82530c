//! From an address to the deepest location that it surely lies in.

use super::Catalogue;
use super::places::Slot;
use crate::{Address, Code, LocationId, LocationKind, Name, PathEntry, Postcode, State};

impl Catalogue {
    /// The deepest location that an address lies in; none if not even the country is known.
    ///
    /// The country is the location with its code. Below it the region is found by code or name, below that the city
    /// by name, and the postcode's areas; what is not found is ignored. A name that several places share counts as not
    /// found, unless one of them holds the others or the postcode tells which is meant. A postcode that contradicts a
    /// region or city that was found is ignored: postcodes are mistyped more often. A location that is retired, or lies
    /// in a retired one, is not found; a suspended one is.
    pub fn resolve(&self, address: &Address) -> Option<LocationId> {
        let country =
            self.in_use(self.addresses.with_code(&address.country)).min_by_key(|slot| self.id(*slot))?;
        let region = address.region.as_ref().and_then(|name| self.region(country, &address.country, name));
        let base = region.unwrap_or(country);
        let areas = address.postcode.as_ref().map_or_else(Vec::new, |postcode| self.areas(base, postcode));
        let city = address.city.as_ref().and_then(|name| self.city(base, name, &areas));
        let base = city.unwrap_or(base);
        let area = areas.into_iter().find(|area| self.is_below(*area, base));
        self.id(area.unwrap_or(base))
    }

    /// A location and those that it lies in, root first; empty if it is unknown.
    pub fn path(&self, id: LocationId) -> Vec<PathEntry> {
        let Some((slot, _)) = self.places.find(id) else { return Vec::new() };
        let lineage = self.places.lineage(slot);
        let locations = lineage.iter().rev().filter_map(|(slot, _)| self.places.location(*slot));
        locations
            .map(|location| PathEntry {
                id: location.id,
                name: location.name.as_str().to_owned(),
                kind: location.kind,
                code: location.code.clone(),
            })
            .collect()
    }

    fn region(&self, country: Slot, country_code: &Code, name: &Name) -> Option<Slot> {
        let code = name.as_str().to_uppercase();
        let full = format!("{}-{code}", country_code.as_str());
        let by_code = [code, full].into_iter().filter_map(|code| Code::parse(&code).ok()).find_map(|code| {
            let mut found = self.in_use(self.addresses.with_code(&code));
            found.find(|slot| *slot != country && self.is_below(*slot, country))
        });
        by_code.or_else(|| self.topmost(&self.named(country, name, LocationKind::Region)))
    }

    fn city(&self, base: Slot, name: &Name, areas: &[Slot]) -> Option<Slot> {
        let cities = self.named(base, name, LocationKind::City);
        let holds_or_lies_in =
            |city: Slot, area: Slot| self.is_below(area, city) || self.is_below(city, area);
        let agreeing: Vec<Slot> = cities
            .iter()
            .copied()
            .filter(|city| areas.iter().any(|area| holds_or_lies_in(*city, *area)))
            .collect();
        self.topmost(if agreeing.is_empty() { &cities } else { &agreeing })
    }

    /// Places of that name below the base: those of the kind if there are any, else the others.
    fn named(&self, base: Slot, name: &Name, kind: LocationKind) -> Vec<Slot> {
        let found = self.in_use(self.addresses.with_name(name.as_str()));
        let below = found.filter(|slot| *slot != base && self.is_below(*slot, base));
        let is_of_kind =
            |slot: &Slot| self.places.location(*slot).is_some_and(|location| location.kind == kind);
        let (of_kind, others): (Vec<Slot>, Vec<Slot>) = below.partition(is_of_kind);
        if of_kind.is_empty() { others } else { of_kind }
    }

    /// The one that holds all others.
    fn topmost(&self, slots: &[Slot]) -> Option<Slot> {
        let top = slots.iter().copied().min_by_key(|slot| self.depth(*slot))?;
        slots.iter().all(|slot| self.is_below(*slot, top)).then_some(top)
    }

    /// The locations below the base that the postcode lies in, deepest first.
    fn areas(&self, base: Slot, postcode: &Postcode) -> Vec<Slot> {
        let near: Vec<Slot> = self.addresses.near_postcode(postcode).collect();
        let matches = |slot: &Slot| {
            let matcher = self.places.location(*slot).and_then(|location| location.postal.as_ref());
            matcher.is_some_and(|matcher| matcher.matches(postcode)) && self.is_below(*slot, base)
        };
        let mut areas: Vec<Slot> = self.in_use(&near).filter(matches).collect();
        areas.sort_by_key(|slot| (std::cmp::Reverse(self.depth(*slot)), self.id(*slot)));
        areas
    }

    fn in_use(&self, slots: &[Slot]) -> impl Iterator<Item = Slot> {
        let is_retired =
            |slot| self.places.lineage(slot).iter().any(|(_, link)| link.state == Some(State::Retired));
        slots.iter().copied().filter(move |slot| !is_retired(*slot))
    }

    /// Whether one is the other or lies in it.
    fn is_below(&self, slot: Slot, base: Slot) -> bool {
        self.places.lineage(slot).iter().any(|(above, _)| *above == base)
    }

    fn depth(&self, slot: Slot) -> usize {
        self.places.lineage(slot).len()
    }

    fn id(&self, slot: Slot) -> Option<LocationId> {
        self.places.location(slot).map(|location| location.id)
    }
}

#[cfg(test)]
mod tests {
    use LocationKind::{City, Country, PostalArea, Region};

    use super::super::Change;
    use super::super::samples::{location, location_id};
    use super::*;
    use crate::{Location, PostalMatcher, PostalRange};

    fn with_code(code: &str, location: Location) -> Location {
        Location { code: Some(Code::parse(code).unwrap()), ..location }
    }

    fn with_range(first: &str, last: &str, location: Location) -> Location {
        let range = PostalRange::parse(first, last).unwrap();
        Location { postal: Some(PostalMatcher::Range(range)), ..location }
    }

    fn netherlands() -> Catalogue {
        let mut catalogue = Catalogue::default();
        for location in [
            with_range("1000", "1099", location(6, 4, PostalArea, "1000-1099")),
            with_range("3500", "3599", location(8, 7, PostalArea, "3500-3599")),
            location(1, 0, Region, "World"),
            with_code("NL", location(2, 1, Country, "Nederland")),
            with_code("NL-NH", location(3, 2, Region, "Noord-Holland")),
            location(4, 3, City, "Amsterdam"),
            location(5, 2, Region, "Utrecht"),
            location(7, 5, City, "Utrecht"),
            location(9, 2, Region, "Limburg"),
            location(10, 9, City, "Bergen"),
            location(11, 3, City, "Bergen"),
            with_range("1860", "1869", location(12, 11, PostalArea, "1860-1869")),
            with_code("BE", location(20, 1, Country, "België")),
            with_range("1000", "1099", location(21, 20, City, "Brussel")),
        ] {
            catalogue.apply(Change::Location(location));
        }
        catalogue
    }

    fn found(catalogue: &Catalogue, country: &str, region: &str, city: &str, postcode: &str) -> Option<u128> {
        let address = Address {
            country: Code::parse(country).unwrap(),
            region: Name::parse(region).ok(),
            city: Name::parse(city).ok(),
            postcode: Postcode::parse(postcode).ok(),
        };
        catalogue.resolve(&address).map(|id| id.as_uuid().as_u128())
    }

    #[test]
    fn an_address_lies_in_the_deepest_location_that_is_known() {
        let nl = netherlands();
        for (region, city, postcode, expected) in [
            ("", "", "", 2),
            ("NL-NH", "", "", 3),
            ("nh", "", "", 3),
            ("noord-holland", "", "", 3),
            ("", "AMSTERDAM", "", 4),
            ("NH", "Amsterdam", "1011 ab", 6),
            ("", "", "1011AB", 6),
            ("Atlantis", "Nowhere", "9999", 2),
        ] {
            assert_eq!(
                found(&nl, "NL", region, city, postcode),
                Some(expected),
                "{region:?} {city:?} {postcode:?}"
            );
        }
    }

    #[test]
    fn an_unknown_country_resolves_to_nothing() {
        assert_eq!(found(&netherlands(), "DE", "", "Amsterdam", "1011AB"), None);
    }

    #[test]
    fn a_postcode_is_looked_for_below_its_country_only() {
        assert_eq!(found(&netherlands(), "BE", "", "", "1011"), Some(21));
    }

    #[test]
    fn a_region_or_city_wins_over_a_postcode_that_contradicts_it() {
        let nl = netherlands();
        assert_eq!(found(&nl, "NL", "Limburg", "", "1011AB"), Some(9));
        assert_eq!(found(&nl, "NL", "", "Amsterdam", "3511"), Some(4));
    }

    #[test]
    fn a_region_and_a_city_may_have_one_name() {
        let nl = netherlands();
        assert_eq!(found(&nl, "NL", "Utrecht", "", ""), Some(5));
        assert_eq!(found(&nl, "NL", "", "Utrecht", ""), Some(7));
        assert_eq!(found(&nl, "NL", "Utrecht", "Utrecht", "3511"), Some(8));
    }

    #[test]
    fn a_name_that_two_cities_share_is_settled_by_region_or_postcode_or_not_at_all() {
        let nl = netherlands();
        assert_eq!(found(&nl, "NL", "", "Bergen", ""), Some(2));
        assert_eq!(found(&nl, "NL", "Limburg", "Bergen", ""), Some(10));
        assert_eq!(found(&nl, "NL", "", "Bergen", "1861"), Some(12));
    }

    #[test]
    fn a_retired_location_hides_all_below_it() {
        let mut nl = netherlands();
        nl.apply(Change::Location(Location {
            state: State::Retired,
            ..location(3, 2, Region, "Noord-Holland")
        }));
        assert_eq!(found(&nl, "NL", "NH", "Amsterdam", "1011AB"), Some(2));
        nl.apply(Change::Location(Location {
            state: State::Suspended,
            ..location(3, 2, Region, "Noord-Holland")
        }));
        assert_eq!(found(&nl, "NL", "", "Amsterdam", "1011AB"), Some(6));
    }

    #[test]
    fn a_location_is_found_under_what_it_is_called_now() {
        let mut nl = netherlands();
        nl.apply(Change::Location(with_code("NL", location(30, 1, Country, "Nieuw"))));
        nl.apply(Change::Location(location(2, 1, Country, "Oud")));
        nl.apply(Change::Location(location(4, 30, City, "Mokum")));
        nl.apply(Change::Location(with_range("1200", "1210", location(6, 4, PostalArea, "moved"))));
        assert_eq!(found(&nl, "NL", "", "Amsterdam", ""), Some(30));
        assert_eq!(found(&nl, "NL", "", "Mokum", "1011"), Some(4));
        assert_eq!(found(&nl, "NL", "", "", "1201"), Some(6));
    }

    #[test]
    fn a_path_begins_at_the_root() {
        let names: Vec<String> =
            netherlands().path(location_id(6)).into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["World", "Nederland", "Noord-Holland", "Amsterdam", "1000-1099"]);
        assert_eq!(netherlands().path(location_id(99)), []);
    }
}
