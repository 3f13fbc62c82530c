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
use crate::time::FOR_EVER;
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
    /// When the next rule starts or ends, or `FOR_EVER`.
    next_change: Timestamp,
}

/// What is looked up at each place: the selections of products that are narrower than any.
struct Selections<'a> {
    named: Option<u32>,
    classes: &'a [TagId],
    /// Of all together.
    marks: Marks,
}

impl Catalogue {
    /// Adds every rule that matches.
    pub(super) fn gather(&self, product: &StoredProduct, lineage: &Lineage, matches: &mut Matches<'_>) {
        let classes = self.classes.members(product.classes);
        let selections = Selections::of(product, &classes);
        let mut seen = SmallVec::<[TagId; MAX_TAGS]>::new();
        let mut specificity = HERE;
        for (slot, link) in lineage.iter() {
            if link.has_rules {
                matches.gather(PlaceKey::Location(*slot), specificity, &selections);
            }
            if !link.zones.is_empty() {
                // A zone on several nodes counts at the deepest, which the walk up meets first.
                for zone in self.zones.members(link.zones).iter() {
                    if !seen.contains(zone) {
                        seen.push(*zone);
                        matches.gather(PlaceKey::Zone(*zone), specificity, &selections);
                    }
                }
            }
            specificity -= 1;
        }
        matches.gather(PlaceKey::Any, ANYWHERE, &selections);
    }
}

// === impl Selections ===

impl<'a> Selections<'a> {
    fn of(product: &StoredProduct, classes: &'a [TagId]) -> Self {
        let named = product.named();
        let mut marks = named.map_or(Marks::default(), |number| Marks::of(ProductKey::Product(number)));
        for class in classes {
            marks = marks.or(Marks::of(ProductKey::Class(*class)));
        }
        Self { named, classes, marks }
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
            next_change: FOR_EVER,
        }
    }

    /// The next instant at which a rule starts or ends.
    pub(super) fn next_change(&self) -> Option<Timestamp> {
        (self.next_change != FOR_EVER).then_some(self.next_change)
    }

    fn gather(&mut self, place: PlaceKey, specificity: u8, selections: &Selections) {
        let Some(presence) = self.rules.at(place) else { return };
        if let Some(list) = presence.any {
            self.add(list, ANY, specificity);
        }
        if !presence.marks.meets(selections.marks) {
            return;
        }
        let marks = presence.marks;
        if let Some(number) = selections.named {
            self.look_up(ProductKey::Product(number), PRODUCT, marks, place, specificity);
        }
        for class in selections.classes {
            self.look_up(ProductKey::Class(*class), CLASS, marks, place, specificity);
        }
    }

    #[inline]
    fn look_up(&mut self, key: ProductKey, product: u8, present: Marks, at: PlaceKey, place: u8) {
        if present.meets(Marks::of(key))
            && let Some(list) = self.rules.narrow(key, at)
        {
            self.add(list, product, place);
        }
    }

    #[inline]
    fn add(&mut self, list: ListRef, product: u8, place: u8) {
        let mut effects = list.always();
        if list.has_ends() {
            for rule in self.rules.list(list).with_ends() {
                let here = if rule.in_force(self.at) { Effects::of(rule.effect) } else { Effects::default() };
                effects = effects.or(here);
                self.next_change = self.next_change.min(rule.validity.change_after(self.at));
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
