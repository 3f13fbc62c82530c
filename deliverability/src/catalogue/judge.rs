//! Precedence, in one sentence: an EMBARGO always wins; otherwise a rule is overridden only by a rule at least as
//! specific about both the product and the place and more specific about one; among the rules left standing any DENY
//! means no; no rule left means no.

use smallvec::SmallVec;

use super::matching::{Match, Matches, PRODUCT_LEVELS};
use super::products::StoredProduct;
use super::rule_list::{Effects, StoredRule};
use crate::{Decision, Effect, LimitKind, Quantity, Reason, RuleRef, ViolatedLimit};

/// How specific about the place a rule must be to stand, for each specificity about the product.
///
/// All matches are about one product and one way up the tree, so both specificities are plain numbers, and this is
/// the whole of the pareto front.
#[derive(Clone, Copy, Default)]
pub(super) struct Front([u8; PRODUCT_LEVELS]);

/// More than are left standing in most decisions, so that nothing is taken from the heap.
type Rules<'a> = SmallVec<[&'a StoredRule; 16]>;

type Judgement = (Reason, Vec<RuleRef>, Option<ViolatedLimit>);

// === impl Front ===

impl Front {
    /// There is an ALLOW or DENY in force of these specificities: it overrides what is as specific about the product and
    /// less about the place, and what is less specific about the product and no more about the place.
    pub(super) fn advance(&mut self, product: u8, place: u8) {
        for (level, least) in (0..).zip(&mut self.0[..=usize::from(product)]) {
            *least = (*least).max(place + u8::from(level < product));
        }
    }

    pub(super) fn overrides(&self, m: &Match) -> bool {
        m.place < self.0[usize::from(m.product)]
    }
}

// === judging ===

/// Decides by rules alone, naming every deciding rule. The product and the location are in use.
pub(super) fn judge(matches: &Matches<'_>, product: &StoredProduct, quantity: Quantity) -> Decision {
    let (reason, deciding_rules, violated) = if matches.effects.meet(Effects::of(Effect::Embargo)) {
        (Reason::Embargoed, references(&matches.in_force(Effect::Embargo, &matches.found)), None)
    } else {
        judge_standing(matches, product, quantity)
    };
    Decision { reason, deciding_rules, valid_until: matches.next_change(), violated }
}

fn judge_standing(matches: &Matches<'_>, product: &StoredProduct, quantity: Quantity) -> Judgement {
    let mut effects = Effects::default();
    let mut standing = SmallVec::<[Match; 8]>::new();
    for m in &matches.found {
        if !matches.front.overrides(m) && m.effects.meet(Effects::OVERRIDING) {
            effects = effects.or(m.effects);
            standing.push(*m);
        }
    }
    if effects.meet(Effects::of(Effect::Deny)) {
        return (Reason::Denied, references(&matches.in_force(Effect::Deny, &standing)), None);
    }
    if standing.is_empty() {
        return (Reason::NoRule, Vec::new(), None);
    }
    let allowances = matches.in_force(Effect::Allow, &standing);
    judge_limits(&allowances, product, quantity)
        .unwrap_or_else(|| (Reason::Allowed, references(&allowances), None))
}

/// Only if a limit is broken or can't be tested.
fn judge_limits(
    allowances: &[&StoredRule],
    product: &StoredProduct,
    quantity: Quantity,
) -> Option<Judgement> {
    if !allowances.iter().any(|rule| rule.is_limited()) {
        return None;
    }
    let units = u64::from(quantity.get());
    let measures = [
        (LimitKind::WeightG, Reason::OverWeight, product.weight_g().map(|grams| u64::from(grams) * units)),
        (LimitKind::SideMm, Reason::OverSize, product.side_mm().map(u64::from)),
        (LimitKind::Quantity, Reason::OverQuantity, Some(units)),
    ];
    for (kind, reason, actual) in measures {
        let is_broken = |rule: &StoredRule| rule.limit(kind).is_some_and(|limit| actual > Some(limit));
        if let Some(limit) = tightest(allowances, kind)
            && actual > Some(limit)
        {
            let violated = ViolatedLimit { kind, limit, actual };
            return Some((reason, references(&those(allowances, is_broken)), Some(violated)));
        }
    }
    let missing = measures.map(|(kind, _, actual)| actual.is_none().then_some(kind));
    let is_untested = |rule: &StoredRule| missing.iter().flatten().any(|kind| rule.limit(*kind).is_some());
    missing.iter().flatten().find_map(|kind| {
        let violated = ViolatedLimit { kind: *kind, limit: tightest(allowances, *kind)?, actual: None };
        Some((Reason::MeasureMissing, references(&those(allowances, is_untested)), Some(violated)))
    })
}

fn tightest(rules: &[&StoredRule], kind: LimitKind) -> Option<u64> {
    rules.iter().filter_map(|rule| rule.limit(kind)).min()
}

fn those<'a>(rules: &[&'a StoredRule], are_wanted: impl Fn(&StoredRule) -> bool) -> Rules<'a> {
    rules.iter().copied().filter(|rule| are_wanted(rule)).collect()
}

fn references(rules: &[&StoredRule]) -> Vec<RuleRef> {
    let mut references: Vec<RuleRef> = rules.iter().map(|rule| rule.reference()).collect();
    references.sort_unstable();
    references
}

impl<'a> Matches<'a> {
    /// The rules with an effect that are in force, of some matches.
    fn in_force(&self, effect: Effect, among: &[Match]) -> Rules<'a> {
        let mut rules = Rules::new();
        for m in among {
            if !m.effects.meet(Effects::of(effect)) {
                continue;
            }
            for rule in self.rules.list(m.list).iter() {
                if rule.effect == effect && rule.in_force(self.at) {
                    rules.push(rule);
                }
            }
        }
        rules
    }
}
