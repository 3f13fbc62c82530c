//! An address as a shop knows it, and the locations that it lies in.

use crate::{Code, LocationId, LocationKind, Name, Postcode};

/// Where something is to go, in words. Absent: not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// ISO 3166-1 alpha-2, such as "NL".
    pub country: Code,
    /// ISO 3166-2 with or without the country ("NL-NH", "NH"), or the region's name.
    pub region: Option<Name>,
    /// The city's name.
    pub city: Option<Name>,
    /// As people write it, normalised.
    pub postcode: Option<Postcode>,
}

/// One location on the way from a root down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathEntry {
    /// Which location.
    pub id: LocationId,
    /// For people.
    pub name: String,
    /// Its label.
    pub kind: LocationKind,
    /// Its code, if it has one.
    pub code: Option<Code>,
}
