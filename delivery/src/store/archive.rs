//! Deliveries that are long over: found along an index, a bounded number at a time, and removed when somebody has them safe.

use chassis::database::{Connection, StoreError};
use chassis::on_database;
use deliverability::Timestamp;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::Store;
use super::rows::{DeliveryRow, columns};
use super::sqlite;
use crate::domain::{Delivery, State};

/// What was created before an instant was not always over by then; those that were not are left out by who reads.
const FINALS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM deliveries WHERE state = $1 AND (create_time_us, delivery_id) > ($2, $3) AND create_time_us < $4 \
     ORDER BY create_time_us, delivery_id LIMIT $5"
);
/// Locked in one order everywhere, so that two transactions never wait for each other. What another has in hand is left to the
/// next archive: it may be about to change.
const REMOVE_ON_POSTGRES: &str = "WITH gone AS MATERIALIZED (SELECT d.delivery_id FROM deliveries d \
     JOIN UNNEST($1::UUID[], $2::BIGINT[]) AS archived (delivery_id, version) \
     ON d.delivery_id = archived.delivery_id AND d.version = archived.version \
     ORDER BY d.delivery_id FOR UPDATE OF d SKIP LOCKED) \
     DELETE FROM deliveries WHERE delivery_id IN (SELECT delivery_id FROM gone)";
/// The rows are put behind.
const REMOVE_ON_SQLITE: &str = "DELETE FROM deliveries WHERE (delivery_id, version) IN (VALUES ";

/// Where among the deliveries of one state an archive goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    state: State,
    create_time_us: i64,
    id: Uuid,
}

/// A piece of the deliveries of one state.
#[derive(Clone, Debug, PartialEq)]
pub struct Finals {
    /// Those whose last change lies before the instant; oldest first by creation.
    pub deliveries: Vec<Delivery>,
    /// Where the next piece begins; `None`: this was the last.
    pub next: Option<Place>,
}

// === impl Place ===

impl Place {
    /// Before the oldest in a state.
    #[must_use]
    pub fn start(state: State) -> Self {
        Self { state, create_time_us: i64::MIN, id: Uuid::nil() }
    }
}

// === impl Store ===

impl Store {
    /// Reads at most `limit` deliveries from a place on, of which those are given back that last changed before an instant.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn finals(&self, from: Place, before: Timestamp, limit: u32) -> Result<Finals, StoreError> {
        let database = self.database.clone();
        let unit = async move {
            let mut session = database.read().await?;
            let rows: Vec<DeliveryRow> = on_database!(session.connection(), c => {
                sqlx::query_as(FINALS)
                    .bind(from.state.as_str())
                    .bind(from.create_time_us)
                    .bind(from.id)
                    .bind(before.unix_micros())
                    .bind(i64::from(limit))
                    .fetch_all(c)
                    .await?
            });
            let is_last = rows.len() < limit as usize;
            let read = rows.into_iter().map(DeliveryRow::into_delivery);
            let mut deliveries = read.collect::<Result<Vec<_>, _>>()?;
            let next = deliveries.last().filter(|_| !is_last).map(|last| Place {
                create_time_us: last.create_time.unix_micros(),
                id: last.id.as_uuid(),
                ..from
            });
            deliveries.retain(|delivery| delivery.update_time < before);
            Ok(Finals { deliveries, next })
        };
        self.database.run(unit).await
    }

    /// Removes deliveries in one short transaction, those that still are as they are given here. Says how many.
    ///
    /// # Errors
    /// The database is silent: whether they are removed is not known.
    pub async fn remove(&self, deliveries: &[Delivery]) -> Result<u64, StoreError> {
        if deliveries.is_empty() {
            return Ok(0);
        }
        let versions: Vec<_> = deliveries.iter().map(|d| (d.id.as_uuid(), i64::from(d.version))).collect();
        let database = self.database.clone();
        let unit = async move {
            let mut transaction = database.write().await?;
            let removed = remove(&mut transaction.connection(), versions).await?;
            transaction.commit().await?;
            Ok(removed)
        };
        self.database.run(unit).await
    }
}

/// Where the dialects differ: PostgreSQL takes each column as one array and can leave locked rows alone; SQLite has no arrays, and
/// one writer.
async fn remove(connection: &mut Connection<'_>, versions: Vec<(Uuid, i64)>) -> Result<u64, StoreError> {
    Ok(match connection {
        Connection::Postgres(c) => {
            let (ids, versions): (Vec<_>, Vec<_>) = versions.into_iter().unzip();
            let query = sqlx::query(REMOVE_ON_POSTGRES).bind(ids).bind(versions);
            query.execute(&mut **c).await?.rows_affected()
        }
        Connection::Sqlite(c) => {
            let rows = vec![sqlite::row(2); versions.len()].join(", ");
            let sql = AssertSqlSafe(format!("{REMOVE_ON_SQLITE}{rows})"));
            let query =
                versions.into_iter().fold(sqlx::query(sql).persistent(false), |query, (id, version)| {
                    query.bind(id).bind(version)
                });
            query.execute(&mut **c).await?.rows_affected()
        }
    })
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    #[tokio::test]
    async fn an_archive_goes_along_an_index_and_sorts_nothing() {
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        crate::store::migrations().run(&mut connection).await.unwrap();
        let remove = format!("{REMOVE_ON_SQLITE}(x'00', 1), (x'01', 1))");
        for (sql, index) in
            [(FINALS.to_owned(), "deliveries_by_state"), (remove, "sqlite_autoindex_deliveries")]
        {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explain).fetch_all(&mut connection).await.unwrap();
            let plan: Vec<_> = plan.into_iter().map(|(_, _, _, step)| step).collect();
            assert!(plan.iter().any(|step| step.contains(index)), "{index}: {plan:?}");
            let slow = |step: &String| step.starts_with("SCAN deliveries") || step.contains("TEMP B-TREE");
            assert!(!plan.iter().any(slow), "{plan:?}");
        }
    }
}
