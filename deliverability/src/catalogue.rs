//! The whole catalogue in memory: changes go in, decisions come out, and a clone is a snapshot.

mod address_index;
mod decide;
mod explain;
mod interner;
mod judge;
mod matching;
mod places;
mod presence;
mod products;
mod resolve;
mod rule_list;
mod rules;
#[cfg(test)]
mod samples;
mod tag_sets;

use std::fmt;

use self::address_index::AddressIndex;
use self::interner::Interner;
use self::places::Places;
use self::products::Products;
use self::rule_list::StoredRule;
use self::rules::{PlaceKey, ProductKey, RuleKey, Rules};
use self::tag_sets::TagSets;
use crate::{Location, PlaceSelector, Product, ProductId, ProductSelector, Rule};

/// All products, locations and rules. A clone costs some pointers, and is not changed by later changes of the original.
#[derive(Clone, Default)]
pub struct Catalogue {
    classes: TagSets,
    zones: TagSets,
    /// Products that rules name: few, so that rules are found by small numbers.
    named: Interner<ProductId>,
    products: Products,
    places: Places,
    addresses: AddressIndex,
    rules: Rules,
}

/// One object as it is now: new, changed, retired or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A product.
    Product(Product),
    /// A location.
    Location(Location),
    /// A rule.
    Rule(Rule),
}

impl Catalogue {
    /// Puts an object in the place of the one with its id. An object may come before what it refers to: until that
    /// comes too, the reference leads nowhere.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Product(product) => self.apply_product(&product),
            Change::Location(location) => self.apply_location(location),
            Change::Rule(rule) => self.apply_rule(&rule),
        }
    }

    /// Ends a batch of changes: forgets the classes, zones and named products that nothing has any more.
    pub fn seal(&mut self) {
        for (_, product) in self.named.sweep() {
            self.products.name(product, None);
        }
        self.classes.sweep();
        self.zones.sweep();
    }

    /// How many products there are, retired ones included.
    pub fn products(&self) -> usize {
        self.products.len()
    }

    /// How many locations there are, retired ones included.
    pub fn locations(&self) -> usize {
        self.places.len()
    }

    /// How many rules there are, deleted ones not included.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    fn apply_product(&mut self, product: &Product) {
        let classes = self.classes.acquire_set(&product.classes);
        let named = self.named.number(&product.id);
        if let Some(old) = self.products.put(product, classes, named) {
            self.classes.release_set(old.classes);
        }
    }

    fn apply_location(&mut self, location: Location) {
        let zones = self.zones.acquire_set(&location.zones);
        let (slot, old) = self.places.put(location, zones);
        if let Some((old, old_zones)) = old {
            self.zones.release_set(old_zones);
            self.addresses.remove(slot, &old);
        }
        if let Some(location) = self.places.location(slot) {
            self.addresses.insert(slot, location);
        }
    }

    fn apply_rule(&mut self, rule: &Rule) {
        // The new selectors are counted before the old ones are let go: what both name is kept.
        let key = (!rule.deleted).then(|| self.acquire_key(rule));
        if let Some(old) = self.rules.remove(rule.id) {
            self.mark(old);
            self.release_key(old);
        }
        if let Some(key) = key {
            self.rules.insert(key, StoredRule::from(rule));
            self.mark(key);
        }
    }

    /// Tells the location that a key names whether rules speak of it.
    fn mark(&mut self, key: RuleKey) {
        if let PlaceKey::Location(slot) = key.place() {
            self.places.mark(slot, !self.rules.is_empty_at(key.place()));
        }
    }

    fn acquire_key(&mut self, rule: &Rule) -> RuleKey {
        let product = match &rule.product {
            ProductSelector::Any => ProductKey::Any,
            ProductSelector::Class(class) => ProductKey::Class(self.classes.acquire(class)),
            ProductSelector::Product(id) => ProductKey::Product(self.acquire_named(*id)),
        };
        let place = match &rule.place {
            PlaceSelector::Any => PlaceKey::Any,
            PlaceSelector::Zone(zone) => PlaceKey::Zone(self.zones.acquire(zone)),
            PlaceSelector::Location(id) => PlaceKey::Location(self.places.slot(*id)),
        };
        RuleKey::new(product, place)
    }

    fn acquire_named(&mut self, id: ProductId) -> u32 {
        let (number, new) = self.named.acquire(&id);
        if new {
            self.products.name(id, Some(number));
        }
        number
    }

    fn release_key(&mut self, key: RuleKey) {
        match key.product() {
            ProductKey::Any => {}
            ProductKey::Class(class) => self.classes.release(class),
            ProductKey::Product(number) => self.named.release(number),
        }
        if let PlaceKey::Zone(zone) = key.place() {
            self.zones.release(zone);
        }
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue")
            .field("products", &self.products())
            .field("locations", &self.locations())
            .field("rules", &self.rules())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{at, class, location, location_id, product, product_id, rule, rule_id, zone};
    use super::*;
    use crate::{Effect, LocationKind, Quantity, Question, Reason, RuleRef, Tag, Tags};

    fn reason(catalogue: &Catalogue, product: u128, location: u128) -> Reason {
        let (product, location) = (product_id(product), location_id(location));
        catalogue.decide(&Question { product, location, quantity: Quantity::default(), at: at(0) }).reason
    }

    fn site(n: u128, parent: u128) -> Location {
        location(n, parent, LocationKind::Site, "a site")
    }

    #[test]
    fn a_reference_that_leads_nowhere_leads_somewhere_once_its_object_comes() {
        let mut catalogue = Catalogue::default();
        let here = PlaceSelector::Location(location_id(1));
        catalogue.apply(Change::Rule(rule(1, Effect::Allow, ProductSelector::Product(product_id(1)), here)));
        catalogue.apply(Change::Location(site(2, 1)));
        assert_eq!(reason(&catalogue, 1, 2), Reason::ProductUnknown);
        catalogue.apply(Change::Product(product(1, &[])));
        assert_eq!(reason(&catalogue, 1, 1), Reason::LocationUnknown);
        assert_eq!(reason(&catalogue, 1, 2), Reason::NoRule);
        catalogue.apply(Change::Location(site(1, 0)));
        assert_eq!(reason(&catalogue, 1, 2), Reason::Allowed);
    }

    #[test]
    fn a_cycle_between_checkpoints_ends_the_walk() {
        let mut catalogue = Catalogue::default();
        catalogue.apply(Change::Product(product(1, &[])));
        for (n, parent) in [(1, 2), (2, 3), (3, 2), (4, 4)] {
            catalogue.apply(Change::Location(site(n, parent)));
        }
        let here = PlaceSelector::Location(location_id(2));
        catalogue.apply(Change::Rule(rule(1, Effect::Allow, ProductSelector::Any, here)));
        assert_eq!(
            [1, 2, 3, 4].map(|n| reason(&catalogue, 1, n) == Reason::Allowed),
            [true, true, true, false]
        );
        assert_eq!(catalogue.path(location_id(1)).len(), 3);
    }

    #[test]
    fn a_deleted_rule_decides_nothing_and_is_not_counted() {
        let mut catalogue = Catalogue::default();
        catalogue.apply(Change::Product(product(1, &["food"])));
        catalogue.apply(Change::Location(site(1, 0)));
        let allow = rule(1, Effect::Allow, class("food"), PlaceSelector::Any);
        catalogue.apply(Change::Rule(allow.clone()));
        assert_eq!((reason(&catalogue, 1, 1), catalogue.rules()), (Reason::Allowed, 1));
        for _ in 0..2 {
            catalogue.apply(Change::Rule(Rule { deleted: true, version: 2, ..allow.clone() }));
            assert_eq!((reason(&catalogue, 1, 1), catalogue.rules()), (Reason::NoRule, 0));
        }
    }

    #[test]
    fn a_decision_names_the_version_of_its_rule() {
        let mut catalogue = Catalogue::default();
        catalogue.apply(Change::Product(product(1, &[])));
        catalogue.apply(Change::Location(site(1, 0)));
        let deny = rule(1, Effect::Deny, ProductSelector::Any, PlaceSelector::Any);
        catalogue.apply(Change::Rule(Rule { version: 7, ..deny }));
        let (product, location) = (product_id(1), location_id(1));
        let decision =
            catalogue.decide(&Question { product, location, quantity: Quantity::default(), at: at(0) });
        assert_eq!(decision.deciding_rules, [RuleRef { id: rule_id(1), version: 7 }]);
    }

    #[test]
    fn a_zone_used_again_after_it_was_forgotten_means_the_same() {
        let mut catalogue = Catalogue::default();
        catalogue.apply(Change::Product(product(1, &[])));
        let tagged = |zone: &str| Location { zones: Tags::parse([zone]).unwrap(), ..site(1, 0) };
        for name in ["eu", "asia", "eu"] {
            catalogue.apply(Change::Location(tagged(name)));
            catalogue.seal();
            catalogue.apply(Change::Rule(rule(1, Effect::Allow, ProductSelector::Any, zone(name))));
            catalogue.seal();
            assert_eq!(reason(&catalogue, 1, 1), Reason::Allowed, "{name}");
        }
    }

    #[test]
    fn what_nothing_has_any_more_is_forgotten_at_the_end_of_a_batch() {
        let mut catalogue = Catalogue::default();
        for n in 0..50 {
            let tag = format!("tag-{n}");
            catalogue.apply(Change::Product(product(1, &[&tag])));
            catalogue.apply(Change::Location(Location { zones: Tags::parse([&tag]).unwrap(), ..site(1, 0) }));
            catalogue.apply(Change::Rule(rule(1, Effect::Deny, class(&tag), zone(&tag))));
            let named = ProductSelector::Product(product_id(n + 1));
            catalogue.apply(Change::Rule(rule(2, Effect::Deny, named, PlaceSelector::Any)));
            catalogue.seal();
        }
        let new = Tag::parse("new").unwrap();
        let highest = catalogue.classes.acquire(&new).number().max(catalogue.zones.acquire(&new).number());
        assert!(highest.max(catalogue.named.acquire(&product_id(99)).0) < 3);
    }

    #[test]
    fn objects_are_counted_once() {
        let mut catalogue = Catalogue::default();
        for _ in 0..2 {
            catalogue.apply(Change::Product(product(1, &["food"])));
            catalogue.apply(Change::Location(site(1, 9)));
            catalogue.apply(Change::Rule(rule(1, Effect::Deny, class("food"), zone("eu"))));
        }
        assert_eq!((catalogue.products(), catalogue.locations(), catalogue.rules()), (1, 1, 1));
    }
}
