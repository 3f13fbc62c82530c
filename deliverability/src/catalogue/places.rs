//! The tree of locations, walked upwards.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::tag_sets::SetId;
use crate::cow::{CowMap, CowVec};
use crate::{Location, LocationId, MAX_TREE_DEPTH, State};

/// A location's number, one more than it is, so that none takes no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot(NonZeroU32);

/// Every location told of or referred to.
#[derive(Clone, Default)]
pub(super) struct Places {
    /// The links stand here a second time: the first step of a walk, the one that no cache holds, costs nothing more.
    found: CowMap<LocationId, (Slot, Link), 2>,
    /// What the further steps need, close together.
    links: CowVec<Link>,
    /// The rest; none while a location is referred to and not told of.
    locations: CowVec<Option<Arc<Location>>>,
    known: usize,
}

/// What a walk up the tree needs of a location.
#[derive(Clone, Copy, Default)]
pub(super) struct Link {
    parent: Option<Slot>,
    pub(super) zones: SetId,
    /// None while it is not told of.
    pub(super) state: Option<State>,
    pub(super) has_rules: bool,
}

const _: () = assert!(size_of::<Option<(LocationId, (Slot, Link))>>() == 32, "half a cache line");

/// A location and those that it lies in, from itself up to its root. Filled where it stands: it is large to move.
pub(super) struct Lineage {
    steps: [(Slot, Link); MAX_TREE_DEPTH],
    len: usize,
    /// That of all that is most out of use.
    state: State,
}

// === impl Slot ===

impl Slot {
    pub(super) fn number(self) -> u32 {
        self.0.get() - 1
    }

    pub(super) fn from_number(number: u32) -> Self {
        Self(NonZeroU32::MIN.checked_add(number).expect("memory ends before 2^32 locations"))
    }
}

// === impl Places ===

impl Places {
    pub(super) fn len(&self) -> usize {
        self.known
    }

    pub(super) fn find(&self, id: LocationId) -> Option<(Slot, Link)> {
        self.found.get(&id).copied()
    }

    /// The location's number, a new one where it has none yet.
    pub(super) fn slot(&mut self, id: LocationId) -> Slot {
        if let Some((slot, _)) = self.find(id) {
            return slot;
        }
        let slot = Slot::from_number(self.links.push(Link::default()));
        self.locations.push(None);
        self.found.insert(id, (slot, Link::default()));
        slot
    }

    /// Gives the location's number, and what was there before.
    pub(super) fn put(&mut self, location: Location, zones: SetId) -> (Slot, Option<(Arc<Location>, SetId)>) {
        let id = location.id;
        let slot = self.slot(id);
        let parent = location.parent.map(|parent| self.slot(parent));
        let Link { zones: old_zones, has_rules, .. } = self.links[slot.number()];
        self.set_link(id, slot, Link { parent, zones, state: Some(location.state), has_rules });
        let old = self.locations[slot.number()].replace(Arc::new(location));
        self.known += usize::from(old.is_none());
        (slot, old.map(|old| (old, old_zones)))
    }

    /// Notes whether rules speak of a location.
    pub(super) fn mark(&mut self, slot: Slot, has_rules: bool) {
        let link = self.links[slot.number()];
        if link.has_rules == has_rules {
            return;
        }
        match self.location(slot).map(|location| location.id) {
            Some(id) => self.set_link(id, slot, Link { has_rules, ..link }),
            // No walk begins at what is not told of: its first link is written when it is.
            None => self.links[slot.number()].has_rules = has_rules,
        }
    }

    pub(super) fn location(&self, slot: Slot) -> Option<&Location> {
        self.locations[slot.number()].as_deref()
    }

    pub(super) fn lineage(&self, slot: Slot) -> Lineage {
        let mut lineage = Lineage::new();
        self.climb(slot, self.links[slot.number()], &mut lineage);
        lineage
    }

    /// The way up from a location; empty if it is not told of. Between checkpoints the tree may have holes, where the
    /// walk ends, and cycles, of which each location is visited once.
    pub(super) fn climb(&self, mut slot: Slot, mut link: Link, lineage: &mut Lineage) {
        lineage.len = 0;
        for step in &mut lineage.steps {
            let Some(state) = link.state else { return };
            *step = (slot, link);
            lineage.len += 1;
            lineage.state = lineage.state.max(state);
            let Some(parent) = link.parent else { return };
            (slot, link) = (parent, self.links[parent.number()]);
        }
        lineage.end_before_a_cycle();
    }

    fn set_link(&mut self, id: LocationId, slot: Slot, link: Link) {
        self.links[slot.number()] = link;
        self.found.insert(id, (slot, link));
    }
}

// === impl Lineage ===

impl Lineage {
    pub(super) fn new() -> Self {
        Self {
            steps: [(Slot(NonZeroU32::MIN), Link::default()); MAX_TREE_DEPTH],
            len: 0,
            state: State::Active,
        }
    }

    /// That of the location or of one that it lies in, whichever is most out of use.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// In a cycle every walk comes as far as the array.
    fn end_before_a_cycle(&mut self) {
        let again = |n: &usize| self.steps[..*n].iter().any(|(visited, _)| *visited == self.steps[*n].0);
        self.len = (1..MAX_TREE_DEPTH).find(again).unwrap_or(MAX_TREE_DEPTH);
    }
}

impl std::ops::Deref for Lineage {
    type Target = [(Slot, Link)];

    fn deref(&self) -> &[(Slot, Link)] {
        &self.steps[..self.len]
    }
}
