//! Objects into messages.

use deliverability::{
    Change, Decision, Effect, Explanation, LimitKind, Location, LocationKind, PathEntry, PlaceSelector,
    PostalMatcher, Product, ProductSelector, Reason, Rule, RuleOutcome, RuleRef, State, Timestamp, Verdict,
    Weight,
};
use prost_types::Timestamp as WireTime;
use proto::product::v1 as wire;
use uuid::Uuid;

use crate::store::Written;

pub(super) fn product(product: Product) -> wire::Product {
    wire::Product {
        product_id: product.id.to_string(),
        name: product.name.as_str().to_owned(),
        classes: product.classes.iter().map(|class| class.as_str().to_owned()).collect(),
        weight_g: product.weight.map(Weight::get),
        length_mm: product.size.map(|size| size.length.get()),
        width_mm: product.size.map(|size| size.width.get()),
        height_mm: product.size.map(|size| size.height.get()),
        state: state(product.state).into(),
        version: product.version,
    }
}

pub(super) fn location(location: Location) -> wire::Location {
    wire::Location {
        location_id: location.id.to_string(),
        parent_id: location.parent.map(|parent| parent.to_string()),
        kind: kind(location.kind).into(),
        code: location.code.map(|code| code.as_str().to_owned()),
        name: location.name.as_str().to_owned(),
        zones: location.zones.iter().map(|zone| zone.as_str().to_owned()).collect(),
        postal: location.postal.map(|postal| postal_matcher(&postal)),
        state: state(location.state).into(),
        version: location.version,
    }
}

fn postal_matcher(postal: &PostalMatcher) -> wire::PostalMatcher {
    use wire::postal_matcher::Matcher;
    let matcher = match postal {
        PostalMatcher::Exact(postcode) => Matcher::Exact(postcode.as_str().to_owned()),
        PostalMatcher::Prefix(prefix) => Matcher::Prefix(prefix.as_str().to_owned()),
        PostalMatcher::Range(range) => Matcher::Range(wire::PostalRange {
            first: range.first().to_owned(),
            last: range.last().to_owned(),
        }),
    };
    wire::PostalMatcher { matcher: Some(matcher) }
}

pub(super) fn rule(rule: Rule) -> wire::Rule {
    let product = match rule.product {
        ProductSelector::Any => wire::product_selector::Selector::Any(true),
        ProductSelector::Class(class) => wire::product_selector::Selector::Class(class.as_str().to_owned()),
        ProductSelector::Product(id) => wire::product_selector::Selector::ProductId(id.to_string()),
    };
    let place = match rule.place {
        PlaceSelector::Any => wire::place_selector::Selector::Any(true),
        PlaceSelector::Zone(zone) => wire::place_selector::Selector::Zone(zone.as_str().to_owned()),
        PlaceSelector::Location(id) => wire::place_selector::Selector::LocationId(id.to_string()),
    };
    wire::Rule {
        rule_id: rule.id.to_string(),
        effect: effect(rule.effect).into(),
        product: Some(wire::ProductSelector { selector: Some(product) }),
        place: Some(wire::PlaceSelector { selector: Some(place) }),
        max_weight_g: rule.limits.max_weight_g,
        max_side_mm: rule.limits.max_side_mm,
        max_quantity: rule.limits.max_quantity,
        valid_from: rule.validity.from().map(timestamp),
        valid_until: rule.validity.until().map(timestamp),
        note: rule.note.as_str().to_owned(),
        version: rule.version,
        deleted: rule.deleted,
    }
}

/// When and by whom; nobody by an empty name.
pub(super) fn written(written: Option<Written>) -> (Option<WireTime>, String) {
    let (at, by) = written.map(|written| (timestamp(written.at), written.by)).unzip();
    (at, by.flatten().unwrap_or_default())
}

/// An entry of the feed, without its revision.
pub(super) fn change(change: Change) -> wire::change::Object {
    match change {
        Change::Product(object) => wire::change::Object::Product(product(object)),
        Change::Location(object) => wire::change::Object::Location(location(object)),
        Change::Rule(object) => wire::change::Object::Rule(rule(object)),
    }
}

/// A decision, without what a batch says once for all.
pub(super) fn decision(decision: &Decision) -> wire::Decision {
    let verdict = match decision.verdict() {
        Verdict::Deliverable => wire::Verdict::Deliverable,
        Verdict::NotDeliverable => wire::Verdict::NotDeliverable,
    };
    wire::Decision {
        verdict: verdict.into(),
        reason: reason(decision.reason).into(),
        deciding_rules: decision.deciding_rules.iter().copied().map(rule_ref).collect(),
        revision: String::new(),
        as_of_time: None,
        valid_until: decision.valid_until.map(timestamp),
        violated_limit: decision.violated.map(|violated| wire::ViolatedLimit {
            kind: match violated.kind {
                LimitKind::WeightG => wire::LimitKind::WeightG,
                LimitKind::SideMm => wire::LimitKind::SideMm,
                LimitKind::Quantity => wire::LimitKind::Quantity,
            }
            .into(),
            limit: violated.limit,
            actual: violated.actual,
        }),
        explanation: Vec::new(),
    }
}

pub(super) fn explanation(explanation: Explanation) -> wire::Explanation {
    let (outcome, overridden_by) = match explanation.outcome {
        RuleOutcome::NotInForce => (wire::RuleOutcome::NotInForce, None),
        RuleOutcome::Overridden(by) => (wire::RuleOutcome::Overridden, Some(rule_ref(by))),
        RuleOutcome::Standing => (wire::RuleOutcome::Standing, None),
        RuleOutcome::Deciding => (wire::RuleOutcome::Deciding, None),
    };
    wire::Explanation {
        rule: Some(rule_ref(explanation.rule)),
        effect: effect(explanation.effect).into(),
        outcome: outcome.into(),
        overridden_by,
        text: explanation.text,
    }
}

pub(super) fn path_entry(entry: PathEntry) -> wire::ResolvedLocation {
    wire::ResolvedLocation {
        location_id: entry.id.to_string(),
        name: entry.name,
        kind: kind(entry.kind).into(),
        code: entry.code.map(|code| code.as_str().to_owned()).unwrap_or_default(),
    }
}

pub(super) fn timestamp(time: Timestamp) -> WireTime {
    let micros = time.unix_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
    WireTime { seconds: micros.div_euclid(1_000_000), nanos }
}

fn rule_ref(rule: RuleRef) -> wire::RuleRef {
    wire::RuleRef { rule_id: id(rule.id.as_uuid()), version: rule.version }
}

/// Display would go through a formatter, in every answer.
fn id(id: Uuid) -> String {
    id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned()
}

fn state(state: State) -> wire::State {
    match state {
        State::Active => wire::State::Active,
        State::Suspended => wire::State::Suspended,
        State::Retired => wire::State::Retired,
    }
}

fn kind(kind: LocationKind) -> wire::LocationKind {
    match kind {
        LocationKind::Country => wire::LocationKind::Country,
        LocationKind::Region => wire::LocationKind::Region,
        LocationKind::City => wire::LocationKind::City,
        LocationKind::PostalArea => wire::LocationKind::PostalArea,
        LocationKind::Site => wire::LocationKind::Site,
    }
}

fn effect(effect: Effect) -> wire::Effect {
    match effect {
        Effect::Allow => wire::Effect::Allow,
        Effect::Deny => wire::Effect::Deny,
        Effect::Embargo => wire::Effect::Embargo,
    }
}

fn reason(reason: Reason) -> wire::Reason {
    match reason {
        Reason::ProductUnknown => wire::Reason::ProductUnknown,
        Reason::ProductRetired => wire::Reason::ProductRetired,
        Reason::ProductSuspended => wire::Reason::ProductSuspended,
        Reason::LocationUnknown => wire::Reason::LocationUnknown,
        Reason::LocationRetired => wire::Reason::LocationRetired,
        Reason::LocationSuspended => wire::Reason::LocationSuspended,
        Reason::Embargoed => wire::Reason::Embargoed,
        Reason::Denied => wire::Reason::Denied,
        Reason::NoRule => wire::Reason::NoRule,
        Reason::OverWeight => wire::Reason::OverWeight,
        Reason::OverSize => wire::Reason::OverSize,
        Reason::OverQuantity => wire::Reason::OverQuantity,
        Reason::MeasureMissing => wire::Reason::MeasureMissing,
        Reason::Allowed => wire::Reason::Allowed,
    }
}
