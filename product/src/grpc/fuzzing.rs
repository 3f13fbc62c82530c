//! Everything here that reads bytes from outside, for fuzz/ and for the tests that replay its corpus. What is read must come
//! out again as it was: a parser that let something wrong through would show.

use deliverability::Change;
use prost::Message;
use proto::product::v1 as wire;

use super::catalogue_service::{Parse, update};
use super::import::parse_row;
use super::mask::Maskable;
use super::parse::{self, Ids};
use super::product_service::{address, batch, listing, single};
use super::render;
use crate::revision::Head;
use crate::store::{Checked, Intent, Object};

/// A request of either service: its first byte says of which rpc, the others are the message.
pub fn request(bytes: &[u8]) {
    let Some((rpc, message)) = bytes.split_first() else { return };
    match rpc % 8 {
        0 => with(message, |request: wire::CanDeliverRequest| drop(single(&request))),
        1 => with(message, |request: wire::BatchCanDeliverRequest| {
            if let Ok((questions, _)) = batch(&request) {
                assert_eq!(questions.len(), request.items.len());
            }
        }),
        2 => with(message, |request: wire::ResolveLocationRequest| drop(address(&request))),
        3 => with(message, |request: wire::ListLocationsRequest| {
            let filters = ("locations", request.include_retired, &request.parent_id);
            let mut bad = chassis::status::Violations::default();
            let page = listing(request.page_size, &request.page_token, &filters, None, &mut bad);
            assert_eq!(page.is_some(), bad.is_empty());
        }),
        4 => with(message, |request: wire::UpdateProductRequest| {
            let id = |sent: &wire::Product| deliverability::ProductId::parse(&sent.product_id);
            patched("product", request.product, request.update_mask, id, parse::product, render::product);
        }),
        5 => with(message, |request: wire::UpdateLocationRequest| {
            let id = |sent: &wire::Location| deliverability::LocationId::parse(&sent.location_id);
            patched("location", request.location, request.update_mask, id, parse::location, render::location);
        }),
        6 => with(message, |request: wire::UpdateRuleRequest| {
            let id = |sent: &wire::Rule| deliverability::RuleId::parse(&sent.rule_id);
            patched("rule", request.rule, request.update_mask, id, parse::rule, render::rule);
        }),
        _ => with(message, |row| import_row(&row)),
    }
}

/// A row of an import.
///
/// # Panics
/// What was read does not come out again as it was.
pub fn import_row(row: &wire::ImportRow) {
    let Ok(read) = parse_row(row) else { return };
    let again = match read.clone() {
        Change::Product(product) => wire::import_row::Row::Product(render::product(product)),
        Change::Location(location) => wire::import_row::Row::Location(render::location(location)),
        Change::Rule(rule) => wire::import_row::Row::Rule(render::rule(rule)),
    };
    assert_eq!(parse_row(&wire::ImportRow { row: Some(again) }), Ok(read));
}

/// A revision token.
///
/// # Panics
/// Another token would have been given out for what was read.
pub fn revision_token(text: &str) {
    if let Ok(head) = Head::parse(text) {
        assert_eq!(head.token(), text);
    }
}

/// An update, carried out on what it itself would have stored.
fn patched<M, T>(
    field: &'static str,
    sent: Option<M>,
    mask: Option<prost_types::FieldMask>,
    id: impl Fn(&M) -> Result<T::Id, deliverability::Invalid>,
    parse: Parse<M, T>,
    render: fn(T) -> M,
) where
    M: Maskable + Send + Message + 'static,
    T: Checked + Object,
{
    let stored = sent.as_ref().and_then(|sent| parse(sent, Ids::Required, "").ok());
    let intent = update(sent, mask, field, id, |_| 1, parse, render);
    if let (Ok(Intent::Update { patch, .. }), Some(stored)) = (intent, stored) {
        let _ = patch(&stored);
    }
}

fn with<M: Message + Default>(bytes: &[u8], read: impl FnOnce(M)) {
    if let Ok(message) = M::decode(bytes) {
        read(message);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let files = folder.read_dir().unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        let files: Vec<_> = files.collect();
        assert!(files.len() >= 4, "the corpus is there");
        files
    }

    #[test]
    fn every_request_that_fuzzing_kept_is_read_or_refused() {
        corpus("product_request").iter().for_each(|bytes| request(bytes));
    }

    #[test]
    fn every_revision_token_that_fuzzing_kept_is_read_or_refused() {
        corpus("revision_token").iter().for_each(|bytes| revision_token(&String::from_utf8_lossy(bytes)));
    }
}
