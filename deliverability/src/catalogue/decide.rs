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
        let mut lineage = Lineage::new();
        let found = self.find(question, &mut lineage);
        let product = match found.and_then(|product| in_use(product, &lineage)) {
            Ok(product) => product,
            Err(reason) => return Decision::without_rules(reason),
        };
        let mut matches = Matches::new(&self.rules, question.at);
        self.gather(product, &lineage, &mut matches);
        let mut decision = judge(&matches, product, question.quantity);
        decision.deciding_rules.truncate(MAX_DECIDING_RULES);
        decision
    }

    /// The product and, in the lineage, the location; or why no rule matches.
    pub(super) fn find(&self, question: &Question, lineage: &mut Lineage) -> Result<&StoredProduct, Reason> {
        // Both are looked for before either is looked at: the processor then waits for memory once.
        let (place, product) = (self.places.find(question.location), self.products.get(question.product));
        let product = product.ok_or(Reason::ProductUnknown)?;
        if let Some((slot, link)) = place {
            self.places.climb(slot, link, lineage);
        }
        if lineage.is_empty() {
            return in_use(product, lineage).and(Err(Reason::LocationUnknown));
        }
        Ok(product)
    }
}

/// Or the reason why no rule is asked.
pub(super) fn in_use<'a>(product: &'a StoredProduct, lineage: &Lineage) -> Result<&'a StoredProduct, Reason> {
    match (product.state, lineage.state()) {
        (State::Retired, _) => Err(Reason::ProductRetired),
        (State::Suspended, _) => Err(Reason::ProductSuspended),
        (State::Active, State::Retired) => Err(Reason::LocationRetired),
        (State::Active, State::Suspended) => Err(Reason::LocationSuspended),
        (State::Active, State::Active) => Ok(product),
    }
}
