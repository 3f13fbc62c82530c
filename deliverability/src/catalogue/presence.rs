//! Which rules a place has, at a glance: the list for any product, and what saves most lookups that would find nothing.

use super::rule_list::ListRef;
use super::rules::{PlaceKey, ProductKey};
use crate::cow::CowVec;

/// What is present at each place.
#[derive(Clone, Default)]
pub(super) struct Presences {
    any: Presence,
    zones: CowVec<Presence>,
    locations: CowVec<Presence>,
}

/// What is present at one place.
#[derive(Clone, Copy, Default)]
pub(super) struct Presence {
    /// The rules about any product.
    pub(super) any: Option<ListRef>,
    /// How many rules there are, about any product or some.
    rules: u32,
    /// Which classes and single products have rules.
    pub(super) marks: Marks,
}

/// A set of selections of products. May hold some that it should not, never lacks one that it should hold.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks(u64);

// === impl Marks ===

impl Marks {
    /// Any product has none: its list is looked at in any case.
    pub(super) fn of(product: ProductKey) -> Self {
        match product {
            ProductKey::Any => Self::default(),
            ProductKey::Class(class) => Self(1 << (class.number() % u64::BITS)),
            ProductKey::Product(number) => Self(1 << (number % u64::BITS)),
        }
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

// === impl Presence ===

impl Presence {
    fn add(&mut self, product: ProductKey) {
        self.rules += 1;
        self.marks = self.marks.or(Marks::of(product));
    }

    /// Leaves the mark until the last rule of the place goes: another rule may share it.
    fn remove(&mut self) {
        self.rules -= 1;
        if self.rules == 0 {
            self.marks = Marks::default();
        }
    }
}

// === impl Presences ===

impl Presences {
    pub(super) fn at(&self, place: PlaceKey) -> Option<&Presence> {
        match place {
            PlaceKey::Any => Some(&self.any),
            PlaceKey::Zone(zone) => self.zones.get(zone.number()),
            PlaceKey::Location(slot) => self.locations.get(slot.number()),
        }
    }

    /// Whether the place has any rule.
    pub(super) fn is_empty(&self, place: PlaceKey) -> bool {
        self.at(place).is_none_or(|presence| presence.rules == 0)
    }

    pub(super) fn add(&mut self, product: ProductKey, place: PlaceKey) {
        self.at_mut(place).add(product);
    }

    pub(super) fn remove(&mut self, place: PlaceKey) {
        self.at_mut(place).remove();
    }

    pub(super) fn at_mut(&mut self, place: PlaceKey) -> &mut Presence {
        match place {
            PlaceKey::Any => &mut self.any,
            PlaceKey::Zone(zone) => self.zones.grow_to(zone.number()),
            PlaceKey::Location(slot) => self.locations.grow_to(slot.number()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stays_until_the_last_rule_of_its_place_goes() {
        let mut presences = Presences::default();
        let (here, one) = (PlaceKey::Any, ProductKey::Product(7));
        let is_marked = |presences: &Presences| presences.any.marks.meets(Marks::of(one));
        presences.add(one, here);
        presences.add(one, here);
        presences.remove(here);
        assert!(is_marked(&presences) && !presences.is_empty(here));
        presences.remove(here);
        assert!(!is_marked(&presences) && presences.is_empty(here));
    }
}
