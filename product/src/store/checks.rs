//! What must hold between the objects of the catalogue, checked inside the transaction that writes them.

use deliverability::{
    Location, LocationId, MAX_TREE_DEPTH, PlaceSelector, Product, ProductSelector, Rule, State,
};

use super::draft::{Draft, Shelved};
use super::object::Object;
use super::refusal::{Conflict, Refusal};
use super::rows::selectors;

/// Rules that may share both selectors: all of them match whatever these select, so a check looks at each.
const MAX_RULES_PER_SELECTORS: i64 = 1_000;

/// An object that can be written into a draft once it fits what is there.
pub trait Checked: Shelved {
    /// Whether `self` may take the place of `before`.
    fn check(&self, before: Option<&Self>, draft: &Draft) -> Result<(), Refusal>;

    /// Tells the draft's memory of what surrounds the object that it takes the place of `before`.
    fn note(&self, before: Option<&Self>, draft: &mut Draft);
}

impl Checked for Product {
    fn check(&self, _: Option<&Self>, _: &Draft) -> Result<(), Refusal> {
        Ok(())
    }

    fn note(&self, _: Option<&Self>, _: &mut Draft) {}
}

impl Checked for Rule {
    fn check(&self, before: Option<&Self>, draft: &Draft) -> Result<(), Refusal> {
        let wanted = if self.deleted { Wanted::There } else { Wanted::InUse };
        if let ProductSelector::Product(id) = &self.product {
            wanted
                .check(draft.products.get(*id), "product.product_id", || format!("names the product {id}"))?;
        }
        if let PlaceSelector::Location(id) = &self.place {
            wanted.check(draft.locations.get(*id), "place.location_id", || {
                format!("names the location {id}")
            })?;
        }
        if self.deleted {
            return Ok(());
        }
        let selectors = selectors(self);
        let shared_before =
            before.is_some_and(|before| !before.deleted && super::rows::selectors(before) == selectors);
        let count = draft.rule_counts.get(&selectors).copied().unwrap_or(0);
        if !shared_before && count >= MAX_RULES_PER_SELECTORS {
            let most = format!(
                "and product are shared by {MAX_RULES_PER_SELECTORS} rules already, the most there may be"
            );
            return Err(Refusal::conflict(Conflict::RuleCount, "place", most));
        }
        Ok(())
    }

    fn note(&self, before: Option<&Self>, draft: &mut Draft) {
        if let Some(before) = before.filter(|before| !before.deleted) {
            *draft.rule_counts.entry(selectors(before)).or_default() -= 1;
        }
        if !self.deleted {
            *draft.rule_counts.entry(selectors(self)).or_default() += 1;
        }
    }
}

impl Checked for Location {
    fn check(&self, before: Option<&Self>, draft: &Draft) -> Result<(), Refusal> {
        if let Some(parent) = self.parent {
            check_parent(self, parent, before, draft)?;
        }
        if self.state == State::Retired {
            return Ok(());
        }
        if let Some(taken) = self.code.as_ref().and_then(|code| draft.codes.get(code).copied().flatten())
            && taken != self.id
        {
            return Err(Refusal::conflict(
                Conflict::Code,
                "code",
                format!("is the code of location {taken}"),
            ));
        }
        match draft.postal_conflict(self) {
            Some(sibling) => {
                let overlap = format!("matches postcodes that its sibling {sibling} matches too");
                Err(Refusal::conflict(Conflict::Postal, "postal", overlap))
            }
            None => Ok(()),
        }
    }

    fn note(&self, before: Option<&Self>, draft: &mut Draft) {
        if let Some(before) = before {
            if let Some(code) = &before.code {
                draft.codes.insert(code.clone(), None);
            }
            draft.release_postcodes(before);
        }
        if self.state == State::Retired {
            return;
        }
        if let Some(code) = &self.code {
            draft.codes.insert(code.clone(), Some(self.id));
        }
        draft.claim_postcodes(self);
        draft.note_height(self);
    }
}

/// A parent that stays may have been retired meanwhile; a new one may not.
fn check_parent(
    location: &Location,
    parent: LocationId,
    before: Option<&Location>,
    draft: &Draft,
) -> Result<(), Refusal> {
    if before.is_some_and(|before| before.parent == location.parent) {
        return Ok(());
    }
    if parent == location.id {
        return Err(Refusal::conflict(Conflict::Cycle, "parent_id", "is the location itself"));
    }
    let wanted = if location.state == State::Retired { Wanted::There } else { Wanted::InUse };
    wanted.check(draft.locations.get(parent), "parent_id", || format!("names the location {parent}"))?;
    let mut above = 0;
    for ancestor in draft.ancestors(parent) {
        if ancestor.id == location.id {
            let cycle = format!("lies below the location itself: {parent}");
            return Err(Refusal::conflict(Conflict::Cycle, "parent_id", cycle));
        }
        if ancestor.state == State::Retired && wanted == Wanted::InUse {
            let retired = format!("lies below {}, which is retired", ancestor.id);
            return Err(Refusal::conflict(Conflict::Reference, "parent_id", retired));
        }
        above += 1;
    }
    let levels = above + draft.heights.get(&location.id).copied().unwrap_or(1);
    if levels > MAX_TREE_DEPTH {
        let deep = format!("would make the tree {levels} levels deep; {MAX_TREE_DEPTH} are the most");
        return Err(Refusal::conflict(Conflict::Depth, "parent_id", deep));
    }
    Ok(())
}

/// What must be true of an object that another one names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// It may be retired: so is the one that names it.
    There,
    /// It is not retired.
    InUse,
}

// === impl Wanted ===

impl Wanted {
    fn check<T: Object>(
        self,
        object: Option<&T>,
        field: &'static str,
        named: impl Fn() -> String,
    ) -> Result<(), Refusal> {
        let wrong = match object {
            None => "which does not exist",
            Some(object) if object.has_ended() && self == Self::InUse => "which is retired",
            Some(_) => return Ok(()),
        };
        Err(Refusal::conflict(Conflict::Reference, field, format!("{}, {wrong}", named())))
    }
}

impl Draft {
    /// The location and all above it, as they are or are about to be. One step past the deepest tree there may be: a
    /// cycle ends there.
    pub(super) fn ancestors(&self, from: LocationId) -> impl Iterator<Item = &Location> {
        let first = self.locations.get(from);
        let next = |location: &&Location| self.locations.get(location.parent?);
        std::iter::successors(first, next).take(MAX_TREE_DEPTH + 1)
    }

    /// Remembers how deep the trees above a new or moved location have become. Where it was before they may have become
    /// shallower, which is not looked at: a chunk that takes a deep tree out of a location and then moves that location
    /// deeper can be refused, and fits as two chunks.
    fn note_height(&mut self, location: &Location) {
        let mut height = self.heights.get(&location.id).copied().unwrap_or(1);
        let Some(parent) = location.parent else { return };
        let ids: Vec<_> = self.ancestors(parent).map(|ancestor| ancestor.id).collect();
        for id in ids {
            height += 1;
            let known = self.heights.entry(id).or_insert(1);
            *known = height.max(*known);
        }
    }

    /// Who claims postcodes that this location would claim too.
    fn postal_conflict(&self, location: &Location) -> Option<LocationId> {
        self.postal.get(&location.parent)?.conflict(location.postal.as_ref()?, location.id)
    }

    pub(super) fn claim_postcodes(&mut self, location: &Location) {
        if let Some(postal) = &location.postal
            && let Some(claims) = self.postal.get_mut(&location.parent)
        {
            claims.insert(postal, location.id);
        }
    }

    fn release_postcodes(&mut self, location: &Location) {
        if let Some(postal) = &location.postal
            && let Some(claims) = self.postal.get_mut(&location.parent)
        {
            claims.remove(postal);
        }
    }
}
