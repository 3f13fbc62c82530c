//! What is committed together, and the way back to each caller.

use chassis::database::StoreError;
use chassis::deadline::Deadline;

use super::attempt::Committed;
use super::{Change, Create};
use crate::domain::{Delivery, Refusal};
use crate::store::create::Created;
use crate::store::ticket::{Ticket, answer_all};
use crate::store::transition::TransitionError;

/// What is wanted of the writer.
#[derive(Debug)]
pub(in crate::store) enum Entry {
    /// A new delivery.
    Create(Waiting<Create, Created, StoreError>),
    /// A change of one that is stored.
    Change(Waiting<Change, Delivery, TransitionError>),
}

/// Something wanted, and who waits for it.
#[derive(Debug)]
pub(in crate::store) struct Waiting<W, T, E> {
    pub(in crate::store) wanted: W,
    pub(in crate::store) deadline: Deadline,
    pub(in crate::store) ticket: Ticket<T, E>,
}

/// What is committed together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// In the order of their ids everywhere, so that two transactions never wait for each other.
    pub(super) creates: Vec<Waiting<Create, Created, StoreError>>,
    /// In the order in which they came.
    pub(super) changes: Vec<Waiting<Change, Delivery, TransitionError>>,
    /// Attempts that were lost with their connections.
    losses: u32,
    /// Attempts that were given up in favour of somebody else's transaction.
    conflicts: u32,
    /// Why it is not known what became of the last of them.
    doubt: Option<StoreError>,
}

// === impl Waiting ===

impl<W, T, E> Waiting<W, T, E> {
    fn is_hopeless(&self) -> bool {
        !self.ticket.is_wanted() || self.deadline.remaining().is_zero()
    }
}

// === impl Batch ===

impl Batch {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let mut batch = Self::default();
        for entry in entries {
            match entry {
                Entry::Create(create) => batch.creates.push(create),
                Entry::Change(change) => batch.changes.push(change),
            }
        }
        // Stable: of two with one id the first is stored.
        batch.creates.sort_by_key(|create| create.wanted.delivery.id);
        batch
    }

    pub(super) fn len(&self) -> usize {
        self.creates.len() + self.changes.len()
    }

    /// Leaves out those that nobody waits for any more, and those whose time is over: nothing of them was done, unless a
    /// connection was lost with them.
    pub(super) fn drop_hopeless(&mut self) {
        let why = self.doubt.as_ref().unwrap_or(&StoreError::Expired);
        for create in self.creates.extract_if(.., |create| create.is_hopeless()) {
            create.ticket.answer(Err(why.clone()));
        }
        for change in self.changes.extract_if(.., |change| change.is_hopeless()) {
            change.ticket.answer(Err(why.clone().into()));
        }
    }

    /// Two parts of one that failed for one row's fault, the first of them last.
    pub(super) fn halve(mut self) -> [Self; 2] {
        let Self { losses, conflicts, doubt, .. } = &self;
        let mut second =
            Self { losses: *losses, conflicts: *conflicts, doubt: doubt.clone(), ..Self::default() };
        if self.creates.is_empty() {
            second.changes = self.changes.split_off(self.changes.len() / 2);
        } else if self.changes.is_empty() {
            second.creates = self.creates.split_off(self.creates.len() / 2);
        } else {
            second.changes = std::mem::take(&mut self.changes);
        }
        [second, self]
    }

    /// The same after nothing of it was done.
    pub(super) fn again(self) -> Self {
        Self { conflicts: self.conflicts + 1, ..self }
    }

    pub(super) fn conflicts(&self) -> u32 {
        self.conflicts
    }

    /// The same after its connection was lost: it may be committed already.
    pub(super) fn lost(self, why: StoreError) -> Self {
        tracing::warn!(error = %why, entries = self.len(), "the connection of a commit was lost; it is made again");
        Self { losses: self.losses + 1, doubt: Some(why), ..self }
    }

    pub(super) fn losses(&self) -> u32 {
        self.losses
    }

    pub(super) fn fail(self, error: &StoreError) {
        answer_all(self.creates.into_iter().map(|create| (create.ticket, Err(error.clone()))));
        answer_all(self.changes.into_iter().map(|change| (change.ticket, Err(error.clone().into()))));
    }

    pub(super) fn answer(self, committed: Committed) {
        let doubt = self.doubt.as_ref();
        let creates = self.creates.into_iter().zip(committed.created);
        answer_all(creates.map(|(Waiting { wanted, ticket, .. }, found)| {
            // The most common by far: it is stored as it was sent.
            let created = found.unwrap_or(Ok(Created::Stored(wanted.delivery)));
            let answer = match (created, doubt) {
                // A commit that is still on its way through the database is not seen yet.
                (Ok(Created::Lapsed | Created::TooManyPending), Some(doubt)) => Err(doubt.clone()),
                (created, _) => created,
            };
            (ticket, answer)
        }));
        let changes = self.changes.into_iter().zip(committed.changed);
        answer_all(changes.map(|(change, changed)| {
            let answer = match (changed, doubt) {
                // It may have been made, and another after it.
                (Err(TransitionError::Refused(refusal)), Some(doubt))
                    if !matches!(refusal, Refusal::NotFound { .. }) =>
                {
                    Err(doubt.clone().into())
                }
                (changed, _) => changed,
            };
            (change.ticket, answer)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DeliveryId, Transition};
    use crate::time;

    #[tokio::test]
    async fn whoever_has_no_time_left_hears_that_nothing_was_done_or_after_a_loss_that_it_is_not_known() {
        for (is_lost, is_known) in [(false, true), (true, false)] {
            let (ticket, answer) = Ticket::new();
            let wanted = Change {
                id: DeliveryId::fresh(),
                transition: Transition::Cancel,
                read: None,
                evidence: None,
                now: time::now(),
            };
            let deadline = Deadline::at(tokio::time::Instant::now());
            let mut batch = Batch::new(vec![Entry::Change(Waiting { wanted, deadline, ticket })]);
            if is_lost {
                batch = batch.lost(sqlx::Error::WorkerCrashed.into());
            }
            batch.drop_hopeless();
            let Err(TransitionError::Store(error)) = answer.wait().await else { panic!("it was not made") };
            assert_eq!(matches!(error, StoreError::Expired), is_known);
            assert_eq!(matches!(error, StoreError::Silent(_)), !is_known);
        }
    }
}
