//! Many changed deliveries in one statement.

use chassis::database::{Connection, PgConnection, SqliteConnection, StoreError};
use sqlx::AssertSqlSafe;

use super::column;
use crate::domain::Delivery;
use crate::store::rows::EvidenceColumns;
use crate::store::sqlite;

/// Values of one row.
const COLUMNS: usize = 10;
/// On PostgreSQL each column is one value, whatever the number of rows. Whoever leaves PENDING has no verify_by and no lease
/// any more; the others have none anyway.
const POSTGRES: &str = "UPDATE deliveries SET state = changed.state, version = changed.version, \
     update_time_us = changed.update_time_us, verify_by_us = NULL, lease_until_us = 0, verdict = changed.verdict, \
     reason = changed.reason, source = changed.source, revision = changed.revision, \
     check_time_us = changed.check_time_us, deciding_rules = changed.deciding_rules \
     FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], \
     $9::bigint[], $10::text[]) AS changed (delivery_id, state, version, update_time_us, verdict, reason, source, \
     revision, check_time_us, deciding_rules) WHERE deliveries.delivery_id = changed.delivery_id";
/// The same on SQLite, whose VALUES name their columns themselves.
const SQLITE: &str = "UPDATE deliveries SET state = column2, version = column3, update_time_us = column4, \
     verify_by_us = NULL, lease_until_us = 0, verdict = column5, reason = column6, source = column7, \
     revision = column8, check_time_us = column9, deciding_rules = column10 FROM ";

/// A changed delivery on its way into its columns.
struct Changed<'a> {
    delivery: &'a Delivery,
    evidence: EvidenceColumns<'a>,
}

/// Writes deliveries as transitions have made them, and says how many were there.
pub(super) async fn update(
    connection: &mut Connection<'_>,
    deliveries: &[&Delivery],
) -> Result<u64, StoreError> {
    if deliveries.is_empty() {
        return Ok(0);
    }
    let rows: Vec<_> = deliveries
        .iter()
        .map(|delivery| Changed { delivery, evidence: EvidenceColumns::new(delivery.admission.evidence()) })
        .collect();
    match connection {
        Connection::Sqlite(c) => on_sqlite(c, rows).await,
        Connection::Postgres(c) => on_postgres(c, &rows).await,
    }
}

async fn on_sqlite(connection: &mut SqliteConnection, rows: Vec<Changed<'_>>) -> Result<u64, StoreError> {
    let mut query = sqlx::query(AssertSqlSafe(sqlite_sql(rows.len())));
    for Changed { delivery, evidence } in rows {
        query = query
            .bind(delivery.id.as_uuid())
            .bind(delivery.state.as_str())
            .bind(i64::from(delivery.version))
            .bind(delivery.update_time.unix_micros())
            .bind(evidence.verdict)
            .bind(evidence.reason)
            .bind(evidence.source)
            .bind(evidence.revision)
            .bind(evidence.check_time_us)
            .bind(evidence.deciding_rules);
    }
    Ok(query.execute(connection).await?.rows_affected())
}

fn sqlite_sql(rows: usize) -> String {
    format!("{SQLITE}(VALUES {}) WHERE deliveries.delivery_id = column1", sqlite::rows(rows, COLUMNS))
}

async fn on_postgres(connection: &mut PgConnection, rows: &[Changed<'_>]) -> Result<u64, StoreError> {
    let query = sqlx::query(POSTGRES)
        .bind(column(rows, |row| row.delivery.id.as_uuid()))
        .bind(column(rows, |row| row.delivery.state.as_str()))
        .bind(column(rows, |row| i64::from(row.delivery.version)))
        .bind(column(rows, |row| row.delivery.update_time.unix_micros()))
        .bind(column(rows, |row| row.evidence.verdict))
        .bind(column(rows, |row| row.evidence.reason))
        .bind(column(rows, |row| row.evidence.source))
        .bind(column(rows, |row| row.evidence.revision))
        .bind(column(rows, |row| row.evidence.check_time_us))
        .bind(column(rows, |row| row.evidence.deciding_rules.as_str()));
    Ok(query.execute(connection).await?.rows_affected())
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    #[tokio::test]
    async fn changed_rows_are_found_by_their_key() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        crate::store::migrations().run(&mut connection).await.unwrap();
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sqlite_sql(100)));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<_> = plan.into_iter().map(|(_, _, _, step)| step).collect();
        assert!(plan.iter().any(|step| step.starts_with("SEARCH deliveries USING")), "{plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN deliveries")), "{plan:?}");
    }
}
