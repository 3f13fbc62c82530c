//! What becomes of claimed deliveries once Product was asked: they are settled, or left alone for a while. On PostgreSQL many of
//! them are one statement, since the writer waits for whatever this holds.

use chassis::database::{Connection, PgConnection, SqliteConnection, StoreError};
use deliverability::Timestamp;
use uuid::Uuid;

use super::Store;
use super::rows::EvidenceColumns;
use super::writer::column;
use crate::domain::{DeliveryId, Evidence, State};

/// Whoever leaves PENDING has no verify_by and no lease any more.
const SETTLE_ON_SQLITE: &str = "UPDATE deliveries SET state = $3, version = version + 1, update_time_us = $4, verify_by_us = NULL, \
     lease_until_us = 0, verdict = $5, reason = $6, source = $7, revision = $8, check_time_us = $9, deciding_rules = $10 \
     WHERE delivery_id = $1 AND state = 'PENDING' AND version = $2";
/// The same for many. Locked in one order everywhere, so that two transactions never wait for each other.
const SETTLE_ON_POSTGRES: &str = "WITH waiting AS MATERIALIZED (SELECT delivery_id FROM deliveries \
     WHERE delivery_id = ANY($1) AND state = 'PENDING' ORDER BY delivery_id FOR UPDATE) \
     UPDATE deliveries SET state = settled.state, version = deliveries.version + 1, update_time_us = $10, \
     verify_by_us = NULL, lease_until_us = 0, verdict = settled.verdict, reason = settled.reason, source = settled.source, \
     revision = settled.revision, check_time_us = settled.check_time_us, deciding_rules = settled.deciding_rules \
     FROM UNNEST($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], \
     $9::text[]) AS settled (delivery_id, version, state, verdict, reason, source, revision, check_time_us, \
     deciding_rules) WHERE deliveries.delivery_id = settled.delivery_id AND deliveries.version = settled.version \
     AND deliveries.state = 'PENDING' AND deliveries.delivery_id IN (SELECT delivery_id FROM waiting) \
     RETURNING settled.state";
const REST_ON_SQLITE: &str =
    "UPDATE deliveries SET lease_until_us = $1 WHERE delivery_id = $2 AND state = 'PENDING'";
const REST_ON_POSTGRES: &str = "WITH waiting AS MATERIALIZED (SELECT delivery_id FROM deliveries \
     WHERE delivery_id = ANY($2) AND state = 'PENDING' ORDER BY delivery_id FOR UPDATE) \
     UPDATE deliveries SET lease_until_us = $1 WHERE delivery_id IN (SELECT delivery_id FROM waiting)";

/// What Product said of a delivery that waited for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which delivery.
    pub id: DeliveryId,
    /// The version that was claimed.
    pub version: u32,
    /// What Product said.
    pub evidence: Evidence,
}

/// How many deliveries were settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// That were CONFIRMED.
    pub confirmed: u64,
    /// That were REJECTED.
    pub rejected: u64,
}

// === impl Settlement ===

impl Settlement {
    /// The state that it leads to.
    fn state(&self) -> &'static str {
        self.evidence.transition().target().as_str()
    }
}

// === impl Settled ===

impl Settled {
    /// All of them.
    #[must_use]
    pub fn all(self) -> u64 {
        self.confirmed + self.rejected
    }

    fn add(&mut self, state: &str, count: u64) {
        *if state == State::Confirmed.as_str() { &mut self.confirmed } else { &mut self.rejected } += count;
    }
}

// === impl Store ===

impl Store {
    /// Leaves deliveries alone until an instant.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn rest(&self, ids: Vec<DeliveryId>, until: Timestamp) -> Result<(), StoreError> {
        let ids: Vec<_> = ids.into_iter().map(DeliveryId::as_uuid).collect();
        let database = self.database.clone();
        let unit = async move {
            let mut transaction = database.write().await?;
            match transaction.connection() {
                Connection::Sqlite(c) => rest_on_sqlite(c, &ids, until).await?,
                Connection::Postgres(c) => {
                    let query = sqlx::query(REST_ON_POSTGRES).bind(until.unix_micros()).bind(ids);
                    query.execute(c).await.map(drop)?;
                }
            }
            transaction.commit().await
        };
        self.database.run(unit).await
    }

    /// Makes of each delivery what Product said, all in one transaction. One that is not PENDING at that version any more,
    /// because it was cancelled or another verifier was faster, stays as it is. Says how many were settled.
    ///
    /// # Errors
    /// The database is silent: then it is as if Product had not been asked, or as if it had.
    pub async fn settle(&self, settlements: Vec<Settlement>, now: Timestamp) -> Result<Settled, StoreError> {
        let database = self.database.clone();
        let unit = async move {
            let mut transaction = database.write().await?;
            let settled = match transaction.connection() {
                Connection::Sqlite(c) => settle_on_sqlite(c, &settlements, now).await?,
                Connection::Postgres(c) => settle_on_postgres(c, &settlements, now).await?,
            };
            transaction.commit().await?;
            Ok(settled)
        };
        self.database.run(unit).await
    }
}

/// One by one: nobody else writes meanwhile, and no statement waits for a network.
async fn rest_on_sqlite(
    connection: &mut SqliteConnection,
    ids: &[Uuid],
    until: Timestamp,
) -> Result<(), StoreError> {
    for id in ids {
        let query = sqlx::query(REST_ON_SQLITE).bind(until.unix_micros()).bind(id);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// The same.
async fn settle_on_sqlite(
    connection: &mut SqliteConnection,
    settlements: &[Settlement],
    now: Timestamp,
) -> Result<Settled, StoreError> {
    let mut settled = Settled::default();
    for settlement in settlements {
        let columns = EvidenceColumns::new(Some(&settlement.evidence));
        let query = sqlx::query(SETTLE_ON_SQLITE)
            .bind(settlement.id.as_uuid())
            .bind(i64::from(settlement.version))
            .bind(settlement.state())
            .bind(now.unix_micros())
            .bind(columns.verdict)
            .bind(columns.reason)
            .bind(columns.source)
            .bind(columns.revision)
            .bind(columns.check_time_us)
            .bind(columns.deciding_rules);
        settled.add(settlement.state(), query.execute(&mut *connection).await?.rows_affected());
    }
    Ok(settled)
}

async fn settle_on_postgres(
    connection: &mut PgConnection,
    settlements: &[Settlement],
    now: Timestamp,
) -> Result<Settled, StoreError> {
    let evidence = column(settlements, |settlement| EvidenceColumns::new(Some(&settlement.evidence)));
    let query = sqlx::query_scalar(SETTLE_ON_POSTGRES)
        .bind(column(settlements, |settlement| settlement.id.as_uuid()))
        .bind(column(settlements, |settlement| i64::from(settlement.version)))
        .bind(column(settlements, Settlement::state))
        .bind(column(&evidence, |evidence| evidence.verdict))
        .bind(column(&evidence, |evidence| evidence.reason))
        .bind(column(&evidence, |evidence| evidence.source))
        .bind(column(&evidence, |evidence| evidence.revision))
        .bind(column(&evidence, |evidence| evidence.check_time_us))
        .bind(column(&evidence, |evidence| evidence.deciding_rules.as_str()))
        .bind(now.unix_micros());
    let states: Vec<String> = query.fetch_all(connection).await?;
    let mut settled = Settled::default();
    states.iter().for_each(|state| settled.add(state, 1));
    Ok(settled)
}
