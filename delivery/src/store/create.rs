//! Storing a delivery once, whoever sends it how often.

use chassis::database::StoreError;
use chassis::deadline::Deadline;
use deliverability::Timestamp;

use super::Store;
use super::rows::DeliveryRow;
use super::ticket::Ticket;
use super::writer::{Create, Entry, Waiting};
use crate::domain::{Delivery, DeliveryId, Fingerprint, Order};

/// What became of a create.
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// It is stored, as it was sent.
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
        let Some(row) = self.row(id).await? else { return Ok(None) };
        let found = compare(row, &order.fingerprint())?;
        if matches!(found, Created::Existing(_)) {
            self.make_sure().await?;
        }
        Ok(Some(found))
    }

    /// Stores a new delivery, with whatever else is to be committed now, if the decision it rests on still holds just
    /// before the commit: until `valid_until` by this service's clock. One that waits for Product is stored only while fewer
    /// than `max_pending` wait: a bound on the verifier's work, which processes that commit at the same instant may pass by
    /// a batch each.
    ///
    /// # Errors
    /// Its turn did not come before the deadline, or too many wait for theirs, and nothing was stored; or the database is
    /// silent, and whether it was stored is not known, whether or not the deadline has passed by then.
    pub async fn create(
        &self,
        delivery: Delivery,
        valid_until: Option<Timestamp>,
        max_pending: u32,
        deadline: Deadline,
    ) -> Result<Created, StoreError> {
        let fingerprint = delivery.order.fingerprint();
        let wanted = Create { delivery, fingerprint, valid_until, max_pending };
        let (ticket, answer) = Ticket::new();
        self.writes.push(Entry::Create(Waiting { wanted, deadline, ticket }))?;
        answer.wait().await
    }
}

/// What is stored, compared with the content that somebody wants stored under the same id.
pub(super) fn compare(row: DeliveryRow, fingerprint: &Fingerprint) -> Result<Created, StoreError> {
    if row.fingerprint != fingerprint.as_bytes() {
        return Ok(Created::OtherContent);
    }
    row.into_delivery().map(Created::Existing)
}
