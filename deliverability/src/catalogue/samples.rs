//! Small objects for tests, each with a number for an id.

use uuid::Uuid;

use crate::{
    Effect, Limits, Location, LocationId, LocationKind, Name, Note, PlaceSelector, Product, ProductId,
    ProductSelector, Rule, RuleId, State, Tag, Tags, Timestamp, Validity,
};

pub(super) fn product_id(n: u128) -> ProductId {
    ProductId::from_uuid(Uuid::from_u128(n)).unwrap()
}

pub(super) fn location_id(n: u128) -> LocationId {
    LocationId::from_uuid(Uuid::from_u128(n)).unwrap()
}

pub(super) fn rule_id(n: u128) -> RuleId {
    RuleId::from_uuid(Uuid::from_u128(n)).unwrap()
}

pub(super) fn product(n: u128, classes: &[&str]) -> Product {
    Product {
        id: product_id(n),
        name: Name::parse("a product").unwrap(),
        classes: Tags::parse(classes).unwrap(),
        weight: None,
        size: None,
        state: State::Active,
        version: 1,
    }
}

/// 0 for no parent.
pub(super) fn location(n: u128, parent: u128, kind: LocationKind, name: &str) -> Location {
    Location {
        id: location_id(n),
        parent: (parent > 0).then(|| location_id(parent)),
        kind,
        code: None,
        name: Name::parse(name).unwrap(),
        zones: Tags::default(),
        postal: None,
        state: State::Active,
        version: 1,
    }
}

pub(super) fn rule(n: u128, effect: Effect, product: ProductSelector, place: PlaceSelector) -> Rule {
    Rule {
        id: rule_id(n),
        effect,
        product,
        place,
        limits: Limits::default(),
        validity: Validity::default(),
        note: Note::default(),
        version: 1,
        deleted: false,
    }
}

pub(super) fn class(tag: &str) -> ProductSelector {
    ProductSelector::Class(Tag::parse(tag).unwrap())
}

pub(super) fn zone(tag: &str) -> PlaceSelector {
    PlaceSelector::Zone(Tag::parse(tag).unwrap())
}

pub(super) fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).unwrap()
}
