//! A delivery as a line of JSON: the contract's message in its JSON form, as `candeliver deliveries --json` prints it.

use prost_types::Timestamp;
use proto::delivery::v1 as wire;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::domain::Delivery;
use crate::grpc::render;

/// One line, without its end. As in protobuf's JSON, what is empty is left out.
pub(super) fn of(delivery: &Delivery) -> String {
    let message = render::delivery(delivery.clone());
    let state = message.state().as_str_name();
    let mut line = Map::new();
    put(&mut line, "delivery_id", message.delivery_id);
    put(&mut line, "product_id", message.product_id);
    put(&mut line, "location_id", message.location_id);
    put(&mut line, "quantity", message.quantity);
    put(&mut line, "external_reference", message.external_reference);
    put(&mut line, "state", state);
    put(&mut line, "admission", admission(message.admission.unwrap_or_default()));
    put(&mut line, "version", message.version);
    put(&mut line, "create_time", time(message.create_time));
    put(&mut line, "update_time", time(message.update_time));
    Value::Object(line).to_string()
}

/// Whether something is a line: whatever later releases put into it, a delivery has an id and a state.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let Ok(line) = serde_json::from_slice::<Value>(bytes) else { return false };
    let id = line["delivery_id"].as_str().is_some_and(|id| Uuid::try_parse(id).is_ok());
    id && line["state"].as_str().is_some_and(|state| wire::DeliveryState::from_str_name(state).is_some())
}

fn admission(message: wire::Admission) -> Value {
    let (verdict, source) = (message.verdict(), message.source());
    let mut admission = Map::new();
    if verdict != wire::Verdict::Unspecified {
        put(&mut admission, "verdict", verdict.as_str_name());
        put(&mut admission, "source", source.as_str_name());
    }
    put(&mut admission, "reason", message.reason);
    put(&mut admission, "revision", message.revision);
    put(&mut admission, "check_time", time(message.check_time));
    put(&mut admission, "verify_by", time(message.verify_by));
    let rules = message.deciding_rules.into_iter();
    let rules: Vec<_> =
        rules.map(|rule| json!({ "rule_id": rule.rule_id, "version": rule.version })).collect();
    if !rules.is_empty() {
        put(&mut admission, "deciding_rules", rules);
    }
    Value::Object(admission)
}

fn put(object: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    let value = value.into();
    if !(value.is_null() || value == "") {
        object.insert(name.to_owned(), value);
    }
}

fn time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}
