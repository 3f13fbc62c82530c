//! Protobuf JSON of the contract's messages: field names as in the .proto files, enums by name.

use std::sync::LazyLock;

use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use proto::delivery::v1 as delivery;
use proto::product::v1 as product;

use crate::exit::{Exit, Failure};

static CONTRACT: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut contract = DescriptorPool::new();
    for part in [proto::product::FILE_DESCRIPTOR_SET, proto::delivery::FILE_DESCRIPTOR_SET] {
        // A fault of the build alone, which every test of this file shows.
        contract.decode_file_descriptor_set(part).expect("the contract was compiled into this program");
    }
    contract
});
static IMPORT_ROW: LazyLock<MessageDescriptor> = LazyLock::new(descriptor::<product::ImportRow>);

/// A message that has a JSON form.
pub trait Named: prost::Message + Default {
    /// Its full name in the contract.
    const NAME: &'static str;
}

macro_rules! named {
    ($($message:ty = $name:literal,)*) => {
        $(impl Named for $message {
            const NAME: &'static str = $name;
        })*
    };
}

named! {
    product::CanDeliverResponse = "candeliver.product.v1.CanDeliverResponse",
    product::GetRuleResponse = "candeliver.product.v1.GetRuleResponse",
    product::Change = "candeliver.product.v1.Change",
    product::ImportCatalogueResponse = "candeliver.product.v1.ImportCatalogueResponse",
    product::ImportRow = "candeliver.product.v1.ImportRow",
    product::ResolveLocationResponse = "candeliver.product.v1.ResolveLocationResponse",
    product::WatchChangesResponse = "candeliver.product.v1.WatchChangesResponse",
    delivery::Delivery = "candeliver.delivery.v1.Delivery",
}

/// A message as one line of JSON; fields at their default are left out.
///
/// # Errors
/// The message came from a server that does not keep the contract, such as a time out of range.
pub fn print<M: Named>(message: &M) -> Result<String, Failure> {
    let unprintable = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Refused, format!("the answer, a {}, has no JSON form: {error}", M::NAME))
    };
    let mut dynamic = DynamicMessage::new(descriptor::<M>());
    dynamic.transcode_from(message).map_err(|error| unprintable(&error))?;
    let mut line = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().use_proto_field_name(true);
    dynamic.serialize_with_options(&mut line, &options).map_err(|error| unprintable(&error))?;
    String::from_utf8(line.into_inner()).map_err(|error| unprintable(&error))
}

/// The catalogue row that a line of JSON stands for, or what is wrong with the line.
pub fn parse_row(line: &[u8]) -> Result<product::ImportRow, String> {
    let mut text = serde_json::Deserializer::from_slice(line);
    let options = DeserializeOptions::new();
    let row = DynamicMessage::deserialize_with_options(IMPORT_ROW.clone(), &mut text, &options);
    let row = row.and_then(|row| text.end().map(|()| row)).map_err(|error| describe(&error))?;
    row.transcode_to().map_err(|error| error.to_string())
}

fn descriptor<M: Named>() -> MessageDescriptor {
    CONTRACT.get_message_by_name(M::NAME).expect("every name above is in the contract")
}

/// serde_json counts lines from the start of what it was given, which is one line of many.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) if error.column() > 0 => {
            format!("is no catalogue row: {what}, at column {}", error.column())
        }
        Some(what) => format!("is no catalogue row: {what}"),
        None => format!("is no catalogue row: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../sample/catalogue.jsonl");

    #[test]
    fn every_row_of_the_sample_prints_back_as_it_was() {
        for line in SAMPLE.lines() {
            assert_eq!(print(&parse_row(line.as_bytes()).unwrap()).unwrap(), line);
        }
    }

    #[test]
    fn a_bad_line_is_told_with_what_was_wrong_and_where() {
        let what_is_wrong = |line: &str| parse_row(line.as_bytes()).unwrap_err();
        assert_eq!(what_is_wrong("catalogue"), "is no catalogue row: expected value, at column 1");
        assert_eq!(
            what_is_wrong(r#"{"product":"#),
            "is no catalogue row: EOF while parsing a value, at column 11"
        );
        assert!(what_is_wrong(r#"{"product":{"weight":3}}"#).contains("'weight'"));
        assert!(what_is_wrong(r#"{"product":{"weight_g":"heavy"}}"#).contains("at column 3"));
        assert!(what_is_wrong(r#"{"product":{}} {}"#).contains("trailing"));
        assert!(parse_row(b"{\"product\":{\"name\":\"\xff\"}}").is_err());
    }

    #[test]
    fn a_row_may_be_spelled_in_any_way_that_protobuf_json_allows() {
        let camel = parse_row(br#"{"product":{"productId":"a","weightG":"12","state":1}}"#).unwrap();
        assert_eq!(
            print(&camel).unwrap(),
            r#"{"product":{"product_id":"a","weight_g":12,"state":"STATE_ACTIVE"}}"#
        );
    }
}
