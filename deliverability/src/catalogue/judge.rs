//! Precedence, in one sentence: an EMBARGO always wins; otherwise a rule is overridden only by a rule at least as
//! specific about both the product and the place and more specific about one; among the rules left standing any DENY
//! means no; no rule left means no.

use smallvec::SmallVec;

use super::matching::{Match, PRODUCT_LEVELS};
use super::products::StoredProduct;
use super::rules::StoredRule;
use crate::{Decision, Effect, LimitKind, Quantity, Reason, RuleRef, Timestamp, ViolatedLimit};

/// The deepest place with a rule that can override, for each specificity about the product.
///
/// All matches are about one product and one way up the tree, so both specificities are plain numbers, and this is
/// the whole of the pareto front.
pub(super) struct Front([Option<u8>; PRODUCT_LEVELS]);

/// More than are left standing in most decisions, so that nothing is taken from the heap.
type Standing<'a> = SmallVec<[&'a StoredRule; 32]>;

type Judgement = (Reason, Vec<RuleRef>, Option<ViolatedLimit>);

// === impl Front ===

impl Front {
    /// Of the ALLOWs and DENYs in force.
    pub(super) fn of(matches: &[Match<'_>], at: Timestamp) -> Self {
        let mut deepest = [None; PRODUCT_LEVELS];
        for m in matches {
            let level = &mut deepest[usize::from(m.product)];
            if *level < Some(m.place) && m.rules.iter().any(|rule| rule.overrides(at)) {
                *level = Some(m.place);
            }
        }
        Self(deepest)
    }

    pub(super) fn overrides(&self, m: &Match<'_>) -> bool {
        let (same, above) =
            self.0[usize::from(m.product)..].split_first().expect("a level for each specificity");
        *same > Some(m.place) || above.iter().any(|deepest| *deepest >= Some(m.place))
    }
}

// === judging ===

/// Decides by rules alone, naming every deciding rule. The product and the location are in use.
pub(super) fn judge(
    matches: &[Match<'_>],
    product: &StoredProduct,
    quantity: Quantity,
    at: Timestamp,
) -> Decision {
    let embargoes = matches.iter().filter(|m| m.rules.has_embargoes).flat_map(|m| m.rules.iter());
    let embargoes = references(embargoes.filter(|rule| rule.effect == Effect::Embargo && rule.in_force(at)));
    let (reason, deciding_rules, violated) = if embargoes.is_empty() {
        judge_standing(matches, product, quantity, at)
    } else {
        (Reason::Embargoed, embargoes, None)
    };
    let with_ends = matches.iter().filter(|m| m.rules.has_ends).flat_map(|m| m.rules.iter());
    let valid_until = with_ends.filter_map(|rule| rule.validity.next_change(at)).min();
    Decision { reason, deciding_rules, valid_until, violated }
}

fn judge_standing(
    matches: &[Match<'_>],
    product: &StoredProduct,
    quantity: Quantity,
    at: Timestamp,
) -> Judgement {
    let front = Front::of(matches, at);
    let standing = matches.iter().filter(|m| !front.overrides(m)).flat_map(|m| m.rules.iter());
    let standing: Standing<'_> = standing.filter(|rule| rule.overrides(at)).collect();
    let denials = references(standing.iter().copied().filter(|rule| rule.effect == Effect::Deny));
    if !denials.is_empty() {
        return (Reason::Denied, denials, None);
    }
    if let Some(judgement) = judge_limits(&standing, product, quantity) {
        return judgement;
    }
    let reason = if standing.is_empty() { Reason::NoRule } else { Reason::Allowed };
    (reason, references(standing.iter().copied()), None)
}

/// Only if a limit is broken or can't be tested.
fn judge_limits(
    allowances: &[&StoredRule],
    product: &StoredProduct,
    quantity: Quantity,
) -> Option<Judgement> {
    let limited = allowances.iter().copied().filter(|rule| !rule.limits.is_empty());
    limited.clone().next()?;
    let units = u64::from(quantity.get());
    let measures = [
        (LimitKind::WeightG, Reason::OverWeight, product.weight_g().map(|grams| u64::from(grams) * units)),
        (LimitKind::SideMm, Reason::OverSize, product.side_mm().map(u64::from)),
        (LimitKind::Quantity, Reason::OverQuantity, Some(units)),
    ];
    for (kind, reason, actual) in measures {
        let broken =
            limited.clone().filter(|rule| rule.limits.of(kind).is_some_and(|limit| actual > Some(limit)));
        if let Some(limit) = tightest(broken.clone(), kind) {
            return Some((reason, references(broken), Some(ViolatedLimit { kind, limit, actual })));
        }
    }
    let missing = measures.map(|(kind, _, actual)| actual.is_none().then_some(kind));
    let untested =
        limited.filter(|rule| missing.iter().flatten().any(|kind| rule.limits.of(*kind).is_some()));
    missing.into_iter().flatten().find_map(|kind| {
        let limit = tightest(untested.clone(), kind)?;
        let violated = ViolatedLimit { kind, limit, actual: None };
        Some((Reason::MeasureMissing, references(untested.clone()), Some(violated)))
    })
}

fn tightest<'a>(rules: impl Iterator<Item = &'a StoredRule>, kind: LimitKind) -> Option<u64> {
    rules.filter_map(|rule| rule.limits.of(kind)).min()
}

fn references<'a>(rules: impl Iterator<Item = &'a StoredRule>) -> Vec<RuleRef> {
    let mut references: Vec<RuleRef> = rules.map(StoredRule::reference).collect();
    references.sort_unstable();
    references
}
