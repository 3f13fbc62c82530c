//! Locations by code, by name and by the postcodes that lie in them.

use smallvec::SmallVec;

use super::places::Slot;
use crate::cow::CowMap;
use crate::{Code, Location, LocationKind, PostalMatcher, Postcode};

/// What an address is resolved by. Holds candidates: whoever looks checks them against the locations.
#[derive(Clone, Default)]
pub(super) struct AddressIndex {
    codes: CowMap<Code, Slots, 3>,
    /// Regions and cities by their folded names.
    names: CowMap<Box<str>, Slots, 3>,
    /// Every matcher by prefixes of the postcodes that it matches.
    prefixes: CowMap<Postcode, Slots, 3>,
}

/// A code has one location (two between checkpoints, while it moves); a name or a prefix has a few, in several countries.
type Slots = SmallVec<[Slot; 2]>;

impl AddressIndex {
    pub(super) fn insert(&mut self, slot: Slot, location: &Location) {
        if let Some(code) = &location.code {
            self.codes.update(code.clone(), |slots| slots.push(slot));
        }
        if is_named(location.kind) {
            self.names.update(fold(location.name.as_str()), |slots| slots.push(slot));
        }
        for prefix in location.postal.iter().flat_map(PostalMatcher::prefixes) {
            self.prefixes.update(prefix, |slots| slots.push(slot));
        }
    }

    /// The location as it was inserted.
    pub(super) fn remove(&mut self, slot: Slot, location: &Location) {
        if let Some(code) = &location.code {
            take(&mut self.codes, code, slot);
        }
        if is_named(location.kind) {
            take(&mut self.names, &fold(location.name.as_str()), slot);
        }
        for prefix in location.postal.iter().flat_map(PostalMatcher::prefixes) {
            take(&mut self.prefixes, &prefix, slot);
        }
    }

    pub(super) fn with_code(&self, code: &Code) -> &[Slot] {
        self.codes.get(code).map_or(&[], |slots| slots.as_slice())
    }

    pub(super) fn with_name(&self, name: &str) -> &[Slot] {
        self.names.get(&*fold(name)).map_or(&[], |slots| slots.as_slice())
    }

    /// Locations whose matcher may match; a range is listed under prefixes that say less than it does.
    pub(super) fn near_postcode(&self, postcode: &Postcode) -> impl Iterator<Item = Slot> {
        let text = postcode.as_str();
        (1..=text.len()).filter_map(|bytes| self.prefixes.get(&text[..bytes])).flatten().copied()
    }
}

/// Postal areas and sites are neither a region nor a city, and most locations are one of them.
fn is_named(kind: LocationKind) -> bool {
    matches!(kind, LocationKind::Region | LocationKind::City)
}

/// Letter case does not matter in names.
fn fold(name: &str) -> Box<str> {
    name.to_lowercase().into_boxed_str()
}

fn take<K: std::hash::Hash + Eq + Clone>(map: &mut CowMap<K, Slots, 3>, key: &K, slot: Slot) {
    let empty = map.update(key.clone(), |slots| {
        slots.retain(|other| *other != slot);
        slots.is_empty()
    });
    if empty {
        map.remove(key);
    }
}
