//! A question's way through the catalogue: the product, the location, the rules that match, the judgement.

use super::Catalogue;
use super::judge::judge;
use super::matching::Matches;
use super::places::Lineage;
use super::products::StoredProduct;
use crate::{Decision, MAX_DECIDING_RULES, Question, Reason, State};

impl Catalogue {
    /// Answers a question. Looks at the rules that match, never at all of them.
    pub fn decide(&self, question: &Question) -> Decision {
        let mut decision = self.weigh(question, &mut Matches::new());
        decision.deciding_rules.truncate(MAX_DECIDING_RULES);
        decision
    }

    /// The decision with every deciding rule. Gathers the rules that match; none if the product or location is unknown.
    pub(super) fn weigh<'a>(&'a self, question: &Question, matches: &mut Matches<'a>) -> Decision {
        let slot = self.places.find(question.location);
        let Some(product) = self.products.get(question.product) else {
            return Decision::without_rules(Reason::ProductUnknown);
        };
        let lineage = slot.map(|slot| self.places.lineage(slot)).unwrap_or_default();
        if !lineage.is_empty() {
            self.gather(question.product, product, &lineage, matches);
        }
        match out_of_use(product, &lineage) {
            Some(reason) => Decision::without_rules(reason),
            None => judge(matches, product, question.quantity, question.at),
        }
    }
}

fn out_of_use(product: &StoredProduct, lineage: &Lineage<'_>) -> Option<Reason> {
    let anywhere = |state| lineage.iter().any(|(_, node)| node.state == Some(state));
    match product.state {
        State::Retired => Some(Reason::ProductRetired),
        State::Suspended => Some(Reason::ProductSuspended),
        State::Active if lineage.is_empty() => Some(Reason::LocationUnknown),
        State::Active if anywhere(State::Retired) => Some(Reason::LocationRetired),
        State::Active if anywhere(State::Suspended) => Some(Reason::LocationSuspended),
        State::Active => None,
    }
}
