//! What an export has read: products go on at once, locations and rules wait until all of them are known.
//!
//! The feed brings what changed last, last: a child may come before its parent, and an object that changes while it is
//! read comes twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use proto::product::v1::change::Object;
use proto::product::v1::import_row::Row;
use proto::product::v1::place_selector::Selector as Place;
use proto::product::v1::product_selector::Selector as Things;
use proto::product::v1::{ImportRow, Location, Product, Rule, State};
use uuid::Uuid;

/// More levels than any tree has: a cycle, which no catalogue has, would end there.
const MAX_LEVELS: usize = 64;

/// What was read so far.
#[derive(Debug, Default)]
pub struct Inventory {
    include_retired: bool,
    written_products: HashSet<Uuid>,
    retired_products: HashSet<Uuid>,
    locations: BTreeMap<String, Location>,
    rules: BTreeMap<String, Rule>,
}

// === impl Inventory ===

impl Inventory {
    /// Nothing yet.
    pub fn new(include_retired: bool) -> Self {
        Self { include_retired, ..Self::default() }
    }

    /// Takes an object, and gives it back if it may be written now.
    pub fn take(&mut self, object: Object) -> Option<ImportRow> {
        match object {
            Object::Product(product) => self.take_product(product),
            Object::Location(location) => {
                self.locations.insert(location.location_id.clone(), location);
                None
            }
            Object::Rule(rule) => {
                self.rules.insert(rule.rule_id.clone(), rule);
                None
            }
        }
    }

    /// The locations, parents first, and the rules; and how many objects are not written at all.
    pub fn into_rest(self) -> (impl Iterator<Item = ImportRow>, u64) {
        let kept_locations = self.kept_locations();
        let keeps =
            |rule: &Rule| self.include_retired || (!rule.deleted && self.is_in_use(rule, &kept_locations));
        let left_out_rules: HashSet<_> =
            self.rules.values().filter(|rule| !keeps(rule)).map(|rule| rule.rule_id.clone()).collect();
        let left_out_products = self.retired_products.difference(&self.written_products).count();
        let left_out = left_out_products + self.locations.len() - kept_locations.len() + left_out_rules.len();

        let mut depths: Vec<_> =
            kept_locations.into_iter().map(|(id, depth)| (depth, id.to_owned())).collect();
        depths.sort_unstable();
        let mut locations = self.locations;
        let locations = depths.into_iter().filter_map(move |(_, id)| locations.remove(&id)).map(location_row);
        let rules = self.rules.into_values().filter(move |rule| !left_out_rules.contains(&rule.rule_id));
        (locations.chain(rules.map(rule_row)), left_out as u64)
    }

    fn take_product(&mut self, mut product: Product) -> Option<ImportRow> {
        // Ids are Product's own and canonical.
        let id = product.product_id.parse().unwrap_or_default();
        if product.state() == State::Retired {
            self.retired_products.insert(id);
            // One that was in use when the export began is in the file already: the tombstone follows it.
            if !self.include_retired && !self.written_products.contains(&id) {
                return None;
            }
        }
        self.written_products.insert(id);
        // A version counts the changes of one database's object.
        product.version = 0;
        Some(ImportRow { row: Some(Row::Product(product)) })
    }

    /// The locations to write, with their depth in the tree.
    fn kept_locations(&self) -> HashMap<&str, usize> {
        let depths = self.locations.values().filter_map(|location| {
            let parent = |location: &&Location| self.locations.get(location.parent_id.as_ref()?);
            let path = std::iter::successors(Some(location), parent).take(MAX_LEVELS);
            let (mut depth, mut in_use) = (0, true);
            for location in path {
                depth += 1;
                in_use &= location.state() != State::Retired;
            }
            (in_use || self.include_retired).then_some((location.location_id.as_str(), depth))
        });
        depths.collect()
    }

    /// Whether what the rule names is written too.
    fn is_in_use(&self, rule: &Rule, kept_locations: &HashMap<&str, usize>) -> bool {
        let product = match rule.product.as_ref().and_then(|product| product.selector.as_ref()) {
            Some(Things::ProductId(id)) => !self.retired_products.contains(&id.parse().unwrap_or_default()),
            _ => true,
        };
        let place = match rule.place.as_ref().and_then(|place| place.selector.as_ref()) {
            Some(Place::LocationId(id)) => kept_locations.contains_key(id.as_str()),
            _ => true,
        };
        product && place
    }
}

fn location_row(location: Location) -> ImportRow {
    ImportRow { row: Some(Row::Location(Location { version: 0, ..location })) }
}

fn rule_row(rule: Rule) -> ImportRow {
    ImportRow { row: Some(Row::Rule(Rule { version: 0, ..rule })) }
}

#[cfg(test)]
mod tests {
    use proto::product::v1::{PlaceSelector, ProductSelector};

    use super::*;

    fn id(number: u128) -> String {
        Uuid::from_u128(number).to_string()
    }

    fn product(number: u128, state: State) -> Object {
        Object::Product(Product {
            product_id: id(number),
            state: state.into(),
            version: 9,
            ..Default::default()
        })
    }

    fn location(number: u128, parent: Option<u128>, state: State) -> Object {
        let parent_id = parent.map(id);
        Object::Location(Location {
            location_id: id(number),
            parent_id,
            state: state.into(),
            ..Default::default()
        })
    }

    fn rule(number: u128, product: u128, place: u128) -> Object {
        let product = Some(ProductSelector { selector: Some(Things::ProductId(id(product))) });
        let place = Some(PlaceSelector { selector: Some(Place::LocationId(id(place))) });
        Object::Rule(Rule { rule_id: id(number), product, place, ..Default::default() })
    }

    /// The numbers of what is written, in order, and how many are not.
    fn export(include_retired: bool, objects: Vec<Object>) -> (Vec<u128>, u64) {
        let mut inventory = Inventory::new(include_retired);
        let mut rows: Vec<_> = objects.into_iter().filter_map(|object| inventory.take(object)).collect();
        let (rest, left_out) = inventory.into_rest();
        rows.extend(rest);
        let number = |row: ImportRow| match row.row.unwrap() {
            Row::Product(product) => product.product_id,
            Row::Location(location) => location.location_id,
            Row::Rule(rule) => rule.rule_id,
        };
        let numbers = rows.into_iter().map(|row| number(row).parse::<Uuid>().unwrap().as_u128());
        (numbers.collect(), left_out)
    }

    fn catalogue() -> Vec<Object> {
        use State::{Active, Retired};
        vec![
            rule(31, 1, 12),
            location(11, Some(12), Active),
            product(1, Active),
            location(12, Some(13), Active),
            location(13, None, Active),
            product(2, Retired),
            rule(32, 2, 13),
            location(14, Some(13), Retired),
            location(15, Some(14), Active),
            rule(33, 1, 15),
        ]
    }

    #[test]
    fn parents_come_before_children_and_rules_last() {
        assert_eq!(export(true, catalogue()), (vec![1, 2, 13, 12, 14, 11, 15, 31, 32, 33], 0));
    }

    #[test]
    fn what_is_out_of_use_is_left_out_with_all_that_refers_to_it() {
        assert_eq!(export(false, catalogue()), (vec![1, 13, 12, 11, 31], 5));
    }

    #[test]
    fn a_product_that_is_retired_while_it_is_read_is_retired_in_the_file() {
        let objects = vec![product(1, State::Active), rule(31, 1, 13), location(13, None, State::Active)];
        let objects = objects.into_iter().chain([product(1, State::Retired)]).collect();
        assert_eq!(export(false, objects), (vec![1, 1, 13], 1));
    }

    #[test]
    fn an_object_that_changes_while_it_is_read_is_written_as_it_is_last() {
        let objects = vec![location(13, None, State::Retired), location(13, None, State::Active)];
        assert_eq!(export(false, objects), (vec![13], 0));
    }
}
