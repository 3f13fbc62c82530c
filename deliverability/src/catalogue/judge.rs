//! Precedence, in one sentence: an EMBARGO always wins; otherwise a rule is overridden only by a rule at least as
//! specific about both the product and the place and more specific about one; among the rules left standing any DENY
//! means no; no rule left means no.

use smallvec::SmallVec;

use super::matching::{Match, Matches, PRODUCT_LEVELS};
use super::products::StoredProduct;
use super::rule_list::{Effects, StoredRule};
use crate::{Decision, Effect, LimitKind, Quantity, Reason, RuleRef, ViolatedLimit};

/// The deepest place with a rule that can override, for each specificity about the product; 0: none.
///
/// All matches are about one product and one way up the tree, so both specificities are plain numbers, and this is
/// the whole of the pareto front.
#[derive(Clone, Copy, Default)]
pub(super) struct Front([u8; PRODUCT_LEVELS]);

/// More than are left standing in most decisions, so that nothing is taken from the heap.
type Standing<'a> = SmallVec<[&'a StoredRule; 16]>;

type Judgement = (Reason, Vec<RuleRef>, Option<ViolatedLimit>);

// === impl Front ===

impl Front {
    /// There is an ALLOW or DENY in force of these specificities.
    pub(super) fn advance(&mut self, product: u8, place: u8) {
        let deepest = &mut self.0[usize::from(product)];
        *deepest = place.max(*deepest);
    }

    pub(super) fn overrides(&self, m: &Match) -> bool {
        let (same, above) =
            self.0[usize::from(m.product)..].split_first().expect("a level for each specificity");
        *same > m.place || above.iter().any(|deepest| *deepest >= m.place)
    }
}

// === judging ===

/// Decides by rules alone, naming every deciding rule. The product and the location are in use.
pub(super) fn judge(matches: &Matches<'_>, product: &StoredProduct, quantity: Quantity) -> Decision {
    let (reason, deciding_rules, violated) = if matches.effects.meet(Effects::EMBARGO) {
        (Reason::Embargoed, references(matches.in_force(Effect::Embargo, |_| true)), None)
    } else {
        judge_standing(matches, product, quantity)
    };
    Decision { reason, deciding_rules, valid_until: matches.next_change, violated }
}

fn judge_standing(matches: &Matches<'_>, product: &StoredProduct, quantity: Quantity) -> Judgement {
    let is_standing = |m: &Match| !matches.front.overrides(m);
    let standing = matches.found.iter().filter(|m| is_standing(m));
    let effects = standing.fold(Effects::default(), |effects, m| effects.or(m.effects));
    if effects.meet(Effects::of(Effect::Deny)) {
        return (Reason::Denied, references(matches.in_force(Effect::Deny, is_standing)), None);
    }
    if !effects.meet(Effects::of(Effect::Allow)) {
        return (Reason::NoRule, Vec::new(), None);
    }
    let standing: Standing<'_> = matches.in_force(Effect::Allow, is_standing).collect();
    judge_limits(&standing, product, quantity)
        .unwrap_or_else(|| (Reason::Allowed, references(standing.iter().copied()), None))
}

/// Only if a limit is broken or can't be tested.
fn judge_limits(
    allowances: &[&StoredRule],
    product: &StoredProduct,
    quantity: Quantity,
) -> Option<Judgement> {
    let limited = allowances.iter().copied().filter(|rule| rule.is_limited());
    limited.clone().next()?;
    let units = u64::from(quantity.get());
    let measures = [
        (LimitKind::WeightG, Reason::OverWeight, product.weight_g().map(|grams| u64::from(grams) * units)),
        (LimitKind::SideMm, Reason::OverSize, product.side_mm().map(u64::from)),
        (LimitKind::Quantity, Reason::OverQuantity, Some(units)),
    ];
    for (kind, reason, actual) in measures {
        let broken =
            limited.clone().filter(|rule| rule.limit(kind).is_some_and(|limit| actual > Some(limit)));
        if let Some(limit) = tightest(broken.clone(), kind) {
            return Some((reason, references(broken), Some(ViolatedLimit { kind, limit, actual })));
        }
    }
    let missing = measures.map(|(kind, _, actual)| actual.is_none().then_some(kind));
    let untested = limited.filter(|rule| missing.iter().flatten().any(|kind| rule.limit(*kind).is_some()));
    missing.into_iter().flatten().find_map(|kind| {
        let limit = tightest(untested.clone(), kind)?;
        let violated = ViolatedLimit { kind, limit, actual: None };
        Some((Reason::MeasureMissing, references(untested.clone()), Some(violated)))
    })
}

fn tightest<'a>(rules: impl Iterator<Item = &'a StoredRule>, kind: LimitKind) -> Option<u64> {
    rules.filter_map(|rule| rule.limit(kind)).min()
}

fn references<'a>(rules: impl Iterator<Item = &'a StoredRule>) -> Vec<RuleRef> {
    let mut references: Vec<RuleRef> = rules.map(StoredRule::reference).collect();
    references.sort_unstable();
    references
}

impl<'a> Matches<'a> {
    /// The rules with an effect that are in force, of the matches that are wanted.
    fn in_force(
        &self,
        effect: Effect,
        is_wanted: impl Fn(&Match) -> bool,
    ) -> impl Iterator<Item = &'a StoredRule> {
        let wanted = self.found.iter().filter(move |m| m.effects.meet(Effects::of(effect)) && is_wanted(m));
        let (rules, at) = (self.rules, self.at);
        let rules = wanted.flat_map(move |m| rules.list(m.list).iter());
        rules.filter(move |rule| rule.effect == effect && rule.in_force(at))
    }
}
