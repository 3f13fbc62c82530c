//! How verifiers, of one process or of many, share the PENDING deliveries: each claims some for a while by a lease that is
//! committed before anybody calls Product, so no transaction spans a call, and a verifier that dies holds nobody up.

use chassis::database::{Connection, Database, StoreError};
use chassis::on_database;
use deliverability::Timestamp;
use sqlx::AssertSqlSafe;

use super::Store;
use super::rows::{DeliveryRow, columns};
use crate::domain::Delivery;

// === impl Store ===

impl Store {
    /// Claims the oldest PENDING deliveries that nobody else has and that may still be asked for, until `lease_until`.
    /// Claiming is no change: the version stays.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn claim(
        &self,
        limit: u32,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let database = self.database.clone();
        self.database.run(async move { claim(&database, limit, lease_until, now).await }).await
    }

    /// Gives back what is left of a claim, known by its lease.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn release(&self, lease_until: Timestamp) -> Result<(), StoreError> {
        let database = self.database.clone();
        let unit = async move {
            let mut transaction = database.write().await?;
            let connection = transaction.connection();
            let sql = release_sql(lock_in_order(&connection));
            on_database!(connection, c => {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(lease_until.unix_micros());
                query.execute(c).await.map(drop)?;
            });
            transaction.commit().await
        };
        self.database.run(unit).await
    }

    /// Ends the wait of up to `limit` PENDING deliveries whose verify_by has passed, leased or not. Says how many.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn expire(&self, limit: u32, now: Timestamp) -> Result<u64, StoreError> {
        let database = self.database.clone();
        let unit = async move {
            let mut transaction = database.write().await?;
            let connection = transaction.connection();
            let sql = expire_sql(lock_unlocked_rows(&connection));
            let expired = on_database!(connection, c => {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(now.unix_micros()).bind(i64::from(limit));
                query.execute(c).await?.rows_affected()
            });
            transaction.commit().await?;
            Ok(expired)
        };
        self.database.run(unit).await
    }
}

async fn claim(
    database: &Database,
    limit: u32,
    lease_until: Timestamp,
    now: Timestamp,
) -> Result<Vec<Delivery>, StoreError> {
    let mut transaction = database.write().await?;
    let connection = transaction.connection();
    let sql = claim_sql(lock_unlocked_rows(&connection));
    let rows: Vec<DeliveryRow> = on_database!(connection, c => {
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(now.unix_micros())
            .bind(i64::from(limit))
            .bind(lease_until.unix_micros())
            .fetch_all(c)
            .await?
    });
    transaction.commit().await?;
    let mut claimed = rows.into_iter().map(DeliveryRow::into_delivery).collect::<Result<Vec<_>, _>>()?;
    // RETURNING has no order.
    claimed.sort_unstable_by_key(|delivery| (delivery.create_time, delivery.id));
    Ok(claimed)
}

/// MATERIALIZED, lest PostgreSQL runs the inner query more than once and claims more than the limit.
fn claim_sql(lock: &str) -> String {
    format!(
        concat!(
            "WITH oldest AS MATERIALIZED (SELECT delivery_id FROM deliveries \
             WHERE state = 'PENDING' AND lease_until_us <= $1 AND verify_by_us > $1 \
             ORDER BY create_time_us, delivery_id LIMIT $2 {}) \
             UPDATE deliveries SET lease_until_us = $3 WHERE delivery_id IN (SELECT delivery_id FROM oldest) \
             RETURNING ",
            columns!()
        ),
        lock
    )
}

fn release_sql(lock: &str) -> String {
    format!(
        "WITH leased AS MATERIALIZED (SELECT delivery_id FROM deliveries \
         WHERE state = 'PENDING' AND lease_until_us = $1 {lock}) \
         UPDATE deliveries SET lease_until_us = 0 WHERE delivery_id IN (SELECT delivery_id FROM leased)"
    )
}

fn expire_sql(lock: &str) -> String {
    format!(
        "WITH overdue AS MATERIALIZED (SELECT delivery_id FROM deliveries \
         WHERE state = 'PENDING' AND verify_by_us <= $1 ORDER BY create_time_us, delivery_id LIMIT $2 {lock}) \
         UPDATE deliveries SET state = 'EXPIRED', version = version + 1, update_time_us = $1, lease_until_us = 0 \
         WHERE state = 'PENDING' AND delivery_id IN (SELECT delivery_id FROM overdue)"
    )
}

/// Where the dialects differ: on PostgreSQL writers run side by side, and a row that one of them has in hand is not worth
/// waiting for; SQLite has one writer.
fn lock_unlocked_rows(connection: &Connection<'_>) -> &'static str {
    match connection {
        Connection::Sqlite(_) => "",
        Connection::Postgres(_) => "FOR UPDATE SKIP LOCKED",
    }
}

/// The same for rows that are waited for: in one order everywhere, so that two transactions never wait for each other.
fn lock_in_order(connection: &Connection<'_>) -> &'static str {
    match connection {
        Connection::Sqlite(_) => "",
        Connection::Postgres(_) => "ORDER BY delivery_id FOR UPDATE",
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    #[tokio::test]
    async fn the_queue_is_an_index_read_from_its_old_end() {
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        crate::store::migrations().run(&mut connection).await.unwrap();
        for sql in [claim_sql(""), expire_sql(""), release_sql("")] {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explain).fetch_all(&mut connection).await.unwrap();
            let plan: Vec<_> = plan.into_iter().map(|(_, _, _, step)| step).collect();
            assert!(plan.iter().any(|step| step.contains("deliveries_by_state (state=?)")), "{plan:?}");
            let slow =
                |step: &String| step.starts_with("SCAN deliveries") || step.contains("TEMP B-TREE FOR ORDER");
            assert!(!plan.iter().any(slow), "{plan:?}");
        }
    }
}
