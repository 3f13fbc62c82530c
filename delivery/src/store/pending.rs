//! How many deliveries wait for Product, and since when.

use chassis::database::StoreError;
use chassis::on_database;
use deliverability::Timestamp;

use super::Store;

/// Most that are counted, in some ten milliseconds: past that it makes no difference how many they are. Unless told otherwise a
/// tenth of it may wait.
pub const MAX_COUNTED: u32 = 100_000;

/// From the old end of the verifier's queue, in its index alone.
const BACKLOG: &str = "SELECT COUNT(*), MIN(create_time_us) FROM (SELECT create_time_us FROM deliveries \
                       WHERE state = 'PENDING' ORDER BY create_time_us, delivery_id LIMIT $1) AS waiting";

/// What waits for Product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many are PENDING, in all processes of one database.
    pub pending: u64,
    /// When the one that waits longest was created.
    pub oldest: Option<Timestamp>,
}

// === impl Store ===

impl Store {
    /// What waits for Product, counted up to `limit`.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn backlog(&self, limit: u32) -> Result<Backlog, StoreError> {
        let database = self.database.clone();
        let unit = async move {
            let mut session = database.read().await?;
            let (pending, oldest): (i64, Option<i64>) = on_database!(session.connection(), c => {
                sqlx::query_as(BACKLOG).bind(i64::from(limit)).fetch_one(c).await?
            });
            let oldest = oldest.map(Timestamp::from_unix_micros).transpose();
            let oldest = oldest.map_err(|invalid| StoreError::Corrupt(invalid.to_string()))?;
            Ok(Backlog { pending: u64::try_from(pending).unwrap_or(0), oldest })
        };
        self.database.run(unit).await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _};

    use super::*;

    #[tokio::test]
    async fn what_waits_is_read_from_the_old_end_of_its_index_alone() {
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        crate::store::migrations().run(&mut connection).await.unwrap();
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {BACKLOG}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<_> = plan.into_iter().map(|(_, _, _, step)| step).collect();
        let reads = "SEARCH deliveries USING COVERING INDEX deliveries_by_state (state=?)";
        assert!(plan.iter().any(|step| step == reads), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
    }
}
