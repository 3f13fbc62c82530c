//! Transitions of one batch.

use std::collections::{BTreeMap, BTreeSet};

use chassis::database::{Connection, StoreError};
use deliverability::Timestamp;

use super::update;
use crate::domain::{Delivery, DeliveryId, Evidence, Refusal, Step, Transition};
use crate::store::read::lock_by_ids;
use crate::store::standby;
use crate::store::transition::TransitionError;

/// A transition to make.
#[derive(Debug)]
pub(in crate::store) struct Change {
    pub(in crate::store) id: DeliveryId,
    pub(in crate::store) transition: Transition,
    /// At which version it was read.
    pub(in crate::store) read: Option<u32>,
    /// New evidence to put in the place of the old.
    pub(in crate::store) evidence: Option<Evidence>,
    pub(in crate::store) now: Timestamp,
}

/// Makes transitions in the order in which they came, several of one delivery too: its row is locked, so it is read once,
/// changed here, and written once.
pub(super) async fn make(
    connection: &mut Connection<'_>,
    changes: &[&Change],
) -> Result<(Vec<Result<Delivery, TransitionError>>, u64), StoreError> {
    if changes.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let ids: Vec<_> = changes.iter().map(|change| change.id).collect();
    let rows = lock_by_ids(connection, &ids).await?;
    let mut stored: BTreeMap<_, _> = rows.into_iter().map(|(id, row)| (id, row.into_delivery())).collect();
    let mut changed = BTreeSet::new();
    let mut answers = Vec::with_capacity(changes.len());
    for change in changes {
        let answer = match stored.get_mut(&change.id.as_uuid()) {
            None => Err(Refusal::NotFound { id: change.id }.into()),
            Some(Err(unreadable)) => Err(unreadable.clone().into()),
            Some(Ok(delivery)) => match delivery.step(change.transition, change.read) {
                Err(refusal) => Err(refusal.into()),
                Ok(Step::Made) => Ok(delivery.clone()),
                Ok(Step::ToMake) => {
                    delivery.make(change.transition, change.evidence.clone(), change.now);
                    changed.insert(change.id.as_uuid());
                    Ok(delivery.clone())
                }
            },
        };
        answers.push(answer);
    }
    let to_write: Vec<&Delivery> = changed.iter().filter_map(|id| stored.get(id)?.as_ref().ok()).collect();
    let written = update::update(connection, &to_write).await?;
    if written != to_write.len() as u64 {
        return Err(StoreError::Corrupt(format!("{written} rows were there of {}", to_write.len())));
    }
    if written == 0 && answers.iter().any(Result::is_ok) {
        standby::wait(connection).await?;
    }
    Ok((answers, written))
}
