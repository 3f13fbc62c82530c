//! Rules by what they select: a pair of selectors leads to its rules without looking at any other.

use std::hash::{Hash, Hasher};

use smallvec::SmallVec;

use super::places::Slot;
use super::presence::{Marks, Presences};
use super::tag_sets::TagId;
use crate::cow::CowMap;
use crate::{Effect, Limits, Rule, RuleId, RuleRef, Timestamp, Validity};

/// All rules that are not deleted.
#[derive(Clone, Default)]
pub(super) struct Rules {
    lists: CowMap<RuleKey, RuleList>,
    /// Where each rule is.
    keys: CowMap<RuleId, RuleKey>,
    presences: Presences,
}

/// All rules with one pair of selectors; most pairs have one. Knows what decides whether every rule must be looked at.
#[derive(Clone, Default)]
pub(super) struct RuleList {
    rules: SmallVec<[StoredRule; 1]>,
    /// Whether some rule starts or ends.
    pub(super) has_ends: bool,
    /// Whether some rule is an EMBARGO.
    pub(super) has_embargoes: bool,
}

/// Both selectors of a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct RuleKey {
    pub(super) product: ProductKey,
    pub(super) place: PlaceKey,
}

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

/// What decisions need of a rule, without its note.
#[derive(Clone, Copy)]
pub(super) struct StoredRule {
    pub(super) id: RuleId,
    pub(super) version: u32,
    pub(super) effect: Effect,
    pub(super) limits: Limits,
    pub(super) validity: Validity,
}

impl Rules {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn with_key(&self, key: RuleKey) -> Option<&RuleList> {
        self.lists.get(&key)
    }

    pub(super) fn key(&self, id: RuleId) -> Option<&RuleKey> {
        self.keys.get(&id)
    }

    /// Which selections of products to look up at a place.
    pub(super) fn at(&self, place: PlaceKey) -> Marks {
        self.presences.at(place)
    }

    /// The rule must not be there.
    pub(super) fn insert(&mut self, key: RuleKey, rule: StoredRule) {
        self.keys.insert(rule.id, key);
        self.lists.update(key, |list| list.push(rule));
        self.presences.add(key.product, key.place);
    }

    /// Gives where it was.
    pub(super) fn remove(&mut self, id: RuleId) -> Option<RuleKey> {
        let key = self.keys.remove(&id)?;
        let empty = self.lists.update(key, |list| {
            list.remove(id);
            list.rules.is_empty()
        });
        if empty {
            self.lists.remove(&key);
        }
        self.presences.remove(key.place);
        Some(key)
    }
}

impl Hash for RuleKey {
    // One word instead of four: a decision hashes some twenty keys.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let product = match self.product {
            ProductKey::Any => 0,
            ProductKey::Class(class) => u64::from(class.number()) * 2 + 1,
            ProductKey::Product(number) => u64::from(number) * 2 + 2,
        };
        let place = match self.place {
            PlaceKey::Any => 0,
            PlaceKey::Zone(zone) => u64::from(zone.number()) * 2 + 1,
            PlaceKey::Location(slot) => u64::from(slot.number()) * 2 + 2,
        };
        state.write_u64(product.rotate_left(32) ^ place);
    }
}

impl RuleList {
    pub(super) fn iter(&self) -> impl Iterator<Item = &StoredRule> + Clone {
        self.rules.iter()
    }

    fn push(&mut self, rule: StoredRule) {
        self.has_ends |= rule.validity != Validity::default();
        self.has_embargoes |= rule.effect == Effect::Embargo;
        self.rules.push(rule);
    }

    fn remove(&mut self, id: RuleId) {
        let rules = std::mem::take(self).rules;
        rules.into_iter().filter(|rule| rule.id != id).for_each(|rule| self.push(rule));
    }
}

impl StoredRule {
    pub(super) fn in_force(&self, at: Timestamp) -> bool {
        self.validity.holds(at)
    }

    /// Whether it can override another: an EMBARGO wins in its own way.
    pub(super) fn overrides(&self, at: Timestamp) -> bool {
        self.effect != Effect::Embargo && self.in_force(at)
    }

    pub(super) fn reference(&self) -> RuleRef {
        RuleRef { id: self.id, version: self.version }
    }
}

impl From<&Rule> for StoredRule {
    fn from(rule: &Rule) -> Self {
        Self {
            id: rule.id,
            version: rule.version,
            effect: rule.effect,
            limits: rule.limits,
            validity: rule.validity,
        }
    }
}
