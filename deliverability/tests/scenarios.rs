//! Replays tests/deliverability.json, or the file that DELIVERABILITY_SCENARIOS names; an unknown key fails.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

use deliverability::{
    Catalogue, Change, Effect, Limits, Location, LocationId, LocationKind, Name, Note, PlaceSelector,
    Product, ProductId, ProductSelector, Quantity, Question, Rule, RuleId, Side, Size, State, Tag, Tags,
    Timestamp, Validity, Weight,
};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[test]
fn every_scenario_comes_out_as_written() {
    let path = std::env::var("DELIVERABILITY_SCENARIOS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deliverability.json").to_owned());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let scenarios: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    for scenario in scenarios.as_array().expect("a list of scenarios") {
        let scenario = object(scenario, &["name", "catalogue", "checks"]);
        let name = scenario["name"].as_str().expect("a name");
        let catalogue = catalogue(&scenario["catalogue"]);
        for (number, check) in scenario["checks"].as_array().expect("checks").iter().enumerate() {
            let (expected, seen) = replay(&catalogue, check);
            assert_eq!(expected, seen, "\n{name:?}, check {}: expected left, seen right", number + 1);
        }
    }
}

/// The decision that the check expects, and the one that comes out.
fn replay(catalogue: &Catalogue, check: &Value) -> (Value, Value) {
    let asked = ["product", "location", "quantity", "at"];
    let answered = ["verdict", "reason", "deciding_rules", "valid_until"];
    let check = object(check, &[asked, answered].concat());
    let question = Question {
        product: ProductId::parse(text(&check["product"])).unwrap(),
        location: LocationId::parse(text(&check["location"])).unwrap(),
        quantity: optional(check, "quantity", number)
            .map_or_else(Quantity::default, |n| Quantity::new(n).unwrap()),
        at: timestamp(&check["at"]),
    };
    let decision = catalogue.decide(&question);
    let mut expected: Map<String, Value> =
        answered.iter().map(|key| ((*key).to_owned(), check[*key].clone())).collect();
    if let Some(until) = optional(check, "valid_until", timestamp) {
        expected.insert("valid_until".to_owned(), json!(until.unix_micros()));
    }
    let seen = json!({
        "verdict": decision.verdict().as_str(),
        "reason": decision.reason.as_str(),
        "deciding_rules": decision.deciding_rules.iter().map(|rule| rule.id.to_string()).collect::<Vec<_>>(),
        "valid_until": decision.valid_until.map(Timestamp::unix_micros),
    });
    (Value::Object(expected), seen)
}

fn catalogue(value: &Value) -> Catalogue {
    let value = object(value, &["products", "locations", "rules"]);
    let mut catalogue = Catalogue::default();
    let list = |key: &str| value[key].as_array().expect("a list");
    list("products").iter().for_each(|value| catalogue.apply(Change::Product(product(value))));
    list("locations").iter().for_each(|value| catalogue.apply(Change::Location(location(value))));
    list("rules").iter().for_each(|value| catalogue.apply(Change::Rule(rule(value))));
    catalogue.seal();
    catalogue
}

fn product(value: &Value) -> Product {
    let sides = ["length_mm", "width_mm", "height_mm"];
    let value = object(value, &[&["id", "name", "classes", "weight_g", "state"][..], &sides].concat());
    let sides = sides.map(|key| optional(value, key, |side| Side::new(number(side)).unwrap()));
    Product {
        id: ProductId::parse(text(&value["id"])).unwrap(),
        name: Name::parse(text(&value["name"])).unwrap(),
        classes: optional(value, "classes", tags).unwrap_or_default(),
        weight: optional(value, "weight_g", |grams| Weight::new(number(grams)).unwrap()),
        size: match sides {
            [Some(length), Some(width), Some(height)] => Some(Size::new(length, width, height)),
            [None, None, None] => None,
            _ => panic!("all three dimensions or none: {value:?}"),
        },
        state: State::parse(text(&value["state"])).unwrap(),
        version: 1,
    }
}

fn location(value: &Value) -> Location {
    let value = object(value, &["id", "name", "parent", "zones", "state"]);
    Location {
        id: LocationId::parse(text(&value["id"])).unwrap(),
        parent: optional(value, "parent", |id| LocationId::parse(text(id)).unwrap()),
        kind: LocationKind::Site,
        code: None,
        name: Name::parse(text(&value["name"])).unwrap(),
        zones: optional(value, "zones", tags).unwrap_or_default(),
        postal: None,
        state: State::parse(text(&value["state"])).unwrap(),
        version: 1,
    }
}

fn rule(value: &Value) -> Rule {
    let keys = ["id", "effect", "product", "place", "valid_from", "valid_until"];
    let limits = ["max_weight_g", "max_side_mm", "max_quantity"];
    let value = object(value, &[&keys[..], &limits].concat());
    let [weight, side, quantity] = limits.map(|key| optional(value, key, number));
    let [from, until] = ["valid_from", "valid_until"].map(|key| optional(value, key, timestamp));
    let rule = Rule {
        id: RuleId::parse(text(&value["id"])).unwrap(),
        effect: Effect::parse(text(&value["effect"])).unwrap(),
        product: match selector(&value["product"]) {
            ("any", Value::Bool(true)) => ProductSelector::Any,
            ("class", class) => ProductSelector::Class(Tag::parse(text(class)).unwrap()),
            ("product", id) => ProductSelector::Product(ProductId::parse(text(id)).unwrap()),
            other => panic!("unknown product selector {other:?}"),
        },
        place: match selector(&value["place"]) {
            ("any", Value::Bool(true)) => PlaceSelector::Any,
            ("zone", zone) => PlaceSelector::Zone(Tag::parse(text(zone)).unwrap()),
            ("location", id) => PlaceSelector::Location(LocationId::parse(text(id)).unwrap()),
            other => panic!("unknown place selector {other:?}"),
        },
        limits: Limits::new(weight, side, quantity).unwrap(),
        validity: Validity::new(from, until).unwrap(),
        note: Note::default(),
        version: 1,
        deleted: false,
    };
    rule.check().unwrap();
    rule
}

fn object<'a>(value: &'a Value, known: &[&str]) -> &'a Map<String, Value> {
    let object = value.as_object().unwrap_or_else(|| panic!("an object, not {value}"));
    if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
        panic!("unknown key {key:?} in {value}");
    }
    object
}

fn selector(value: &Value) -> (&str, &Value) {
    let object = value.as_object().expect("a selector");
    assert_eq!(object.len(), 1, "one selector: {value}");
    object.iter().map(|(key, value)| (key.as_str(), value)).next().expect("one")
}

/// Absent and null mean the same.
fn optional<'a, T>(object: &'a Map<String, Value>, key: &str, read: impl Fn(&'a Value) -> T) -> Option<T> {
    object.get(key).filter(|value| !value.is_null()).map(read)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}"))
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|n| n.try_into().ok()).unwrap_or_else(|| panic!("a number, not {value}"))
}

fn tags(value: &Value) -> Tags {
    Tags::parse(value.as_array().expect("a list of tags").iter().map(text)).unwrap()
}

fn timestamp(value: &Value) -> Timestamp {
    let instant =
        OffsetDateTime::parse(text(value), &Rfc3339).unwrap_or_else(|error| panic!("{value}: {error}"));
    let micros = i64::try_from(instant.unix_timestamp_nanos() / 1_000).expect("64 bits");
    Timestamp::from_unix_micros(micros).unwrap()
}
