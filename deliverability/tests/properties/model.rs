//! The rules written straight from the design's sentences, looking at everything each time.

use deliverability::{
    Decision, Effect, LimitKind, Location, PlaceSelector, Product, ProductSelector, Question, Reason, Rule,
    RuleOutcome, RuleRef, Side, State, ViolatedLimit,
};

use super::world::World;

/// A rule that matches: product specificity, place specificity.
struct Matching<'a> {
    rule: &'a Rule,
    product: usize,
    place: usize,
}

pub fn decide(world: &World, question: &Question) -> Decision {
    let no_rules =
        |reason| Decision { reason, deciding_rules: Vec::new(), valid_until: None, violated: None };
    let Some(product) = world.products.iter().find(|product| product.id == question.product) else {
        return no_rules(Reason::ProductUnknown);
    };
    match product.state {
        State::Retired => return no_rules(Reason::ProductRetired),
        State::Suspended => return no_rules(Reason::ProductSuspended),
        State::Active => {}
    }
    let path = path(world, question);
    if path.is_empty() {
        return no_rules(Reason::LocationUnknown);
    }
    if path.iter().any(|location| location.state == State::Retired) {
        return no_rules(Reason::LocationRetired);
    }
    if path.iter().any(|location| location.state == State::Suspended) {
        return no_rules(Reason::LocationSuspended);
    }
    let matching = matching(world, product, &path);
    let (reason, deciding, violated) = weigh(&matching, product, question);
    let mut deciding_rules: Vec<RuleRef> = deciding.into_iter().map(reference).collect();
    deciding_rules.sort();
    let ends = matching.iter().flat_map(|m| [m.rule.validity.from(), m.rule.validity.until()]);
    let valid_until = ends.flatten().filter(|instant| *instant > question.at).min();
    Decision { reason, deciding_rules, valid_until, violated }
}

type Weighed<'a> = (Reason, Vec<&'a Rule>, Option<ViolatedLimit>);

fn weigh<'a>(matching: &[Matching<'a>], product: &Product, question: &Question) -> Weighed<'a> {
    let in_force = |m: &&Matching<'_>| m.rule.validity.holds(question.at);
    let with = |rules: &[&'a Rule], effect| -> Vec<&'a Rule> {
        rules.iter().copied().filter(|rule| rule.effect == effect).collect()
    };
    let all: Vec<&Rule> = matching.iter().filter(in_force).map(|m| m.rule).collect();
    let embargoes = with(&all, Effect::Embargo);
    if !embargoes.is_empty() {
        return (Reason::Embargoed, embargoes, None);
    }
    let is_standing = |m: &&Matching<'_>| overriding(matching, m, question).is_empty();
    let standing: Vec<&Rule> = matching.iter().filter(in_force).filter(is_standing).map(|m| m.rule).collect();
    let (denials, allowances) = (with(&standing, Effect::Deny), with(&standing, Effect::Allow));
    if !denials.is_empty() {
        return (Reason::Denied, denials, None);
    }
    if allowances.is_empty() {
        return (Reason::NoRule, Vec::new(), None);
    }
    let units = u64::from(question.quantity.get());
    let weight = product.weight.map(|weight| u64::from(weight.get()) * units);
    let side = product.size.map(|size| [size.length, size.width, size.height].map(Side::get));
    let side = side.map(|sides| u64::from(*sides.iter().max().unwrap()));
    let measures = [
        (Reason::OverWeight, LimitKind::WeightG, weight),
        (Reason::OverSize, LimitKind::SideMm, side),
        (Reason::OverQuantity, LimitKind::Quantity, Some(units)),
    ];
    for (reason, kind, actual) in measures {
        let Some(actual) = actual else { continue };
        let is_broken = |rule: &&Rule| limit(rule, kind).is_some_and(|limit| actual > limit);
        let broken: Vec<&Rule> = allowances.iter().copied().filter(is_broken).collect();
        if let Some(limit) = broken.iter().filter_map(|rule| limit(rule, kind)).min() {
            return (reason, broken, Some(ViolatedLimit { kind, limit, actual: Some(actual) }));
        }
    }
    let lacking: Vec<LimitKind> = measures.iter().filter(|m| m.2.is_none()).map(|m| m.1).collect();
    let is_untested = |rule: &&Rule| lacking.iter().any(|kind| limit(rule, *kind).is_some());
    let untested: Vec<&Rule> = allowances.iter().copied().filter(is_untested).collect();
    for kind in lacking {
        if let Some(limit) = untested.iter().filter_map(|rule| limit(rule, kind)).min() {
            return (Reason::MeasureMissing, untested, Some(ViolatedLimit { kind, limit, actual: None }));
        }
    }
    (Reason::Allowed, allowances, None)
}

/// What an explanation may say of a rule; of several rules that override one, it may name any that stands.
#[derive(Debug)]
pub enum Outcomes {
    Exactly(RuleOutcome),
    OverriddenByOneOf(Vec<RuleRef>),
}

impl Outcomes {
    pub fn allows(&self, seen: &RuleOutcome) -> bool {
        match (self, seen) {
            (Self::Exactly(expected), seen) => expected == seen,
            (Self::OverriddenByOneOf(expected), RuleOutcome::Overridden(by)) => expected.contains(by),
            (Self::OverriddenByOneOf(_), _) => false,
        }
    }
}

pub fn outcomes(world: &World, question: &Question) -> Vec<(RuleRef, Outcomes)> {
    let path = path(world, question);
    let Some(product) = world.products.iter().find(|product| product.id == question.product) else {
        return Vec::new();
    };
    if path.is_empty() {
        return Vec::new();
    }
    let deciding = decide(world, question).deciding_rules;
    let matching = matching(world, product, &path);
    let outcome = |m: &Matching<'_>| {
        if !m.rule.validity.holds(question.at) {
            return Outcomes::Exactly(RuleOutcome::NotInForce);
        }
        if deciding.contains(&reference(m.rule)) {
            return Outcomes::Exactly(RuleOutcome::Deciding);
        }
        let overriding = overriding(&matching, m, question);
        if overriding.is_empty() {
            return Outcomes::Exactly(RuleOutcome::Standing);
        }
        let standing = overriding.into_iter().filter(|m| self::overriding(&matching, m, question).is_empty());
        Outcomes::OverriddenByOneOf(standing.map(|m| reference(m.rule)).collect())
    };
    matching.iter().map(|m| (reference(m.rule), outcome(m))).collect()
}

/// From the root to the location; empty if it is unknown.
fn path<'a>(world: &'a World, question: &Question) -> Vec<&'a Location> {
    let mut path = Vec::new();
    let mut next = Some(question.location);
    while let Some(location) = next.and_then(|id| world.locations.iter().find(|location| location.id == id)) {
        path.insert(0, location);
        next = location.parent;
    }
    path
}

fn matching<'a>(world: &'a World, product: &Product, path: &[&Location]) -> Vec<Matching<'a>> {
    let mut matching = Vec::new();
    for rule in world.rules.iter().filter(|rule| !rule.deleted) {
        let product = match &rule.product {
            ProductSelector::Any => Some(0),
            ProductSelector::Class(class) => product.classes.iter().any(|tag| tag == class).then_some(1),
            ProductSelector::Product(id) => (*id == product.id).then_some(2),
        };
        let deepest =
            |holds: &dyn Fn(&Location) -> bool| path.iter().rposition(|node| holds(node)).map(|n| n + 1);
        let place = match &rule.place {
            PlaceSelector::Any => Some(0),
            PlaceSelector::Zone(zone) => deepest(&|node| node.zones.iter().any(|tag| tag == zone)),
            PlaceSelector::Location(id) => deepest(&|node| node.id == *id),
        };
        if let (Some(product), Some(place)) = (product, place) {
            matching.push(Matching { rule, product, place });
        }
    }
    matching
}

fn overriding<'m, 'a>(
    matching: &'m [Matching<'a>],
    m: &Matching<'_>,
    question: &Question,
) -> Vec<&'m Matching<'a>> {
    let overrides = |other: &&Matching<'_>| {
        other.rule.validity.holds(question.at)
            && other.rule.effect != Effect::Embargo
            && other.product >= m.product
            && other.place >= m.place
            && (other.product > m.product || other.place > m.place)
    };
    if m.rule.effect == Effect::Embargo { Vec::new() } else { matching.iter().filter(overrides).collect() }
}

fn limit(rule: &Rule, kind: LimitKind) -> Option<u64> {
    let limit = match kind {
        LimitKind::WeightG => rule.limits.max_weight_g,
        LimitKind::SideMm => rule.limits.max_side_mm,
        LimitKind::Quantity => rule.limits.max_quantity,
    };
    limit.map(u64::from)
}

fn reference(rule: &Rule) -> RuleRef {
    RuleRef { id: rule.id, version: rule.version }
}
