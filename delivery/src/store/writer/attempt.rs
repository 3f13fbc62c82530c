//! One attempt to commit a batch.
//!
//! Creates whose decisions hold for long are one statement, which is a transaction of its own. If there is a change among
//! the batch, or a decision that may end while it runs, it takes a transaction of several statements, and the last thing
//! before its COMMIT is a look at the clock.

use chassis::database::{Session, StoreError, UNIT_TIMEOUT};

use super::batch::Batch;
use super::changes::make;
use super::creates::{Create, InItsWay, store};
use super::{BATCH_LOCK_TIMEOUT, LOCK_TIMEOUT};
use crate::domain::{Delivery, State};
use crate::store::transition::TransitionError;
use crate::time;

/// What an attempt did, in the batch's order.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) created: Vec<InItsWay>,
    pub(super) changed: Vec<Result<Delivery, TransitionError>>,
    /// Rows that were stored or changed.
    pub(super) rows: u64,
    /// Whether one of them waits for Product.
    pub(super) is_pending: bool,
}

pub(super) async fn attempt(session: &mut Session, batch: &Batch) -> Result<Committed, StoreError> {
    let creates: Vec<_> = batch.creates.iter().map(|create| &create.wanted).collect();
    let changes: Vec<_> = batch.changes.iter().map(|change| &change.wanted).collect();
    let longest = time::after(time::now(), UNIT_TIMEOUT);
    // A create waits for another under its id: whether that is committed is its answer.
    let lock_timeout = if batch.len() > 1 { BATCH_LOCK_TIMEOUT } else { LOCK_TIMEOUT };
    if changes.is_empty() && !creates.iter().any(|create| create.has_lapsed(longest)) {
        let (created, rows) = store(&mut session.connection(), &creates, lock_timeout).await?;
        return Ok(Committed::new(&creates, created, Vec::new(), rows));
    }
    // Each further round leaves one out at least.
    loop {
        let mut transaction = session.begin(lock_timeout).await?;
        let (created, stored) = store(&mut transaction.connection(), &creates, lock_timeout).await?;
        let (changed, made) = make(&mut transaction.connection(), &changes).await?;
        // Last, and by the clock as it is now: whatever took long above took it before this line.
        let now = time::now();
        let has_lapsed = creates
            .iter()
            .zip(&created)
            .any(|(create, in_its_way)| in_its_way.is_none() && create.has_lapsed(now));
        if has_lapsed {
            transaction.rollback().await?;
            continue;
        }
        transaction.commit().await?;
        return Ok(Committed::new(&creates, created, changed, stored + made));
    }
}

// === impl Committed ===

impl Committed {
    fn new(
        creates: &[&Create],
        created: Vec<InItsWay>,
        changed: Vec<Result<Delivery, TransitionError>>,
        rows: u64,
    ) -> Self {
        let is_pending = creates
            .iter()
            .zip(&created)
            .any(|(create, in_its_way)| in_its_way.is_none() && create.delivery.state == State::Pending);
        Self { created, changed, rows, is_pending }
    }
}
