//! The three tables: how objects are read from them by id, and written to them in batches.

use std::borrow::Cow;

use chassis::database::{Connection, StoreError};
use deliverability::{
    Location, LocationId, PlaceSelector, PostalMatcher, Product, ProductSelector, Rule, Side, Size, Timestamp,
};
use sqlx::postgres::{PgHasArrayType, PgRow};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::columns::{Value, columns, select_from};
use super::rows::{self, LocationRow, ProductRow, Row, RuleRow, Stored, selectors, write_tags};
use crate::revision::Revision;

/// Rows that one statement reads, or writes on SQLite: past this a statement gains nothing, 500 × 16 values stay under SQLite's
/// limit of 32,766, and PostgreSQL looks up so few by their index however large the table is.
const BATCH_ROWS: usize = 500;
/// Rows that one statement writes on PostgreSQL, which takes each column as one value: an import's largest chunk.
const POSTGRES_WRITE_ROWS: usize = 10_000;

/// A kind of object and the table it lies in.
pub trait Table: Sized {
    type Row: Row<Object = Self> + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin;

    /// Name of the table and of its key.
    const TABLE: &'static str;
    const KEY: &'static str;
    const COLUMNS: &'static [&'static str];

    /// What is written into the columns, in their order, as of a revision.
    fn values(&self, revision: Revision) -> Vec<Value<'_>>;
}

impl Table for Product {
    type Row = ProductRow;

    const TABLE: &'static str = "products";
    const KEY: &'static str = "product_id";
    const COLUMNS: &'static [&'static str] = &[
        "product_id",
        "name",
        "classes",
        "weight_g",
        "length_mm",
        "width_mm",
        "height_mm",
        "state",
        "version",
        "revision",
    ];

    fn values(&self, revision: Revision) -> Vec<Value<'_>> {
        let side = |side: fn(Size) -> Side| Value::Integer(self.size.map(|size| i64::from(side(size).get())));
        vec![
            Value::Uuid(Some(self.id.as_uuid())),
            Value::text(self.name.as_str()),
            Value::Text(Some(write_tags(&self.classes).into())),
            Value::Integer(self.weight.map(|weight| i64::from(weight.get()))),
            side(|size| size.length),
            side(|size| size.width),
            side(|size| size.height),
            Value::text(self.state.as_str()),
            Value::Integer(Some(self.version.into())),
            Value::Integer(Some(revision.number())),
        ]
    }
}

impl Table for Location {
    type Row = LocationRow;

    const TABLE: &'static str = "locations";
    const KEY: &'static str = "location_id";
    const COLUMNS: &'static [&'static str] = &[
        "location_id",
        "parent_id",
        "kind",
        "code",
        "name",
        "zones",
        "postal_kind",
        "postal_first",
        "postal_last",
        "state",
        "version",
        "revision",
    ];

    fn values(&self, revision: Revision) -> Vec<Value<'_>> {
        let (kind, first, last) = self.postal.as_ref().map_or((None, None, None), postal_columns);
        vec![
            Value::Uuid(Some(self.id.as_uuid())),
            Value::Uuid(self.parent.map(LocationId::as_uuid)),
            Value::text(self.kind.as_str()),
            Value::Text(self.code.as_ref().map(|code| code.as_str().into())),
            Value::text(self.name.as_str()),
            Value::Text(Some(write_tags(&self.zones).into())),
            Value::Text(kind.map(Cow::from)),
            Value::Text(first.map(Cow::from)),
            Value::Text(last.map(Cow::from)),
            Value::text(self.state.as_str()),
            Value::Integer(Some(self.version.into())),
            Value::Integer(Some(revision.number())),
        ]
    }
}

impl Table for Rule {
    type Row = RuleRow;

    const TABLE: &'static str = "rules";
    const KEY: &'static str = "rule_id";
    const COLUMNS: &'static [&'static str] = &[
        "rule_id",
        "effect",
        "product_id",
        "product_class",
        "location_id",
        "zone",
        "selectors",
        "max_weight_g",
        "max_side_mm",
        "max_quantity",
        "valid_from_us",
        "valid_until_us",
        "note",
        "deleted",
        "version",
        "revision",
    ];

    fn values(&self, revision: Revision) -> Vec<Value<'_>> {
        let (product, class) = match &self.product {
            ProductSelector::Any => (None, None),
            ProductSelector::Class(class) => (None, Some(class.as_str())),
            ProductSelector::Product(id) => (Some(id.as_uuid()), None),
        };
        let (location, zone) = match &self.place {
            PlaceSelector::Any => (None, None),
            PlaceSelector::Zone(zone) => (None, Some(zone.as_str())),
            PlaceSelector::Location(id) => (Some(id.as_uuid()), None),
        };
        vec![
            Value::Uuid(Some(self.id.as_uuid())),
            Value::text(self.effect.as_str()),
            Value::Uuid(product),
            Value::Text(class.map(Cow::from)),
            Value::Uuid(location),
            Value::Text(zone.map(Cow::from)),
            Value::Text(Some(selectors(self).into())),
            Value::Integer(self.limits.max_weight_g.map(i64::from)),
            Value::Integer(self.limits.max_side_mm.map(i64::from)),
            Value::Integer(self.limits.max_quantity.map(i64::from)),
            Value::Integer(self.validity.from().map(Timestamp::unix_micros)),
            Value::Integer(self.validity.until().map(Timestamp::unix_micros)),
            Value::text(self.note.as_str()),
            Value::Boolean(self.deleted),
            Value::Integer(Some(self.version.into())),
            Value::Integer(Some(revision.number())),
        ]
    }
}

/// `SELECT every column FROM the table`, to be followed by a condition.
pub(super) fn select<T: Table>() -> String {
    format!("SELECT {} FROM {}", T::COLUMNS.join(", "), T::TABLE)
}

/// The objects that have these ids, in no order.
pub(super) async fn by_ids<T: Table>(
    connection: &mut Connection<'_>,
    ids: &[Uuid],
) -> Result<Vec<Stored<T>>, StoreError> {
    where_in(connection, T::KEY, "", ids).await
}

/// The objects of which a column holds one of these values, under a further condition.
pub(super) async fn where_in<T, V>(
    connection: &mut Connection<'_>,
    column: &str,
    condition: &str,
    values: &[V],
) -> Result<Vec<Stored<T>>, StoreError>
where
    T: Table,
    V: Clone + Send + Sync + PgHasArrayType,
    for<'q> V: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Encode<'q, sqlx::Postgres>,
    V: sqlx::Type<sqlx::Sqlite> + sqlx::Type<sqlx::Postgres>,
{
    let mut found = Vec::new();
    for batch in values.chunks(BATCH_ROWS) {
        let list = match connection {
            Connection::Sqlite(_) => format!("IN {}", connection.placeholders(1, batch.len())),
            Connection::Postgres(_) => "= ANY ($1)".to_owned(),
        };
        let sql = AssertSqlSafe(format!("{} WHERE {column} {list} {condition}", select::<T>()));
        let rows: Vec<T::Row> = match &mut *connection {
            Connection::Sqlite(c) => {
                let mut query = sqlx::query_as(sql).persistent(batch.len() == BATCH_ROWS);
                for value in batch {
                    query = query.bind(value.clone());
                }
                query.fetch_all(&mut **c).await?
            }
            Connection::Postgres(c) => sqlx::query_as(sql).bind(batch).fetch_all(&mut **c).await?,
        };
        for row in rows {
            found.push(rows::read(row)?);
        }
    }
    Ok(found)
}

/// Writes objects as of a revision. What they name is there, or comes before them.
pub(super) async fn save<T: Table>(
    connection: &mut Connection<'_>,
    objects: &[T],
    revision: Revision,
) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(c) => {
            for batch in objects.chunks(BATCH_ROWS) {
                let places = Connection::Sqlite(c).placeholders(batch.len(), T::COLUMNS.len());
                let sql = AssertSqlSafe(upsert::<T>(&format!("VALUES {places}")));
                let mut query = sqlx::query(sql).persistent(batch.len() == BATCH_ROWS);
                for value in batch.iter().flat_map(|object| object.values(revision)) {
                    query = value.bind_to(query);
                }
                query.execute(&mut **c).await?;
            }
        }
        Connection::Postgres(c) => {
            for batch in objects.chunks(POSTGRES_WRITE_ROWS) {
                let columns = columns(batch.iter().map(|object| object.values(revision)));
                let sql = AssertSqlSafe(upsert::<T>(&select_from(&columns)));
                let query = columns.into_iter().fold(sqlx::query(sql), |query, column| column.bind_to(query));
                query.execute(&mut **c).await?;
            }
        }
    }
    Ok(())
}

/// `INSERT … ON CONFLICT DO UPDATE` of whatever gives rows.
fn upsert<T: Table>(rows: &str) -> String {
    let (key, others) = (T::KEY, &T::COLUMNS[1..]);
    let sets: Vec<_> = others.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    format!(
        "INSERT INTO {} ({}) {rows} ON CONFLICT ({key}) DO UPDATE SET {}",
        T::TABLE,
        T::COLUMNS.join(", "),
        sets.join(", ")
    )
}

fn postal_columns(postal: &PostalMatcher) -> (Option<&'static str>, Option<&str>, Option<&str>) {
    match postal {
        PostalMatcher::Exact(postcode) => (Some("EXACT"), Some(postcode.as_str()), None),
        PostalMatcher::Prefix(prefix) => (Some("PREFIX"), Some(prefix.as_str()), None),
        PostalMatcher::Range(range) => (Some("RANGE"), Some(range.first()), Some(range.last())),
    }
}
