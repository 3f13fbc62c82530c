//! A place in a tree: what is true of a place is true of everything below it.

use crate::{Code, Invalid, LocationId, Name, PostalMatcher, State, Tags};

/// Most levels of the tree, the root's included: every walk up ends here, whatever it meets.
pub const MAX_TREE_DEPTH: usize = 16;

/// A location as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Chosen by its creator.
    pub id: LocationId,
    /// What it lies in; absent: it is a root.
    pub parent: Option<LocationId>,
    /// A label; depth decides.
    pub kind: LocationKind,
    /// ISO 3166 where one exists.
    pub code: Option<Code>,
    /// For people, and for finding cities and regions.
    pub name: Name,
    /// What rules may select by; everything below inherits them.
    pub zones: Tags,
    /// Which postcodes lie here.
    pub postal: Option<PostalMatcher>,
    /// Whether it, and everything below, may be used.
    pub state: State,
    /// Counts its changes, from 1.
    pub version: u32,
}

/// A label for a level of the tree. Decisions don't look at it; resolving an address does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocationKind {
    /// A country.
    Country,
    /// A part of a country, or an area above countries.
    Region,
    /// A city or other settlement.
    City,
    /// What a set of postcodes covers.
    PostalArea,
    /// One address.
    Site,
}

impl LocationKind {
    /// As the contract and the databases spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Country => "COUNTRY",
            Self::Region => "REGION",
            Self::City => "CITY",
            Self::PostalArea => "POSTAL_AREA",
            Self::Site => "SITE",
        }
    }

    /// Reads what [`LocationKind::as_str`] writes.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        [Self::Country, Self::Region, Self::City, Self::PostalArea, Self::Site]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| Invalid::new("must be COUNTRY, REGION, CITY, POSTAL_AREA or SITE"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_written() {
        use LocationKind::{City, Country, PostalArea, Region, Site};
        for kind in [Country, Region, City, PostalArea, Site] {
            assert_eq!(LocationKind::parse(kind.as_str()), Ok(kind));
        }
        assert!(LocationKind::parse("PLANET").is_err());
    }
}
