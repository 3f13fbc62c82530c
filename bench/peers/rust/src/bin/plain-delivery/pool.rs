//! Deliveries in Delivery's own tables, each in a transaction of its own.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use proto::delivery::v1::CreateDeliveryRequest;
use proto::product::v1::Decision;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use uuid::Uuid;

/// As many as pgbench's clients.
const POSTGRES_CONNECTIONS: u32 = 32;
/// More than one writer on SQLite answer one another "database is locked".
const SQLITE_CONNECTIONS: u32 = 1;

const INSERT: &str = "INSERT INTO deliveries (delivery_id, product_id, location_id, quantity, fingerprint, state, verdict, \
    reason, source, revision, check_time_us, deciding_rules, lease_until_us, version, create_time_us, update_time_us) \
    VALUES ($1, $2, $3, $4, $5, 'CONFIRMED', 'DELIVERABLE', 'ALLOWED', 'LIVE', $6, $7, $8, 0, 1, $9, $10)";

/// A pool on either database.
#[derive(Clone, Debug)]
pub enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

// === impl Pool ===

impl Pool {
    /// Opens the database, whose tables Delivery's own `migrate` has made.
    pub async fn open(url: &str) -> Result<Self, sqlx::Error> {
        if url.starts_with("postgres") {
            let options = PgPoolOptions::new().max_connections(POSTGRES_CONNECTIONS);
            return Ok(Self::Postgres(options.connect(url).await?));
        }
        let file = SqliteConnectOptions::from_str(url)?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let options = SqlitePoolOptions::new().max_connections(SQLITE_CONNECTIONS);
        Ok(Self::Sqlite(options.connect_with(file).await?))
    }

    pub async fn insert(
        &self,
        id: Uuid,
        order: &CreateDeliveryRequest,
        decision: &Decision,
    ) -> Result<(), sqlx::Error> {
        let parse = |id: &str| Uuid::parse_str(id).map_err(|error| sqlx::Error::Encode(error.into()));
        let (product, location) = (parse(&order.product_id)?, parse(&order.location_id)?);
        let rules: Vec<_> = decision
            .deciding_rules
            .iter()
            .map(|rule| format!("[\"{}\",{}]", rule.rule_id, rule.version))
            .collect();
        let rules = format!("[{}]", rules.join(","));
        let now = now_micros();
        // As long as a real fingerprint, which these deliveries, whose ids nobody else knows, don't need.
        let fingerprint = [0_u8; 33];
        macro_rules! insert {
            ($pool:expr) => {{
                let mut transaction = $pool.begin().await?;
                sqlx::query(INSERT)
                    .bind(id)
                    .bind(product)
                    .bind(location)
                    .bind(i64::from(order.quantity.unwrap_or(1)))
                    .bind(&fingerprint[..])
                    .bind(&decision.revision)
                    .bind(now)
                    .bind(rules)
                    .bind(now)
                    .bind(now)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await
            }};
        }
        match self {
            Self::Postgres(pool) => insert!(pool),
            Self::Sqlite(pool) => insert!(pool),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a peer stands on nothing of ours")]
fn now_micros() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros());
    i64::try_from(now).unwrap_or_default()
}
