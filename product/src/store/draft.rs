//! What a write transaction knows: the objects it touches as they are stored, overlaid with what it is about to write.
//!
//! Everything that the checks need is loaded first, in batches; then each object is checked and written into the draft
//! without a further question, so a chunk of an import costs tens of statements and not tens of thousands.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use chassis::database::{Connection, StoreError};
use chassis::on_database;
use deliverability::{
    Change, Code, Location, LocationId, MAX_TREE_DEPTH, PlaceSelector, Product, ProductId, ProductSelector,
    Rule, RuleId,
};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::history;
use super::object::Object;
use super::postal::PostalClaims;
use super::rows::selectors;
use super::tables::{self, Table};
use crate::revision::Revision;

/// How deep the tree below a location is, the location included; past the limit it does not matter how far.
const HEIGHT: &str = "WITH RECURSIVE below (location_id, depth) AS (\
     SELECT location_id, 1 FROM locations WHERE location_id = $1 \
     UNION ALL \
     SELECT l.location_id, b.depth + 1 FROM locations l JOIN below b ON l.parent_id = b.location_id WHERE b.depth <= $2) \
     SELECT CAST(max(depth) AS BIGINT) FROM below";

/// Siblings whose postcodes a new one must not share.
const POSTAL_SIBLINGS: &str = "AND postal_kind IS NOT NULL AND state <> 'RETIRED'";
const POSTAL_ROOTS: &str = "WHERE parent_id IS NULL AND postal_kind IS NOT NULL AND state <> 'RETIRED'";

/// Rules whose selectors are counted with one statement.
const SELECTORS_BATCH: usize = 500;

/// Objects of one kind: as stored, or as about to be written.
#[derive(Debug)]
pub struct Shelf<T: Object> {
    /// `None`: looked up, and there is none.
    known: HashMap<T::Id, Option<T>>,
    /// What is to be written, in the order in which it was first said.
    changed: Vec<T::Id>,
    changed_set: HashSet<T::Id>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Draft {
    pub(super) products: Shelf<Product>,
    pub(super) locations: Shelf<Location>,
    pub(super) rules: Shelf<Rule>,
    pub(super) postal: HashMap<Option<LocationId>, PostalClaims>,
    pub(super) codes: HashMap<Code, Option<LocationId>>,
    pub(super) heights: HashMap<LocationId, usize>,
    pub(super) rule_counts: HashMap<String, i64>,
}

/// Kinds of objects that a draft has a shelf for.
pub trait Shelved: Object + Table {
    fn shelf(draft: &Draft) -> &Shelf<Self>;
    fn shelf_mut(draft: &mut Draft) -> &mut Shelf<Self>;
    fn uuid(id: Self::Id) -> Uuid;
    fn into_change(self) -> Change;
}

// === impl Shelf ===

impl<T: Object> Default for Shelf<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), changed: Vec::new(), changed_set: HashSet::new() }
    }
}

impl<T: Object> Shelf<T> {
    /// The object as it is or is about to be. Asking for one that was never loaded is a fault of the loading.
    pub(super) fn get(&self, id: T::Id) -> Option<&T> {
        debug_assert!(self.known.contains_key(&id), "{id} was not loaded");
        self.known.get(&id)?.as_ref()
    }

    /// Overlays an object.
    pub(super) fn put(&mut self, object: T) {
        let id = object.id();
        if self.changed_set.insert(id) {
            self.changed.push(id);
        }
        self.known.insert(id, Some(object));
    }

    fn changed(&self) -> Vec<T> {
        self.changed.iter().filter_map(|id| self.known.get(id).cloned().flatten()).collect()
    }
}

macro_rules! impl_shelved {
    ($object:ident, $id:ident, $shelf:ident) => {
        impl Shelved for $object {
            fn shelf(draft: &Draft) -> &Shelf<Self> {
                &draft.$shelf
            }

            fn shelf_mut(draft: &mut Draft) -> &mut Shelf<Self> {
                &mut draft.$shelf
            }

            fn uuid(id: $id) -> Uuid {
                id.as_uuid()
            }

            fn into_change(self) -> Change {
                Change::$object(self)
            }
        }
    };
}

impl_shelved!(Product, ProductId, products);
impl_shelved!(Location, LocationId, locations);
impl_shelved!(Rule, RuleId, rules);

// === impl Draft ===

impl Draft {
    /// Whether nothing is to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.products.changed.is_empty() && self.locations.changed.is_empty() && self.rules.changed.is_empty()
    }

    /// Loads the objects themselves, unless they are known.
    pub(super) async fn load<T: Shelved>(
        &mut self,
        connection: &mut Connection<'_>,
        ids: impl IntoIterator<Item = T::Id>,
    ) -> Result<(), StoreError> {
        let known = &T::shelf(self).known;
        let wanted = distinct(ids.into_iter().filter(|id| !known.contains_key(id)));
        let uuids: Vec<_> = wanted.iter().map(|id| T::uuid(*id)).collect();
        let found = tables::by_ids::<T>(connection, &uuids).await?;
        let known = &mut T::shelf_mut(self).known;
        known.extend(wanted.into_iter().map(|id| (id, None)));
        known.extend(found.into_iter().map(|stored| (stored.object.id(), Some(stored.object))));
        Ok(())
    }

    /// Loads whatever the checks of these objects will ask for. The objects themselves are known.
    pub(super) async fn load_surroundings(
        &mut self,
        connection: &mut Connection<'_>,
        changes: &[Change],
    ) -> Result<(), StoreError> {
        let (mut products, mut places, mut locations, mut rules) = (vec![], vec![], vec![], vec![]);
        for change in changes {
            match change {
                Change::Product(_) => {}
                Change::Location(location) => {
                    locations.push(location);
                    places.push(location.id);
                    places.extend(location.parent);
                }
                Change::Rule(rule) => {
                    rules.push(rule);
                    match &rule.product {
                        ProductSelector::Product(id) => products.push(*id),
                        ProductSelector::Any | ProductSelector::Class(_) => {}
                    }
                    match &rule.place {
                        PlaceSelector::Location(id) => places.push(*id),
                        PlaceSelector::Any | PlaceSelector::Zone(_) => {}
                    }
                }
            }
        }
        self.load::<Product>(connection, products).await?;
        self.load_with_ancestors(connection, places).await?;
        self.load_codes(connection, &locations).await?;
        self.load_postal(connection, &locations).await?;
        self.load_heights(connection, &locations).await?;
        self.load_rule_counts(connection, &rules).await
    }

    /// Writes what changed as of a revision.
    pub(super) async fn save(
        &self,
        connection: &mut Connection<'_>,
        revision: Revision,
    ) -> Result<(), StoreError> {
        tables::save(connection, &self.products.changed(), revision).await?;
        let mut locations = self.locations.changed();
        // Parents first, whatever the order in which they were last moved.
        locations.sort_by_cached_key(|location| {
            location.parent.map_or(0, |parent| self.ancestors(parent).count())
        });
        tables::save(connection, &locations, revision).await?;
        let rules = self.rules.changed();
        // A rule that is new has nothing to put aside.
        let overwritten: Vec<_> =
            rules.iter().filter(|rule| rule.version > 1).map(|rule| rule.id.as_uuid()).collect();
        history::put_aside(connection, &overwritten).await?;
        tables::save(connection, &rules, revision).await
    }

    /// Level by level, so one statement a level: a tree is at most MAX_TREE_DEPTH deep.
    async fn load_with_ancestors(
        &mut self,
        connection: &mut Connection<'_>,
        ids: Vec<LocationId>,
    ) -> Result<(), StoreError> {
        let mut level = ids;
        for _ in 0..=MAX_TREE_DEPTH {
            self.load::<Location>(connection, level.iter().copied()).await?;
            level = distinct(level.iter().filter_map(|id| self.locations.get(*id)?.parent));
            if level.is_empty() {
                break;
            }
        }
        Ok(())
    }

    async fn load_codes(
        &mut self,
        connection: &mut Connection<'_>,
        locations: &[&Location],
    ) -> Result<(), StoreError> {
        let codes = locations.iter().filter_map(|location| location.code.clone());
        let wanted = distinct(codes.filter(|code| !self.codes.contains_key(code)));
        let texts: Vec<String> = wanted.iter().map(|code| code.as_str().to_owned()).collect();
        let found =
            tables::where_in::<Location, _>(connection, "code", "AND state <> 'RETIRED'", &texts).await?;
        self.codes.extend(wanted.into_iter().map(|code| (code, None)));
        for stored in found {
            if let Some(code) = stored.object.code {
                self.codes.insert(code, Some(stored.object.id));
            }
        }
        Ok(())
    }

    async fn load_postal(
        &mut self,
        connection: &mut Connection<'_>,
        locations: &[&Location],
    ) -> Result<(), StoreError> {
        let parents =
            locations.iter().filter(|location| location.postal.is_some()).map(|location| location.parent);
        let wanted = distinct(parents.filter(|parent| !self.postal.contains_key(parent)));
        let ids: Vec<Uuid> = wanted.iter().flatten().map(|id| id.as_uuid()).collect();
        let mut siblings =
            tables::where_in::<Location, _>(connection, "parent_id", POSTAL_SIBLINGS, &ids).await?;
        if wanted.contains(&None) {
            let sql = format!("{} {POSTAL_ROOTS}", tables::select::<Location>());
            let rows: Vec<<Location as Table>::Row> =
                on_database!(&mut *connection, c => sqlx::query_as(AssertSqlSafe(sql)).fetch_all(c).await?);
            for row in rows {
                siblings.push(super::rows::read(row)?);
            }
        }
        self.postal.extend(wanted.into_iter().map(|parent| (parent, PostalClaims::default())));
        // What this draft changed claims what it says here, and no more what is stored.
        let changed = &self.locations.changed_set;
        siblings.retain(|stored| !changed.contains(&stored.object.id));
        for stored in siblings {
            self.claim_postcodes(&stored.object);
        }
        Ok(())
    }

    /// Only a location that moves carries a subtree to where there may be no room for it.
    async fn load_heights(
        &mut self,
        connection: &mut Connection<'_>,
        locations: &[&Location],
    ) -> Result<(), StoreError> {
        for location in locations {
            let moves =
                self.locations.get(location.id).is_some_and(|before| before.parent != location.parent);
            if moves {
                let limit = i64::try_from(MAX_TREE_DEPTH).unwrap_or(i64::MAX);
                let height: Option<i64> = on_database!(&mut *connection, c => {
                    sqlx::query_scalar(HEIGHT).bind(location.id.as_uuid()).bind(limit).fetch_one(c).await?
                });
                let height = usize::try_from(height.unwrap_or(1)).unwrap_or(usize::MAX);
                let known = self.heights.entry(location.id).or_insert(1);
                *known = height.max(*known);
            }
        }
        Ok(())
    }

    async fn load_rule_counts(
        &mut self,
        connection: &mut Connection<'_>,
        rules: &[&Rule],
    ) -> Result<(), StoreError> {
        // The selectors that a rule leaves count too.
        let before = rules.iter().filter_map(|rule| self.rules.get(rule.id));
        let texts = rules.iter().copied().chain(before).map(selectors);
        let wanted = distinct(texts.filter(|selectors| !self.rule_counts.contains_key(selectors)));
        for batch in wanted.chunks(SELECTORS_BATCH) {
            let list = connection.placeholders(1, batch.len());
            let sql = format!(
                "SELECT selectors, count(*) FROM rules WHERE selectors IN {list} AND NOT deleted GROUP BY selectors"
            );
            let counts: Vec<(String, i64)> = on_database!(&mut *connection, c => {
                let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(false);
                for selectors in batch {
                    query = query.bind(selectors);
                }
                query.fetch_all(c).await?
            });
            self.rule_counts.extend(batch.iter().map(|selectors| (selectors.clone(), 0)));
            self.rule_counts.extend(counts);
        }
        Ok(())
    }
}

fn distinct<T: Clone + Eq + Hash>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.filter(|item| seen.insert(item.clone())).collect()
}
