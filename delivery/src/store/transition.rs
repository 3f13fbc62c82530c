//! Changing a delivery's state, one version at a time.

use chassis::database::{Connection, Database, StoreError};
use chassis::on_database;
use deliverability::Timestamp;

use super::Store;
use super::read::by_id;
use super::rows::{DeliveryRow, EvidenceColumns, columns};
use crate::domain::{Delivery, DeliveryId, Evidence, Refusal, State, Step, Transition};

/// Whoever leaves PENDING has no verify_by and no lease any more; the others have none anyway.
const UPDATE: &str = concat!(
    "UPDATE deliveries SET state = $1, version = version + 1, update_time_us = $2, verify_by_us = NULL, \
     lease_until_us = 0 WHERE delivery_id = $3 AND state = $4 AND version = $5 RETURNING ",
    columns!()
);
const UPDATE_WITH_EVIDENCE: &str = concat!(
    "UPDATE deliveries SET state = $1, version = version + 1, update_time_us = $2, verify_by_us = NULL, \
     lease_until_us = 0, verdict = $6, reason = $7, source = $8, revision = $9, check_time_us = $10, \
     deciding_rules = $11 WHERE delivery_id = $3 AND state = $4 AND version = $5 RETURNING ",
    columns!()
);
/// Times that a transition looks again after another was faster. A delivery changes state three times in its life, so
/// after that many it is where it stays.
const MAX_LOOKS: u32 = 4;

/// Why a transition was not made.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// It can't be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database gave no answer: whether it was made is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One change of one version of a delivery.
pub(super) struct Update<'a> {
    pub(super) id: DeliveryId,
    pub(super) from: State,
    pub(super) version: u32,
    pub(super) to: State,
    /// New evidence to put in the place of the old.
    pub(super) evidence: Option<&'a Evidence>,
}

// === impl Store ===

impl Store {
    /// Makes a transition of a delivery that was read at a version (`None`: whichever it is), with new evidence if there
    /// is some. The last transition, repeated, changes nothing.
    ///
    /// # Errors
    /// It can't be made, or the database is silent.
    pub async fn transition(
        &self,
        id: DeliveryId,
        transition: Transition,
        read: Option<u32>,
        evidence: Option<Evidence>,
        now: Timestamp,
    ) -> Result<Delivery, TransitionError> {
        let database = self.database.clone();
        let unit = async move { make(&database, id, transition, read, evidence.as_ref(), now).await };
        self.database.run(unit).await
    }
}

async fn make(
    database: &Database,
    id: DeliveryId,
    transition: Transition,
    read: Option<u32>,
    evidence: Option<&Evidence>,
    now: Timestamp,
) -> Result<Delivery, TransitionError> {
    let mut dbtx = database.write().await?;
    for _ in 0..MAX_LOOKS {
        let row = by_id(&mut dbtx.connection(), id).await?.ok_or(Refusal::NotFound { id })?;
        let stored = row.into_delivery()?;
        if stored.step(transition, read)? == Step::Made {
            return Ok(stored);
        }
        let update =
            Update { id, from: stored.state, version: stored.version, to: transition.target(), evidence };
        if let Some(row) = update.apply(&mut dbtx.connection(), now).await? {
            dbtx.commit().await?;
            return Ok(row.into_delivery()?);
        }
    }
    Err(StoreError::Corrupt(format!("delivery {id} changed more often than a delivery can")).into())
}

// === impl Update ===

impl Update<'_> {
    /// The row as it is after the change; `None` if it is not at that state and version any more.
    pub(super) async fn apply(
        &self,
        connection: &mut Connection<'_>,
        now: Timestamp,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        let evidence = self.evidence.map(|evidence| EvidenceColumns::new(Some(evidence)));
        let sql = if evidence.is_some() { UPDATE_WITH_EVIDENCE } else { UPDATE };
        let row = on_database!(connection, c => {
            let mut query = sqlx::query_as(sql)
                .bind(self.to.as_str())
                .bind(now.unix_micros())
                .bind(self.id.as_uuid())
                .bind(self.from.as_str())
                .bind(i64::from(self.version));
            if let Some(evidence) = evidence {
                query = query
                    .bind(evidence.verdict)
                    .bind(evidence.reason)
                    .bind(evidence.source)
                    .bind(evidence.revision)
                    .bind(evidence.check_time_us)
                    .bind(evidence.deciding_rules);
            }
            query.fetch_optional(c).await?
        });
        Ok(row)
    }
}
