//! The three tables: how objects are read from them by id, and written to them in batches.

use chassis::database::{Connection, StoreError};
use chassis::on_database;
use deliverability::{
    Code, Location, LocationId, PlaceSelector, PostalMatcher, Product, ProductSelector, Rule, Timestamp,
};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::rows::{self, LocationRow, ProductRow, Row, RuleRow, Stored, selectors, write_tags};
use crate::revision::Revision;

/// Rows that one statement reads or writes: past this a statement gains nothing, and 500 × 16 values stay under SQLite's
/// limit of 32,766.
const BATCH_ROWS: usize = 500;

/// A kind of object and the table it lies in.
pub trait Table: Sized {
    type Row: Row<Object = Self> + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin;

    /// Name of the table and of its key.
    const TABLE: &'static str;
    const KEY: &'static str;
    const COLUMNS: &'static [&'static str];
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
    V: Clone + Send + Sync,
    for<'q> V: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Encode<'q, sqlx::Postgres>,
    V: sqlx::Type<sqlx::Sqlite> + sqlx::Type<sqlx::Postgres>,
{
    let mut found = Vec::new();
    for batch in values.chunks(BATCH_ROWS) {
        let list = connection.placeholders(1, batch.len());
        let sql = format!("{} WHERE {column} IN {list} {condition}", select::<T>());
        let rows: Vec<T::Row> = on_database!(&mut *connection, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(batch.len() == BATCH_ROWS);
            for value in batch {
                query = query.bind(value.clone());
            }
            query.fetch_all(c).await?
        });
        for row in rows {
            found.push(rows::read(row)?);
        }
    }
    Ok(found)
}

/// `INSERT … VALUES … ON CONFLICT DO UPDATE` for so many rows.
fn upsert<T: Table>(connection: &Connection<'_>, rows: usize) -> String {
    let values = connection.placeholders(rows, T::COLUMNS.len());
    let (key, others) = (T::KEY, &T::COLUMNS[1..]);
    let sets: Vec<_> = others.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    format!(
        "INSERT INTO {} ({}) VALUES {values} ON CONFLICT ({key}) DO UPDATE SET {}",
        T::TABLE,
        T::COLUMNS.join(", "),
        sets.join(", ")
    )
}

/// Writes products as of a revision.
pub(super) async fn save_products(
    connection: &mut Connection<'_>,
    products: &[Product],
    revision: Revision,
) -> Result<(), StoreError> {
    for batch in products.chunks(BATCH_ROWS) {
        let sql = upsert::<Product>(connection, batch.len());
        on_database!(&mut *connection, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(batch.len() == BATCH_ROWS);
            for product in batch {
                query = query
                    .bind(product.id.as_uuid())
                    .bind(product.name.as_str())
                    .bind(write_tags(&product.classes))
                    .bind(product.weight.map(|weight| i64::from(weight.get())))
                    .bind(product.size.map(|size| i64::from(size.length.get())))
                    .bind(product.size.map(|size| i64::from(size.width.get())))
                    .bind(product.size.map(|size| i64::from(size.height.get())))
                    .bind(product.state.as_str())
                    .bind(i64::from(product.version))
                    .bind(revision.number());
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Writes locations as of a revision; a parent comes before its children.
pub(super) async fn save_locations(
    connection: &mut Connection<'_>,
    locations: &[Location],
    revision: Revision,
) -> Result<(), StoreError> {
    for batch in locations.chunks(BATCH_ROWS) {
        let sql = upsert::<Location>(connection, batch.len());
        on_database!(&mut *connection, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(batch.len() == BATCH_ROWS);
            for location in batch {
                let (kind, first, last) = location.postal.as_ref().map_or((None, None, None), postal_columns);
                query = query
                    .bind(location.id.as_uuid())
                    .bind(location.parent.map(LocationId::as_uuid))
                    .bind(location.kind.as_str())
                    .bind(location.code.as_ref().map(Code::as_str))
                    .bind(location.name.as_str())
                    .bind(write_tags(&location.zones))
                    .bind(kind)
                    .bind(first)
                    .bind(last)
                    .bind(location.state.as_str())
                    .bind(i64::from(location.version))
                    .bind(revision.number());
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Writes rules as of a revision; what they name is there.
pub(super) async fn save_rules(
    connection: &mut Connection<'_>,
    rules: &[Rule],
    revision: Revision,
) -> Result<(), StoreError> {
    for batch in rules.chunks(BATCH_ROWS) {
        let sql = upsert::<Rule>(connection, batch.len());
        on_database!(&mut *connection, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(batch.len() == BATCH_ROWS);
            for rule in batch {
                let (product, class) = match &rule.product {
                    ProductSelector::Any => (None, None),
                    ProductSelector::Class(class) => (None, Some(class.as_str())),
                    ProductSelector::Product(id) => (Some(id.as_uuid()), None),
                };
                let (location, zone) = match &rule.place {
                    PlaceSelector::Any => (None, None),
                    PlaceSelector::Zone(zone) => (None, Some(zone.as_str())),
                    PlaceSelector::Location(id) => (Some(id.as_uuid()), None),
                };
                query = query
                    .bind(rule.id.as_uuid())
                    .bind(rule.effect.as_str())
                    .bind(product)
                    .bind(class)
                    .bind(location)
                    .bind(zone)
                    .bind(selectors(rule))
                    .bind(rule.limits.max_weight_g.map(i64::from))
                    .bind(rule.limits.max_side_mm.map(i64::from))
                    .bind(rule.limits.max_quantity.map(i64::from))
                    .bind(rule.validity.from().map(Timestamp::unix_micros))
                    .bind(rule.validity.until().map(Timestamp::unix_micros))
                    .bind(rule.note.as_str())
                    .bind(rule.deleted)
                    .bind(i64::from(rule.version))
                    .bind(revision.number());
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

fn postal_columns(postal: &PostalMatcher) -> (Option<&'static str>, Option<&str>, Option<&str>) {
    match postal {
        PostalMatcher::Exact(postcode) => (Some("EXACT"), Some(postcode.as_str()), None),
        PostalMatcher::Prefix(prefix) => (Some("PREFIX"), Some(prefix.as_str()), None),
        PostalMatcher::Range(range) => (Some("RANGE"), Some(range.first()), Some(range.last())),
    }
}
