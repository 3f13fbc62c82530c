//! A question's way through the catalogue: the product, the location, the rules that match, the judgement.

use super::Catalogue;
use super::judge::judge;
use super::places::Lineage;
use super::products::StoredProduct;
use crate::{Decision, MAX_DECIDING_RULES, Question, Reason, State};

/// A known product and a known location, with what it lies in.
pub(super) struct Pair<'a> {
    pub(super) product: &'a StoredProduct,
    pub(super) lineage: Lineage,
}

impl Catalogue {
    /// Answers a question. Looks at the rules that match, never at all of them.
    pub fn decide(&self, question: &Question) -> Decision {
        let pair = match self.find(question) {
            Ok(pair) => pair,
            Err(reason) => return Decision::without_rules(reason),
        };
        if let Some(reason) = pair.out_of_use() {
            return Decision::without_rules(reason);
        }
        let matches = self.gather(pair.product, &pair.lineage, question.at);
        let mut decision = judge(&matches, pair.product, question.quantity);
        decision.deciding_rules.truncate(MAX_DECIDING_RULES);
        decision
    }

    /// Or the reason why rules have no part in the answer.
    pub(super) fn find(&self, question: &Question) -> Result<Pair<'_>, Reason> {
        // Both are looked for before either is looked at: the processor then waits for memory once.
        let (place, product) = (self.places.find(question.location), self.products.get(question.product));
        let product = product.ok_or(Reason::ProductUnknown)?;
        let lineage = place.map(|(slot, link)| self.places.climb(slot, link)).unwrap_or_default();
        let pair = Pair { product, lineage };
        if pair.lineage.is_empty() {
            return Err(pair.out_of_use().unwrap_or(Reason::LocationUnknown));
        }
        Ok(pair)
    }
}

impl Pair<'_> {
    /// Why no rule is asked.
    pub(super) fn out_of_use(&self) -> Option<Reason> {
        let place = self.lineage.iter().filter_map(|(_, link)| link.state).max();
        match (self.product.state, place.unwrap_or(State::Active)) {
            (State::Retired, _) => Some(Reason::ProductRetired),
            (State::Suspended, _) => Some(Reason::ProductSuspended),
            (State::Active, State::Retired) => Some(Reason::LocationRetired),
            (State::Active, State::Suspended) => Some(Reason::LocationSuspended),
            (State::Active, State::Active) => None,
        }
    }
}
