//! A catalogue that is large enough to be interrupted: chunks of rows that refer to one another and to chunks before.

use proto::product::v1 as wire;
use proto::product::v1::import_row::Row;
use uuid::Uuid;

use super::catalogue::{location, product, rule};

/// Chunks in the import.
pub const CHUNKS: usize = 10;
/// Rows in a chunk: as many as there may be.
pub const CHUNK_ROWS: usize = 10_000;
/// Of which the first are locations, and the last are rules.
const CHUNK_LOCATIONS: usize = 100;
const CHUNK_RULES: usize = 100;
const CHUNK_PRODUCTS: usize = CHUNK_ROWS - CHUNK_LOCATIONS - CHUNK_RULES;

/// A question about the catalogue and what the answer must be.
#[derive(Debug)]
pub struct Sample {
    pub product_id: String,
    pub location_id: String,
    /// The one rule that allows it; without one nothing does.
    pub allowed_by: Option<String>,
}

/// All rows, the same ones each time.
pub fn chunks() -> Vec<wire::ImportCatalogueRequest> {
    (0..CHUNKS).map(chunk).collect()
}

fn chunk(chunk: usize) -> wire::ImportCatalogueRequest {
    let locations = (0..CHUNK_LOCATIONS).map(|row| {
        let parent = match (chunk, row) {
            (0, 0) => None,
            // Each chunk's locations lie in its first, and that lies in the first chunk's.
            (_, 0) => Some(location_id(0, 0)),
            _ => Some(location_id(chunk, 0)),
        };
        Row::Location(location(&location_id(chunk, row), parent.as_deref(), &format!("place {chunk}.{row}")))
    });
    let products = (0..CHUNK_PRODUCTS).map(|row| {
        Row::Product(product(&product_id(chunk, row), &format!("thing {chunk}.{row}"), &["thing"]))
    });
    let rules = (0..CHUNK_RULES).map(|row| Row::Rule(allowance(chunk, row)));
    let rows = locations.chain(products).chain(rules).map(|row| wire::ImportRow { row: Some(row) });
    wire::ImportCatalogueRequest { rows: rows.collect(), validate_only: false }
}

/// A rule of a chunk allows one product of the chunk before at one location of its own.
fn allowance(chunk: usize, row: usize) -> wire::Rule {
    let place = location_id(chunk, row);
    let product = wire::product_selector::Selector::ProductId(allowed_product(chunk, row));
    let product = Some(wire::ProductSelector { selector: Some(product) });
    wire::Rule { product, ..rule(&rule_id(chunk, row), wire::Effect::Allow, None, &place) }
}

fn allowed_product(chunk: usize, row: usize) -> String {
    product_id(chunk.saturating_sub(1), chunk * CHUNK_RULES + row)
}

/// Questions to every chunk, for each yes a no.
pub fn samples() -> Vec<Sample> {
    let rules = (0..CHUNKS).flat_map(|chunk| (1..CHUNK_LOCATIONS).step_by(14).map(move |row| (chunk, row)));
    let pairs = rules.map(|(chunk, row)| {
        let product_id = allowed_product(chunk, row);
        let yes = Sample {
            product_id: product_id.clone(),
            location_id: location_id(chunk, row),
            allowed_by: Some(rule_id(chunk, row)),
        };
        let elsewhere = row % (CHUNK_LOCATIONS - 1) + 1;
        [yes, Sample { product_id, location_id: location_id(chunk, elsewhere), allowed_by: None }]
    });
    pairs.flatten().collect()
}

fn location_id(chunk: usize, row: usize) -> String {
    id(1, chunk, row)
}

fn product_id(chunk: usize, row: usize) -> String {
    id(2, chunk, row)
}

fn rule_id(chunk: usize, row: usize) -> String {
    id(3, chunk, row)
}

fn id(kind: u128, chunk: usize, row: usize) -> String {
    let number = (kind << 48) | u128::try_from(chunk * CHUNK_ROWS + row).expect("small");
    Uuid::from_u128((0x0190_0000_0000_7000_8000_u128 << 48) | number).to_string()
}
