//! Good requests of which one string is not what it should be: each string there is, found by walking the contract.

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, ReflectMessage, Value};

use super::{Choices, Known, Method, message};
use crate::support::raw::framed;

/// A request.
pub struct Injected {
    /// The string's place, from the request down.
    pub field: String,
    /// What is sent.
    pub body: Bytes,
}

/// A good request for each string in it, with a text in that string's place.
pub fn injected(method: &Method, known: &Known, text: &str) -> Vec<Injected> {
    let mut good = message(&method.input, known, &mut Choices::new(&[]));
    refer_to_what_is_there(&mut good, known);
    let requests = with_text_in_each_string(&good, known, text).into_iter();
    requests
        .map(|(field, request)| Injected { field, body: framed(&request.encode_to_vec()).into() })
        .collect()
}

/// An update is of an object that is there; the plainest request is of a new one.
fn refer_to_what_is_there(request: &mut DynamicMessage, known: &Known) {
    if request.get_field_by_name("update_mask").is_none() {
        return;
    }
    let kinds = [("product", &known.products), ("location", &known.locations), ("rule", &known.rules)];
    for (kind, ids) in kinds {
        if let Some(Value::Message(object)) = request.get_field_by_name_mut(kind) {
            object.set_field_by_name(&format!("{kind}_id"), Value::String(ids[0].clone()));
        }
    }
}

fn with_text_in_each_string(
    good: &DynamicMessage,
    known: &Known,
    text: &str,
) -> Vec<(String, DynamicMessage)> {
    let mut all = Vec::new();
    for field in good.descriptor().fields() {
        let values = match field.kind() {
            Kind::String => vec![(String::new(), Value::String(text.to_owned()))],
            Kind::Message(kind) => {
                let below = match good.get_field(&field).as_ref() {
                    Value::Message(below) if good.has_field(&field) => below.clone(),
                    Value::List(list) if !list.is_empty() => list[0].as_message().expect("its kind").clone(),
                    // What could stand in its place.
                    _ => message(&kind, known, &mut Choices::new(&[])),
                };
                let below = with_text_in_each_string(&below, known, text).into_iter();
                below.map(|(path, below)| (format!(".{path}"), Value::Message(below))).collect()
            }
            _ => Vec::new(),
        };
        for (path, value) in values {
            let mut request = good.clone();
            let value = if field.is_list() { Value::List(vec![value]) } else { value };
            request.set_field(&field, value);
            all.push((format!("{}{path}", field.name()), request));
        }
    }
    all
}
