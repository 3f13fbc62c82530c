//! Many new deliveries in one statement.

use std::time::Duration;

use chassis::database::{Connection, PgConnection, SqliteConnection, StoreError};
use sqlx::AssertSqlSafe;

use super::{Create, column};
use crate::store::rows::{DeliveryColumns, columns};
use crate::store::sqlite;

const INSERT: &str = concat!("INSERT INTO deliveries (", columns!(), ", lease_until_us) SELECT *, 0 FROM ");
/// Values of one row.
const COLUMNS: usize = 19;
/// On PostgreSQL each column is one value, whatever the number of rows. The statement itself says how long it waits for another
/// transaction, which costs no round trip, and holds until its transaction ends.
const POSTGRES: &str = concat!(
    "WITH waiting AS MATERIALIZED (SELECT set_config('lock_timeout', $20, TRUE) AS most) \
     INSERT INTO deliveries (",
    columns!(),
    ", lease_until_us) SELECT created.*, 0 FROM waiting, UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], \
     $6::bytea[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::text[], \
     $14::bigint[], $15::text[], $16::bigint[], $17::bigint[], $18::bigint[], $19::text[]) AS created \
     WHERE waiting.most IS NOT NULL ON CONFLICT (delivery_id) DO NOTHING"
);

/// Stores those whose ids are free, and says how many. Whoever is there already stays as it is; one that another
/// transaction is about to store is waited for, but not longer than `lock_timeout`. On SQLite there is no other.
pub(super) async fn insert(
    connection: &mut Connection<'_>,
    creates: &[&Create],
    lock_timeout: Duration,
) -> Result<u64, StoreError> {
    if creates.is_empty() {
        return Ok(0);
    }
    let rows = creates.iter().map(|create| DeliveryColumns::new(&create.delivery, &create.fingerprint));
    match connection {
        Connection::Sqlite(c) => on_sqlite(c, rows).await,
        Connection::Postgres(c) => on_postgres(c, rows, lock_timeout).await,
    }
}

async fn on_sqlite<'a>(
    connection: &mut SqliteConnection,
    rows: impl ExactSizeIterator<Item = DeliveryColumns<'a>>,
) -> Result<u64, StoreError> {
    let placeholders = sqlite::rows(rows.len(), COLUMNS);
    let sql = format!(
        "{INSERT}(VALUES {placeholders}) WHERE column1 IS NOT NULL ON CONFLICT (delivery_id) DO NOTHING"
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for row in rows {
        query = query
            .bind(row.delivery_id)
            .bind(row.product_id)
            .bind(row.location_id)
            .bind(row.quantity)
            .bind(row.external_reference)
            .bind(row.fingerprint)
            .bind(row.state)
            .bind(row.evidence.verdict)
            .bind(row.evidence.reason)
            .bind(row.evidence.source)
            .bind(row.evidence.revision)
            .bind(row.evidence.check_time_us)
            .bind(row.evidence.deciding_rules)
            .bind(row.verify_by_us)
            .bind(row.min_revision)
            .bind(row.version)
            .bind(row.create_time_us)
            .bind(row.update_time_us)
            .bind(row.traceparent);
    }
    Ok(query.execute(connection).await?.rows_affected())
}

async fn on_postgres<'a>(
    connection: &mut PgConnection,
    rows: impl Iterator<Item = DeliveryColumns<'a>>,
    lock_timeout: Duration,
) -> Result<u64, StoreError> {
    let rows: Vec<_> = rows.collect();
    let query = sqlx::query(POSTGRES)
        .bind(column(&rows, |row| row.delivery_id))
        .bind(column(&rows, |row| row.product_id))
        .bind(column(&rows, |row| row.location_id))
        .bind(column(&rows, |row| row.quantity))
        .bind(column(&rows, |row| row.external_reference))
        .bind(column(&rows, |row| row.fingerprint))
        .bind(column(&rows, |row| row.state))
        .bind(column(&rows, |row| row.evidence.verdict))
        .bind(column(&rows, |row| row.evidence.reason))
        .bind(column(&rows, |row| row.evidence.source))
        .bind(column(&rows, |row| row.evidence.revision))
        .bind(column(&rows, |row| row.evidence.check_time_us))
        .bind(column(&rows, |row| row.evidence.deciding_rules.as_str()))
        .bind(column(&rows, |row| row.verify_by_us))
        .bind(column(&rows, |row| row.min_revision))
        .bind(column(&rows, |row| row.version))
        .bind(column(&rows, |row| row.create_time_us))
        .bind(column(&rows, |row| row.update_time_us))
        .bind(column(&rows, |row| row.traceparent.as_deref()))
        .bind(format!("{}ms", lock_timeout.as_millis()));
    Ok(query.execute(connection).await?.rows_affected())
}
