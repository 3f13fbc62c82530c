//! Rules by what they select: a pair of selectors leads to its rules without looking at any other.

use std::hash::{Hash, Hasher};

use super::places::Slot;
use super::presence::{Presence, Presences};
use super::rule_list::{ListRef, RuleList, RuleLists, StoredRule};
use super::tag_sets::TagId;
use crate::RuleId;
use crate::cow::CowMap;

/// All rules that are not deleted.
#[derive(Clone, Default)]
pub(super) struct Rules {
    lists: RuleLists,
    /// The lists about some products; that about any product is with its place's presence.
    narrow: CowMap<RuleKey, ListRef, 4>,
    /// Where each rule is.
    keys: CowMap<RuleId, RuleKey, 2>,
    presences: Presences,
}

/// Both selectors of a rule, packed: the place above, the product below.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct RuleKey(u64);

/// Which products, from the least to the most specific.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ProductKey {
    Any,
    Class(TagId),
    /// By its number among those that rules name.
    Product(u32),
}

/// Which places.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceKey {
    Any,
    Zone(TagId),
    Location(Slot),
}

// === impl Rules ===

impl Rules {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The rules about some products at a place.
    pub(super) fn narrow(&self, product: ProductKey, place: PlaceKey) -> Option<ListRef> {
        self.narrow.get(&RuleKey::new(product, place)).copied()
    }

    pub(super) fn list(&self, list: ListRef) -> &RuleList {
        self.lists.get(list)
    }

    pub(super) fn key(&self, id: RuleId) -> Option<RuleKey> {
        self.keys.get(&id).copied()
    }

    /// What is present at a place.
    pub(super) fn at(&self, place: PlaceKey) -> Option<&Presence> {
        self.presences.at(place)
    }

    /// Whether the place has no rule.
    pub(super) fn is_empty_at(&self, place: PlaceKey) -> bool {
        self.presences.is_empty(place)
    }

    /// The rule must not be there.
    pub(super) fn insert(&mut self, key: RuleKey, rule: StoredRule) {
        self.keys.insert(rule.id, key);
        let list = self.lists.add(self.list_of(key), rule);
        self.put_list(key, Some(list));
        self.presences.add(key.product(), key.place());
    }

    /// Gives where it was.
    pub(super) fn remove(&mut self, id: RuleId) -> Option<RuleKey> {
        let key = self.keys.remove(&id)?;
        if let Some(list) = self.list_of(key) {
            let left = self.lists.remove(list, id);
            self.put_list(key, left);
        }
        self.presences.remove(key.place());
        Some(key)
    }

    fn list_of(&self, key: RuleKey) -> Option<ListRef> {
        match key.product() {
            ProductKey::Any => self.presences.at(key.place())?.any,
            _ => self.narrow.get(&key).copied(),
        }
    }

    fn put_list(&mut self, key: RuleKey, list: Option<ListRef>) {
        match (key.product(), list) {
            (ProductKey::Any, list) => self.presences.at_mut(key.place()).any = list,
            (_, Some(list)) => {
                self.narrow.insert(key, list);
            }
            (_, None) => {
                self.narrow.remove(&key);
            }
        }
    }
}

// === impl RuleKey ===

impl RuleKey {
    /// What is left of a word for a number, beside the sort that it is of.
    const SORT_BITS: u32 = 2;

    pub(super) fn new(product: ProductKey, place: PlaceKey) -> Self {
        let product = match product {
            ProductKey::Any => 0,
            ProductKey::Class(class) => Self::word(1, class.number()),
            ProductKey::Product(number) => Self::word(2, number),
        };
        let place = match place {
            PlaceKey::Any => 0,
            PlaceKey::Zone(zone) => Self::word(1, zone.number()),
            PlaceKey::Location(slot) => Self::word(2, slot.number()),
        };
        Self(place << u32::BITS | product)
    }

    pub(super) fn product(self) -> ProductKey {
        match Self::sort_and_number(self.0 as u32) {
            (0, _) => ProductKey::Any,
            (1, number) => ProductKey::Class(TagId::from_number(number)),
            (_, number) => ProductKey::Product(number),
        }
    }

    pub(super) fn place(self) -> PlaceKey {
        match Self::sort_and_number((self.0 >> u32::BITS) as u32) {
            (0, _) => PlaceKey::Any,
            (1, number) => PlaceKey::Zone(TagId::from_number(number)),
            (_, number) => PlaceKey::Location(Slot::from_number(number)),
        }
    }

    fn word(sort: u64, number: u32) -> u64 {
        debug_assert!(number < 1 << (u32::BITS - Self::SORT_BITS), "memory ends before 2^30 of a sort");
        u64::from(number) << Self::SORT_BITS | sort
    }

    fn sort_and_number(word: u32) -> (u32, u32) {
        (word & ((1 << Self::SORT_BITS) - 1), word >> Self::SORT_BITS)
    }
}

impl Hash for RuleKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}
