//! Which selections of products the rules at a place have: a glance that saves most lookups that would find nothing.

use super::rules::{PlaceKey, ProductKey};
use crate::cow::CowVec;

/// What is present at each place.
#[derive(Clone, Default)]
pub(super) struct Presences {
    any: Presence,
    zones: CowVec<Presence>,
    locations: CowVec<Presence>,
}

/// A set of selections of products. May hold some that it should not, never lacks one that it should hold.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks(u64);

#[derive(Clone, Copy, Default)]
struct Presence {
    rules: u32,
    marks: Marks,
}

impl Marks {
    const ANY: Self = Self(1);

    /// Any product and the single products have a bit each, so that the classes share 62.
    pub(super) fn of(product: ProductKey) -> Self {
        match product {
            ProductKey::Any => Self::ANY,
            ProductKey::Product(_) => Self(1 << 63),
            ProductKey::Class(class) => Self(1 << (1 + class.number() % 62)),
        }
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Presences {
    pub(super) fn at(&self, place: PlaceKey) -> Marks {
        let presence = match place {
            PlaceKey::Any => Some(&self.any),
            PlaceKey::Zone(zone) => self.zones.get(zone.number()),
            PlaceKey::Location(slot) => self.locations.get(slot.number()),
        };
        presence.map_or(Marks::default(), |presence| presence.marks)
    }

    pub(super) fn add(&mut self, product: ProductKey, place: PlaceKey) {
        let presence = self.at_mut(place);
        presence.rules += 1;
        presence.marks.0 |= Marks::of(product).0;
    }

    /// Leaves the mark until the last rule of the place goes: another rule may share it.
    pub(super) fn remove(&mut self, place: PlaceKey) {
        let presence = self.at_mut(place);
        presence.rules -= 1;
        if presence.rules == 0 {
            presence.marks = Marks::default();
        }
    }

    fn at_mut(&mut self, place: PlaceKey) -> &mut Presence {
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
        let here = PlaceKey::Any;
        presences.add(ProductKey::Any, here);
        presences.add(ProductKey::Any, here);
        presences.remove(here);
        assert!(presences.at(here).meets(Marks::of(ProductKey::Any)));
        presences.remove(here);
        assert!(!presences.at(here).meets(Marks::of(ProductKey::Any)));
    }
}
