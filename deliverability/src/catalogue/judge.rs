//! Precedence, in one sentence: an EMBARGO always wins; otherwise a rule is overridden only by a rule at least as
//! specific about both the product and the place and more specific about one; among the rules left standing any DENY
//! means no; no rule left means no.

use super::matching::{Match, PRODUCT_LEVELS};
use super::products::StoredProduct;
use crate::{Decision, Effect, LimitKind, Quantity, Reason, RuleRef, Timestamp, ViolatedLimit};

/// The deepest place among the rules that can override, for each specificity about the product.
///
/// All matches are about one product and one way up the tree, so both specificities are plain numbers, and this is
/// the whole of the pareto front.
pub(super) struct Front([Option<u8>; PRODUCT_LEVELS]);

impl Front {
    /// Of the ALLOWs and DENYs in force.
    pub(super) fn of(matches: &[Match<'_>], at: Timestamp) -> Self {
        let mut deepest = [None; PRODUCT_LEVELS];
        for m in matches.iter().filter(|m| m.overrides(at)) {
            let level = &mut deepest[usize::from(m.product)];
            *level = (*level).max(Some(m.place));
        }
        Self(deepest)
    }

    pub(super) fn overrides(&self, m: &Match<'_>) -> bool {
        let (same, above) =
            self.0[usize::from(m.product)..].split_first().expect("a level for each specificity");
        *same > Some(m.place) || above.iter().any(|deepest| *deepest >= Some(m.place))
    }
}

impl Match<'_> {
    pub(super) fn in_force(&self, at: Timestamp) -> bool {
        self.rule.validity.holds(at)
    }

    /// Whether it can override another: an EMBARGO wins in its own way.
    pub(super) fn overrides(&self, at: Timestamp) -> bool {
        self.rule.effect != Effect::Embargo && self.in_force(at)
    }
}

/// Decides by rules alone, naming every deciding rule. The product and the location are in use.
pub(super) fn judge(
    matches: &[Match<'_>],
    product: &StoredProduct,
    quantity: Quantity,
    at: Timestamp,
) -> Decision {
    let (reason, deciding_rules, violated) = reason(matches, product, quantity, at);
    let valid_until = matches.iter().filter_map(|m| m.rule.validity.next_change(at)).min();
    Decision { reason, deciding_rules, valid_until, violated }
}

type Judgement = (Reason, Vec<RuleRef>, Option<ViolatedLimit>);

fn reason(matches: &[Match<'_>], product: &StoredProduct, quantity: Quantity, at: Timestamp) -> Judgement {
    let embargoes = matches.iter().filter(|m| m.rule.effect == Effect::Embargo && m.in_force(at));
    if embargoes.clone().next().is_some() {
        return (Reason::Embargoed, references(embargoes), None);
    }
    let front = Front::of(matches, at);
    let standing = matches.iter().filter(|m| m.overrides(at) && !front.overrides(m));
    let denials = standing.clone().filter(|m| m.rule.effect == Effect::Deny);
    if denials.clone().next().is_some() {
        return (Reason::Denied, references(denials), None);
    }
    if standing.clone().next().is_none() {
        return (Reason::NoRule, Vec::new(), None);
    }
    let units = u64::from(quantity.get());
    let measures = [
        (LimitKind::WeightG, Reason::OverWeight, product.weight_g().map(|grams| u64::from(grams) * units)),
        (LimitKind::SideMm, Reason::OverSize, product.side_mm().map(u64::from)),
        (LimitKind::Quantity, Reason::OverQuantity, Some(units)),
    ];
    for (kind, reason, actual) in measures {
        let broken = standing.clone().filter(|m| m.limit(kind).is_some_and(|limit| actual > Some(limit)));
        if let Some(limit) = tightest(broken.clone(), kind) {
            return (reason, references(broken), Some(ViolatedLimit { kind, limit, actual }));
        }
    }
    let missing = measures.map(|(kind, _, actual)| actual.is_none().then_some(kind));
    let untested = standing.clone().filter(|m| missing.iter().flatten().any(|kind| m.limit(*kind).is_some()));
    for kind in missing.into_iter().flatten() {
        if let Some(limit) = tightest(untested.clone(), kind) {
            let violated = ViolatedLimit { kind, limit, actual: None };
            return (Reason::MeasureMissing, references(untested), Some(violated));
        }
    }
    (Reason::Allowed, references(standing), None)
}

impl Match<'_> {
    fn limit(&self, kind: LimitKind) -> Option<u64> {
        self.rule.limits.of(kind)
    }
}

fn tightest<'a>(rules: impl Iterator<Item = &'a Match<'a>>, kind: LimitKind) -> Option<u64> {
    rules.filter_map(|m| m.limit(kind)).min()
}

fn references<'a>(rules: impl Iterator<Item = &'a Match<'a>>) -> Vec<RuleRef> {
    let mut references: Vec<RuleRef> = rules.map(|m| m.rule.reference()).collect();
    references.sort_unstable();
    references
}
