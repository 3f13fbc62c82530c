//! Which rules match a product and a place, and how specific each is about both.

use smallvec::SmallVec;

use super::Catalogue;
use super::judge::Front;
use super::places::Lineage;
use super::presence::Marks;
use super::products::StoredProduct;
use super::rule_list::{Effects, ListRef};
use super::rules::{PlaceKey, ProductKey, Rules};
use super::tag_sets::TagId;
use crate::{MAX_TAGS, MAX_TREE_DEPTH, Timestamp};

/// Specificities about the product.
const ANY: u8 = 0;
const CLASS: u8 = 1;
const PRODUCT: u8 = 2;
/// How many there are.
pub(super) const PRODUCT_LEVELS: usize = 3;

/// Specificities about the place: any, and that of the asked location. Those that it lies in lie between, from the top.
const ANYWHERE: u8 = 1;
const HERE: u8 = ANYWHERE + MAX_TREE_DEPTH as u8;

/// The rules with one pair of selectors that match: equally specific, so they fare alike.
#[derive(Clone, Copy)]
pub(super) struct Match {
    pub(super) list: ListRef,
    /// Of those in force.
    pub(super) effects: Effects,
    pub(super) product: u8,
    pub(super) place: u8,
}

/// Every rule that matches, in force or not.
pub(super) struct Matches<'a> {
    pub(super) rules: &'a Rules,
    pub(super) at: Timestamp,
    /// More than most questions meet, so that a decision takes nothing from the heap.
    pub(super) found: SmallVec<[Match; 32]>,
    /// Of all rules in force.
    pub(super) effects: Effects,
    pub(super) front: Front,
    /// When the next rule starts or ends.
    pub(super) next_change: Option<Timestamp>,
}

/// What is looked up at each place: the selections of products that are narrower than any, from the most specific.
struct Selections {
    keys: SmallVec<[(ProductKey, Marks, u8); MAX_TAGS + 1]>,
    /// Of all together.
    marks: Marks,
}

impl Catalogue {
    /// Every rule that matches.
    pub(super) fn gather(&self, product: &StoredProduct, lineage: &Lineage, at: Timestamp) -> Matches<'_> {
        let selections = self.selections(product);
        let mut matches = Matches::new(&self.rules, at);
        let mut seen = SmallVec::<[TagId; MAX_TAGS]>::new();
        for ((slot, link), place) in lineage.iter().zip((0..=HERE).rev()) {
            if link.has_rules {
                matches.gather(PlaceKey::Location(*slot), place, &selections);
            }
            // A zone on several nodes counts at the deepest, which the walk up meets first.
            for zone in self.zones.members(link.zones) {
                if !seen.contains(zone) {
                    seen.push(*zone);
                    matches.gather(PlaceKey::Zone(*zone), place, &selections);
                }
            }
        }
        matches.gather(PlaceKey::Any, ANYWHERE, &selections);
        matches
    }

    fn selections(&self, product: &StoredProduct) -> Selections {
        let mut selections = Selections { keys: SmallVec::new(), marks: Marks::default() };
        if let Some(number) = product.named() {
            selections.push(ProductKey::Product(number), PRODUCT);
        }
        for class in self.classes.members(product.classes) {
            selections.push(ProductKey::Class(*class), CLASS);
        }
        selections
    }
}

// === impl Selections ===

impl Selections {
    fn push(&mut self, key: ProductKey, specificity: u8) {
        let marks = Marks::of(key);
        self.marks = self.marks.or(marks);
        self.keys.push((key, marks, specificity));
    }
}

// === impl Matches ===

impl<'a> Matches<'a> {
    pub(super) fn new(rules: &'a Rules, at: Timestamp) -> Self {
        Self {
            rules,
            at,
            found: SmallVec::new(),
            effects: Effects::default(),
            front: Front::default(),
            next_change: None,
        }
    }

    fn gather(&mut self, place: PlaceKey, specificity: u8, selections: &Selections) {
        let Some(presence) = self.rules.at(place) else { return };
        if let Some(list) = presence.any {
            self.add(list, ANY, specificity);
        }
        if !presence.marks.meets(selections.marks) {
            return;
        }
        for (key, marks, product) in &selections.keys {
            if presence.marks.meets(*marks)
                && let Some(list) = self.rules.narrow(*key, place)
            {
                self.add(list, *product, specificity);
            }
        }
    }

    fn add(&mut self, list: ListRef, product: u8, place: u8) {
        let mut effects = list.always();
        if list.has_ends() {
            for rule in self.rules.list(list).with_ends() {
                if rule.in_force(self.at) {
                    effects = effects.with(rule.effect);
                }
                if let Some(next) = rule.validity.next_change(self.at)
                    && self.next_change.is_none_or(|soonest| next < soonest)
                {
                    self.next_change = Some(next);
                }
            }
        }
        self.effects = self.effects.or(effects);
        if effects.meet(Effects::OVERRIDING) {
            self.front.advance(product, place);
        }
        self.found.push(Match { list, effects, product, place });
    }
}

// === impl Match ===

impl Match {
    /// Levels of the tree between the root and its place, both included, in a lineage of so many locations; 0: any place.
    pub(super) fn level(&self, lineage: usize) -> usize {
        (usize::from(self.place) + lineage).saturating_sub(usize::from(HERE))
    }
}
