//! Rows as they lie in the tables, and the objects they stand for.

use std::hash::Hash;

use chassis::database::StoreError;
use deliverability::{
    Code, Effect, Invalid, Limits, Location, LocationId, LocationKind, Name, Note, PlaceSelector,
    PostalMatcher, PostalRange, Postcode, Product, ProductId, ProductSelector, Rule, RuleId, Side, Size,
    State, Tag, Tags, Timestamp, Validity, Weight,
};
use sqlx::FromRow;
use uuid::Uuid;

use crate::revision::Revision;

/// An object with the revision of its last change.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// As it is now.
    pub object: T,
    /// When it became so.
    pub revision: Revision,
}

#[derive(FromRow, Hash)]
pub struct ProductRow {
    product_id: Uuid,
    name: String,
    classes: String,
    weight_g: Option<i64>,
    length_mm: Option<i64>,
    width_mm: Option<i64>,
    height_mm: Option<i64>,
    state: String,
    version: i64,
    revision: i64,
}

#[derive(FromRow, Hash)]
pub struct LocationRow {
    location_id: Uuid,
    parent_id: Option<Uuid>,
    kind: String,
    code: Option<String>,
    name: String,
    zones: String,
    postal_kind: Option<String>,
    postal_first: Option<String>,
    postal_last: Option<String>,
    state: String,
    version: i64,
    revision: i64,
}

#[derive(FromRow, Hash)]
pub struct RuleRow {
    rule_id: Uuid,
    effect: String,
    product_id: Option<Uuid>,
    product_class: Option<String>,
    location_id: Option<Uuid>,
    zone: Option<String>,
    max_weight_g: Option<i64>,
    max_side_mm: Option<i64>,
    max_quantity: Option<i64>,
    valid_from_us: Option<i64>,
    valid_until_us: Option<i64>,
    note: String,
    deleted: bool,
    version: i64,
    revision: i64,
}

/// What a stored value that is none of ours becomes.
pub struct Unreadable(String);

// === impl Unreadable ===

impl From<Invalid> for Unreadable {
    fn from(invalid: Invalid) -> Self {
        Self(invalid.to_string())
    }
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<std::num::TryFromIntError> for Unreadable {
    fn from(error: std::num::TryFromIntError) -> Self {
        Self(error.to_string())
    }
}

/// A table's row that an object can be read from.
pub trait Row: Hash {
    type Object;

    fn id(&self) -> Uuid;
    fn revision(&self) -> i64;
    fn into_object(self) -> Result<Self::Object, Unreadable>;
}

/// Reads an object from its row.
pub(super) fn read<R: Row>(row: R) -> Result<Stored<R::Object>, StoreError> {
    let (id, revision) = (row.id(), Revision::new(row.revision()));
    match row.into_object() {
        Ok(object) => Ok(Stored { object, revision }),
        Err(Unreadable(why)) => Err(StoreError::Corrupt(format!("{id}: {why}"))),
    }
}

impl Row for ProductRow {
    type Object = Product;

    fn id(&self) -> Uuid {
        self.product_id
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn into_object(self) -> Result<Product, Unreadable> {
        let size = match (self.length_mm, self.width_mm, self.height_mm) {
            (Some(length), Some(width), Some(height)) => {
                Some(Size { length: side(length)?, width: side(width)?, height: side(height)? })
            }
            _ => None,
        };
        Ok(Product {
            id: ProductId::from_uuid(self.product_id)?,
            name: Name::parse(&self.name)?,
            classes: read_tags(&self.classes)?,
            weight: self.weight_g.map(number).transpose()?.map(Weight::new).transpose()?,
            size,
            state: State::parse(&self.state)?,
            version: number(self.version)?,
        })
    }
}

impl Row for LocationRow {
    type Object = Location;

    fn id(&self) -> Uuid {
        self.location_id
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn into_object(self) -> Result<Location, Unreadable> {
        let first = self.postal_first.unwrap_or_default();
        let postal = match self.postal_kind.as_deref() {
            None => None,
            Some("EXACT") => Some(PostalMatcher::Exact(Postcode::parse(&first)?)),
            Some("PREFIX") => Some(PostalMatcher::Prefix(Postcode::parse(&first)?)),
            Some(_) => {
                Some(PostalMatcher::Range(PostalRange::parse(&first, &self.postal_last.unwrap_or_default())?))
            }
        };
        Ok(Location {
            id: LocationId::from_uuid(self.location_id)?,
            parent: self.parent_id.map(LocationId::from_uuid).transpose()?,
            kind: LocationKind::parse(&self.kind)?,
            code: self.code.as_deref().map(Code::parse).transpose()?,
            name: Name::parse(&self.name)?,
            zones: read_tags(&self.zones)?,
            postal,
            state: State::parse(&self.state)?,
            version: number(self.version)?,
        })
    }
}

impl Row for RuleRow {
    type Object = Rule;

    fn id(&self) -> Uuid {
        self.rule_id
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn into_object(self) -> Result<Rule, Unreadable> {
        let limit = |stored: Option<i64>| stored.map(number).transpose();
        let instant = |stored: Option<i64>| stored.map(Timestamp::from_unix_micros).transpose();
        Ok(Rule {
            id: RuleId::from_uuid(self.rule_id)?,
            effect: Effect::parse(&self.effect)?,
            product: match (self.product_id, self.product_class) {
                (Some(id), _) => ProductSelector::Product(ProductId::from_uuid(id)?),
                (None, Some(class)) => ProductSelector::Class(Tag::parse(&class)?),
                (None, None) => ProductSelector::Any,
            },
            place: match (self.location_id, self.zone) {
                (Some(id), _) => PlaceSelector::Location(LocationId::from_uuid(id)?),
                (None, Some(zone)) => PlaceSelector::Zone(Tag::parse(&zone)?),
                (None, None) => PlaceSelector::Any,
            },
            limits: Limits::new(
                limit(self.max_weight_g)?,
                limit(self.max_side_mm)?,
                limit(self.max_quantity)?,
            )?,
            validity: Validity::new(instant(self.valid_from_us)?, instant(self.valid_until_us)?)?,
            note: Note::parse(&self.note)?,
            version: number(self.version)?,
            deleted: self.deleted,
        })
    }
}

/// Which rules count together against the most rules of one pair of selectors.
pub(super) fn selectors(rule: &Rule) -> String {
    let product = match &rule.product {
        ProductSelector::Any => "any".to_owned(),
        ProductSelector::Class(class) => format!("class:{}", class.as_str()),
        ProductSelector::Product(id) => format!("product:{id}"),
    };
    match &rule.place {
        PlaceSelector::Any => product + " any",
        PlaceSelector::Zone(zone) => format!("{product} zone:{}", zone.as_str()),
        PlaceSelector::Location(id) => format!("{product} location:{id}"),
    }
}

/// Tags as they are stored: JSON text.
pub(super) fn write_tags(tags: &Tags) -> String {
    // A tag has no character that JSON escapes.
    let quoted: Vec<_> = tags.iter().map(|tag| format!("\"{}\"", tag.as_str())).collect();
    format!("[{}]", quoted.join(","))
}

fn read_tags(stored: &str) -> Result<Tags, Unreadable> {
    if stored == "[]" {
        return Ok(Tags::default());
    }
    let tags: Vec<String> = serde_json::from_str(stored)?;
    Ok(Tags::parse(&tags)?)
}

fn side(stored: i64) -> Result<Side, Unreadable> {
    Ok(Side::new(number(stored)?)?)
}

fn number(stored: i64) -> Result<u32, Unreadable> {
    Ok(u32::try_from(stored)?)
}
