//! Requests made from random bytes and the contract itself: for each field what it is for, or nonsense.
//!
//! One byte is one choice and zero is the plainest one, so proptest makes a request that fails plainer by making its
//! bytes fewer and smaller. A new rpc or field needs nothing here, unless what is good in it must be known.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor, ReflectMessage, Value,
};
use uuid::Uuid;

mod injected;
mod nonsense;
mod requests;

pub use injected::{Injected, injected};
pub use requests::{Method, Strange, every_strange_header, methods, request, too_long};

/// Ids and tokens that mean something to the service.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub products: Vec<String>,
    pub locations: Vec<String>,
    pub rules: Vec<String>,
    pub deliveries: Vec<String>,
    pub revision: String,
    /// Of each listing, in no order.
    pub page_tokens: Vec<String>,
}

/// Choices that random bytes make; when they are used up, the plainest.
pub struct Choices<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// Of 256 choices so many are nonsense.
    nonsense: u8,
}

// === impl Choices ===

impl<'a> Choices<'a> {
    /// The first byte says how wild the others are.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut choices = Self { bytes: bytes.iter(), nonsense: 0 };
        choices.nonsense = match choices.byte() {
            0..112 => 0,
            112..208 => 24,
            208.. => 128,
        };
        choices
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    /// Below a bound, which is at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// One of some.
    pub fn one_of<'s, T: ?Sized>(&mut self, some: &[&'s T]) -> &'s T {
        some[self.below(some.len())]
    }

    /// What is left, which nothing has been chosen from.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.as_slice()
    }

    fn is_nonsense(&mut self) -> bool {
        self.nonsense > 0 && self.byte() > 255 - self.nonsense
    }
}

/// A message of a kind.
pub fn message(kind: &MessageDescriptor, known: &Known, choices: &mut Choices<'_>) -> DynamicMessage {
    let mut made = DynamicMessage::new(kind.clone());
    if kind.full_name() == "google.protobuf.Timestamp" {
        made.set_field_by_name("seconds", Value::I64(nonsense::seconds(choices)));
        made.set_field_by_name("nanos", Value::I32(nonsense::nanos(choices)));
        return made;
    }
    for oneof in kind.oneofs().filter(|oneof| !is_optional(oneof)) {
        let fields: Vec<_> = oneof.fields().collect();
        if !choices.is_nonsense() {
            let field = &fields[choices.below(fields.len())];
            made.set_field(field, value(field, &made, known, choices));
        }
    }
    for field in
        kind.fields().filter(|field| field.containing_oneof().is_none_or(|oneof| is_optional(&oneof)))
    {
        // A message is left out only as nonsense; what may be absent is so most of the time.
        let optional = field.containing_oneof().is_some() || is_timestamp(&field) || field.name() == "postal";
        let absent =
            if optional { choices.byte() < 192 } else { choices.is_nonsense() && choices.below(2) == 0 };
        if field.is_list() {
            let list = (0..length(&field, choices)).map(|_| value(&field, &made, known, choices)).collect();
            made.set_field(&field, Value::List(list));
        } else if !absent {
            made.set_field(&field, value(&field, &made, known, choices));
        }
    }
    made
}

/// proto3's `optional` is a oneof of one field.
fn is_optional(oneof: &OneofDescriptor) -> bool {
    oneof.is_synthetic()
}

fn is_timestamp(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(kind) if kind.full_name() == "google.protobuf.Timestamp")
}

fn length(field: &FieldDescriptor, choices: &mut Choices<'_>) -> usize {
    if choices.is_nonsense() {
        // 10,001 only where each is small, or a story takes minutes.
        return [0, 17, 33, 1_001, 10_001][choices.below(if field.name() == "items" { 4 } else { 5 })];
    }
    // A tag that stands twice in a list is refused; all else is as good twice.
    1 + choices.below(if matches!(field.kind(), Kind::Message(_)) { 4 } else { 1 })
}

fn value(
    field: &FieldDescriptor,
    before: &DynamicMessage,
    known: &Known,
    choices: &mut Choices<'_>,
) -> Value {
    match field.kind() {
        Kind::Message(kind) if kind.full_name() == "google.protobuf.FieldMask" => {
            mask(&kind, before, choices)
        }
        Kind::Message(kind) => Value::Message(message(&kind, known, choices)),
        Kind::String => Value::String(text(field, known, choices)),
        Kind::Bool => Value::Bool(good_flag(field) != choices.is_nonsense()),
        Kind::Enum(_) if choices.is_nonsense() => {
            let numbers = [0, -1, 99, i32::MAX, i32::MIN];
            Value::EnumNumber(numbers[choices.below(numbers.len())])
        }
        // Not the last one: it may be what only another rpc sets.
        Kind::Enum(kind) => {
            Value::EnumNumber(i32::try_from(1 + choices.below(kind.values().len() - 2)).unwrap_or(1))
        }
        Kind::Uint32 => Value::U32(number(field, choices)),
        Kind::Uint64 => Value::U64(u64::from(number(field, choices))),
        other => panic!(
            "{}: the contract has a new kind of field, {other:?}: say here what is strange in it",
            field.full_name()
        ),
    }
}

/// "Any" is written out, as true; all other flags are plainest unset.
fn good_flag(field: &FieldDescriptor) -> bool {
    field.name() == "any"
}

fn number(field: &FieldDescriptor, choices: &mut Choices<'_>) -> u32 {
    if choices.is_nonsense() {
        let strange =
            [0, 1_001, 1_000_000, 1_000_001, 1_000_000_000, i32::MAX.unsigned_abs(), 1 << 31, u32::MAX];
        return strange[choices.below(strange.len())];
    }
    match field.name() {
        // Whichever it is, where a request may say so.
        "version" if field.parent_message().name().ends_with("Request") && choices.below(2) == 0 => 0,
        // As it is in most cases, and after one change or two.
        "version" => u32::try_from(1 + choices.below(3)).unwrap_or(1),
        _ => u32::try_from(1 + choices.below(40)).unwrap_or(1),
    }
}

/// Paths of the message that is updated.
fn mask(kind: &MessageDescriptor, before: &DynamicMessage, choices: &mut Choices<'_>) -> Value {
    let updated = before.descriptor().fields().find_map(|field| match field.kind() {
        Kind::Message(kind) if field.name() != "update_mask" => Some(kind),
        _ => None,
    });
    let names: Vec<_> =
        updated.iter().flat_map(MessageDescriptor::fields).map(|field| field.name().to_owned()).collect();
    let paths = (0..=choices.below(3)).map(|_| {
        let path = if choices.is_nonsense() {
            nonsense::text(&Known::default(), choices)
        } else if choices.below(2) == 0 {
            "*".to_owned()
        } else {
            names.get(choices.below(names.len())).cloned().unwrap_or_default()
        };
        Value::String(path)
    });
    let mut mask = DynamicMessage::new(kind.clone());
    mask.set_field_by_name("paths", Value::List(paths.collect()));
    Value::Message(mask)
}

fn text(field: &FieldDescriptor, known: &Known, choices: &mut Choices<'_>) -> String {
    if choices.is_nonsense() {
        return nonsense::text(known, choices);
    }
    let own_id = field.parent_message().name().to_lowercase() + "_id" == field.name();
    match field.name() {
        // What a create makes is new, more often than not.
        _ if own_id && choices.below(2) == 0 => Uuid::now_v7().to_string(),
        "product_id" => pick(&known.products, choices),
        "location_id" | "parent_id" => pick(&known.locations, choices),
        "rule_id" => pick(&known.rules, choices),
        "delivery_id" => pick(&known.deliveries, choices),
        "page_token" => {
            if choices.below(2) == 0 {
                String::new()
            } else {
                pick(&known.page_tokens, choices)
            }
        }
        "min_revision" | "after_revision" => known.revision.clone(),
        "code" => choices.one_of(&["NL-NH", "BE", "DE-BY", "FR", "LU"]).to_owned(),
        "country" => choices.one_of(&["NL", "nl ", "ZZ"]).to_owned(),
        "classes" | "class" | "zones" | "zone" => choices.one_of(&["perishable", "eu", "a-1_b"]).to_owned(),
        "exact" | "prefix" | "postcode" => choices.one_of(&["1012 AB", "10", "x-1"]).to_owned(),
        "first" => choices.one_of(&["1000", "1050"]).to_owned(),
        "last" => choices.one_of(&["1999", "1050"]).to_owned(),
        _ => choices.one_of(&["milk", "Amsterdam", "Düsseldorf 1"]).to_owned(),
    }
}

fn pick(known: &[String], choices: &mut Choices<'_>) -> String {
    known.get(choices.below(known.len())).cloned().unwrap_or_default()
}
