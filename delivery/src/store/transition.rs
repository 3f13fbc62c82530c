//! Changing a delivery's state, one version at a time.

use chassis::database::StoreError;
use chassis::deadline::Deadline;
use deliverability::Timestamp;

use super::Store;
use super::ticket::Ticket;
use super::writer::{Change, Entry, Waiting};
use crate::domain::{Delivery, DeliveryId, Evidence, Refusal, Transition};

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

// === impl Store ===

impl Store {
    /// Makes a transition of a delivery that was read at a version (`None`: whichever it is), with new evidence if there
    /// is some, and with whatever else is to be committed now. The last transition, repeated, changes nothing.
    ///
    /// # Errors
    /// It can't be made; its turn did not come before the deadline, or too many wait for theirs; or the database is silent.
    pub async fn transition(
        &self,
        id: DeliveryId,
        transition: Transition,
        read: Option<u32>,
        evidence: Option<Evidence>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Delivery, TransitionError> {
        let wanted = Change { id, transition, read, evidence, now };
        let (ticket, answer) = Ticket::new();
        self.writes.push(Entry::Change(Waiting { wanted, deadline, ticket }))?;
        answer.wait().await
    }
}
