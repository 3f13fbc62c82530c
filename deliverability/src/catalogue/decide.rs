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
        let (mut decision, _) = self.weigh(question);
        decision.deciding_rules.truncate(MAX_DECIDING_RULES);
        decision
    }

    /// The decision with every deciding rule, and the rules that match; none if the product or location is unknown.
    pub(super) fn weigh(&self, question: &Question) -> (Decision, Matches<'_>) {
        let Some(product) = self.products.get(question.product) else {
            return (Decision::without_rules(Reason::ProductUnknown), Matches::new());
        };
        let lineage = self.places.find(question.location).map(|slot| self.places.lineage(slot));
        let lineage = lineage.unwrap_or_default();
        let matches = if lineage.is_empty() {
            Matches::new()
        } else {
            self.matches(question.product, product, &lineage)
        };
        match out_of_use(product, &lineage) {
            Some(reason) => (Decision::without_rules(reason), matches),
            None => (judge(&matches, product, question.quantity, question.at), matches),
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
