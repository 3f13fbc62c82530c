//! The tree of locations, walked upwards.

use std::sync::Arc;

use smallvec::SmallVec;

use super::tag_sets::SetId;
use crate::cow::{CowMap, CowVec};
use crate::{Location, LocationId, MAX_TREE_DEPTH, State};

/// A location's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot(u32);

impl Slot {
    pub(super) fn number(self) -> u32 {
        self.0
    }
}

/// Every location told of or referred to.
#[derive(Clone, Default)]
pub(super) struct Places {
    slots: CowMap<LocationId, Slot>,
    /// What the walk needs, close together.
    nodes: CowVec<Node>,
    /// The rest; none while a location is referred to and not told of.
    locations: CowVec<Option<Arc<Location>>>,
    known: usize,
}

/// What a walk up the tree needs of a location.
#[derive(Clone, Copy, Default)]
pub(super) struct Node {
    parent: Option<Slot>,
    pub(super) zones: SetId,
    /// None while it is not told of.
    pub(super) state: Option<State>,
}

/// A location and those that it lies in, from itself up to its root.
pub(super) type Lineage<'a> = SmallVec<[(Slot, &'a Node); MAX_TREE_DEPTH]>;

impl Places {
    pub(super) fn len(&self) -> usize {
        self.known
    }

    pub(super) fn find(&self, id: LocationId) -> Option<Slot> {
        self.slots.get(&id).copied()
    }

    /// The location's number, a new one where it has none yet.
    pub(super) fn slot(&mut self, id: LocationId) -> Slot {
        if let Some(slot) = self.find(id) {
            return slot;
        }
        let slot = Slot(self.nodes.push(Node::default()));
        self.locations.push(None);
        self.slots.insert(id, slot);
        slot
    }

    /// Gives the location's number, and what was there before.
    pub(super) fn put(&mut self, location: Location, zones: SetId) -> (Slot, Option<(Arc<Location>, SetId)>) {
        let slot = self.slot(location.id);
        let parent = location.parent.map(|parent| self.slot(parent));
        let node = &mut self.nodes[slot.0];
        let old_zones = node.zones;
        *node = Node { parent, zones, state: Some(location.state) };
        let old = self.locations[slot.0].replace(Arc::new(location));
        self.known += usize::from(old.is_none());
        (slot, old.map(|old| (old, old_zones)))
    }

    pub(super) fn location(&self, slot: Slot) -> Option<&Location> {
        self.locations[slot.0].as_deref()
    }

    /// The way up from a location; empty if it is not told of. Between checkpoints the tree may have holes, where the
    /// walk ends, and cycles, of which each location is visited once.
    pub(super) fn lineage(&self, slot: Slot) -> Lineage<'_> {
        let mut lineage = Lineage::new();
        let mut next = Some(slot);
        while let Some(slot) = next {
            let node = &self.nodes[slot.0];
            let again = lineage.iter().any(|(visited, _)| *visited == slot);
            if node.state.is_none() || again || lineage.len() == MAX_TREE_DEPTH {
                break;
            }
            lineage.push((slot, node));
            next = node.parent;
        }
        lineage
    }
}
