//! Storing a delivery once, whoever sends it how often.

use chassis::database::{Connection, Database, StoreError, Transaction};
use chassis::on_database;
use deliverability::Timestamp;

use super::Store;
use super::read::by_id;
use super::rows::{DeliveryRow, EvidenceColumns, columns};
use crate::domain::{
    Admission, Delivery, DeliveryId, ExternalReference, Fingerprint, Order, RevisionToken, State,
};
use crate::time;

/// The loser of two creates with one id waits for the winner's commit, inserts nothing, and looks at what is there.
const INSERT: &str = concat!(
    "INSERT INTO deliveries (",
    columns!(),
    ", lease_until_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 0) \
     ON CONFLICT (delivery_id) DO NOTHING"
);
const COUNT_PENDING: &str =
    "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 'PENDING' LIMIT $1) AS counted";

/// What became of a create.
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// It is stored now.
    Stored(Delivery),
    /// The same was stored before, and this is what has become of it.
    Existing(Delivery),
    /// Another was stored before under the same id.
    OtherContent,
    /// The decision it rests on ended before the commit; nothing was stored.
    Lapsed,
    /// It would wait for Product, and too many wait already; nothing was stored.
    TooManyPending,
}

// === impl Store ===

impl Store {
    /// What is stored under an id, compared with what a caller wants stored there. `None`: nothing.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn find_same(&self, id: DeliveryId, order: &Order) -> Result<Option<Created>, StoreError> {
        let (database, fingerprint) = (self.database.clone(), order.fingerprint());
        let unit = async move {
            let mut session = database.read().await?;
            let row = by_id(&mut session.connection(), id).await?;
            row.map(|row| compare(row, &fingerprint)).transpose()
        };
        self.database.run(unit).await
    }

    /// Stores a new delivery, if the decision it rests on still holds just before the commit: until `valid_until` by this
    /// service's clock. One that waits for Product is stored only while fewer than `max_pending` wait: a bound on the
    /// verifier's work, which creates that commit at the same instant may pass by as many as there are connections.
    ///
    /// # Errors
    /// The database is silent: whether it was stored is not known.
    pub async fn create(
        &self,
        delivery: Delivery,
        valid_until: Option<Timestamp>,
        max_pending: u32,
    ) -> Result<Created, StoreError> {
        let database = self.database.clone();
        let unit = async move { create(&database, delivery, valid_until, max_pending).await };
        let created = self.database.run(unit).await?;
        if matches!(&created, Created::Stored(delivery) if delivery.state == State::Pending) {
            self.pending.notify_one();
        }
        Ok(created)
    }
}

async fn create(
    database: &Database,
    delivery: Delivery,
    valid_until: Option<Timestamp>,
    max_pending: u32,
) -> Result<Created, StoreError> {
    let fingerprint = delivery.order.fingerprint();
    let mut transaction = database.write().await?;
    if insert(&mut transaction.connection(), &delivery, &fingerprint).await? == 0 {
        return lost(transaction, delivery.id, &fingerprint).await;
    }
    // The new one counts too.
    if delivery.state == State::Pending
        && count_pending(&mut transaction.connection(), i64::from(max_pending) + 1).await?
            > i64::from(max_pending)
    {
        transaction.rollback().await?;
        return Ok(Created::TooManyPending);
    }
    // Last, and by the clock as it is now: whatever took long above took it before this line.
    if valid_until.is_some_and(|until| until <= time::now()) {
        transaction.rollback().await?;
        return Ok(Created::Lapsed);
    }
    transaction.commit().await?;
    Ok(Created::Stored(delivery))
}

/// Another create was there first: looks at what it stored, in a statement that began after its commit.
async fn lost(
    mut transaction: Transaction,
    id: DeliveryId,
    fingerprint: &Fingerprint,
) -> Result<Created, StoreError> {
    let winner = by_id(&mut transaction.connection(), id).await?;
    transaction.rollback().await?;
    // Nothing deletes deliveries.
    let winner = winner.ok_or_else(|| StoreError::Corrupt(format!("delivery {id} is there and is not")))?;
    compare(winner, fingerprint)
}

fn compare(row: DeliveryRow, fingerprint: &Fingerprint) -> Result<Created, StoreError> {
    if row.fingerprint != fingerprint.as_bytes() {
        return Ok(Created::OtherContent);
    }
    row.into_delivery().map(Created::Existing)
}

async fn insert(
    connection: &mut Connection<'_>,
    delivery: &Delivery,
    fingerprint: &Fingerprint,
) -> Result<u64, StoreError> {
    let evidence = EvidenceColumns::new(delivery.admission.evidence());
    let verify_by = match &delivery.admission {
        Admission::Unchecked { verify_by } => *verify_by,
        Admission::Checked(_) => None,
    };
    let order = &delivery.order;
    let inserted = on_database!(connection, c => {
        sqlx::query(INSERT)
            .bind(delivery.id.as_uuid())
            .bind(order.product.as_uuid())
            .bind(order.location.as_uuid())
            .bind(i64::from(order.quantity.get()))
            .bind(order.external_reference.as_ref().map(ExternalReference::as_str))
            .bind(fingerprint.as_bytes())
            .bind(delivery.state.as_str())
            .bind(evidence.verdict)
            .bind(evidence.reason)
            .bind(evidence.source)
            .bind(evidence.revision)
            .bind(evidence.check_time_us)
            .bind(evidence.deciding_rules)
            .bind(verify_by.map(Timestamp::unix_micros))
            .bind(delivery.min_revision.as_ref().map(RevisionToken::as_str))
            .bind(i64::from(delivery.version))
            .bind(delivery.create_time.unix_micros())
            .bind(delivery.update_time.unix_micros())
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(inserted)
}

/// How many are PENDING, up to a limit past which nobody cares.
async fn count_pending(connection: &mut Connection<'_>, limit: i64) -> Result<i64, StoreError> {
    let counted = on_database!(connection, c => {
        sqlx::query_scalar(COUNT_PENDING).bind(limit).fetch_one(c).await?
    });
    Ok(counted)
}
