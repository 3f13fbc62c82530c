//! One attempt to commit a batch.
//!
//! Creates whose decisions hold for long are one statement, which is a transaction of its own. If there is a change among
//! the batch, or a decision that may end while it runs, it takes a transaction of several statements, and the last thing
//! before its COMMIT is a look at the clock.

use std::collections::{BTreeMap, BTreeSet};

use chassis::database::{Connection, Session, StoreError};
use chassis::on_database;
use deliverability::Timestamp;

use super::batch::Batch;
use super::{ATTEMPT_TIMEOUT, insert, update};
use crate::domain::{Delivery, DeliveryId, Evidence, Fingerprint, Refusal, State, Step, Transition};
use crate::store::create::{Created, compare};
use crate::store::read::{Rows, by_ids, lock_by_ids};
use crate::store::transition::TransitionError;
use crate::time;

const COUNT_PENDING: &str =
    "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 'PENDING' LIMIT $1) AS counted";

/// A delivery to store.
#[derive(Debug)]
pub(in crate::store) struct Create {
    pub(in crate::store) delivery: Delivery,
    pub(in crate::store) fingerprint: Fingerprint,
    /// When the decision it rests on ends.
    pub(in crate::store) valid_until: Option<Timestamp>,
    /// How many may wait for Product.
    pub(in crate::store) max_pending: u32,
}

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

/// What an attempt did, in the batch's order.
#[derive(Debug)]
pub(super) struct Committed {
    /// `None`: it is stored as it was sent. Else what stood in its way.
    pub(super) created: Vec<Option<Result<Created, StoreError>>>,
    pub(super) changed: Vec<Result<Delivery, TransitionError>>,
    /// Rows that were stored or changed.
    pub(super) rows: u64,
    /// Whether one of them waits for Product.
    pub(super) is_pending: bool,
}

pub(super) async fn attempt(session: &mut Session, batch: &Batch) -> Result<Committed, StoreError> {
    let creates: Vec<_> = batch.creates.iter().map(|create| &create.wanted).collect();
    let changes: Vec<_> = batch.changes.iter().map(|change| &change.wanted).collect();
    let longest = time::after(time::now(), ATTEMPT_TIMEOUT);
    if changes.is_empty() && !creates.iter().any(|create| create.has_lapsed(longest)) {
        let (created, rows) = store(&mut session.connection(), &creates).await?;
        return Ok(Committed::new(&creates, created, Vec::new(), rows));
    }
    // Each further round leaves one out at least.
    loop {
        let mut transaction = session.begin().await?;
        let (created, stored) = store(&mut transaction.connection(), &creates).await?;
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

// === impl Create ===

impl Create {
    fn has_lapsed(&self, now: Timestamp) -> bool {
        self.valid_until.is_some_and(|until| until <= now)
    }
}

// === impl Committed ===

impl Committed {
    fn new(
        creates: &[&Create],
        created: Vec<Option<Result<Created, StoreError>>>,
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

/// Stores what may be stored. What is not there afterwards as it was sent is looked at in a statement of its own, which
/// sees what another create has committed under the same id.
async fn store(
    connection: &mut Connection<'_>,
    creates: &[&Create],
) -> Result<(Vec<Option<Result<Created, StoreError>>>, u64), StoreError> {
    let refusals = refusals(connection, creates).await?;
    let to_store: Vec<_> = creates
        .iter()
        .zip(&refusals)
        .filter(|(_, refusal)| refusal.is_none())
        .map(|(create, _)| *create)
        .collect();
    let stored = insert::insert(connection, &to_store).await?;
    if stored == creates.len() as u64 {
        return Ok((creates.iter().map(|_| None).collect(), stored));
    }
    let ids: Vec<_> = creates.iter().map(|create| create.delivery.id).collect();
    let found = by_ids(connection, &ids).await?;
    let created =
        creates.iter().zip(refusals).map(|(create, refusal)| judge(create, refusal, &found)).collect();
    Ok((created, stored))
}

/// Why creates must not be stored, each in its place: the decision it rests on has ended, or it would wait for Product and
/// too many wait already.
async fn refusals(
    connection: &mut Connection<'_>,
    creates: &[&Create],
) -> Result<Vec<Option<Created>>, StoreError> {
    let now = time::now();
    let pending = creates.iter().filter(|create| create.delivery.state == State::Pending);
    let mut waiting = match pending.map(|create| create.max_pending).max() {
        Some(limit) => count_pending(connection, i64::from(limit)).await?,
        None => 0,
    };
    let mut refusal = |create: &&Create| {
        if create.has_lapsed(now) {
            return Some(Created::Lapsed);
        }
        if create.delivery.state != State::Pending {
            return None;
        }
        waiting += 1;
        (waiting > i64::from(create.max_pending)).then_some(Created::TooManyPending)
    };
    Ok(creates.iter().map(&mut refusal).collect())
}

/// What stands in a create's way, by what is stored under its id. A refused one too may have been stored before.
fn judge(create: &Create, refusal: Option<Created>, found: &Rows) -> Option<Result<Created, StoreError>> {
    let id = create.delivery.id;
    match (found.get(&id.as_uuid()), refusal) {
        (Some(row), refusal) => match compare(row.clone(), &create.fingerprint) {
            Ok(Created::Existing(stored)) if stored == create.delivery && refusal.is_none() => None,
            other => Some(other),
        },
        (None, Some(refusal)) => Some(Ok(refusal)),
        // Nothing deletes deliveries.
        (None, None) => Some(Err(StoreError::Corrupt(format!("delivery {id} is there and is not")))),
    }
}

/// How many are PENDING, up to a limit past which nobody cares.
async fn count_pending(connection: &mut Connection<'_>, limit: i64) -> Result<i64, StoreError> {
    let counted = on_database!(connection, c => {
        sqlx::query_scalar(COUNT_PENDING).bind(limit).fetch_one(&mut *c).await?
    });
    Ok(counted)
}

/// Makes transitions in the order in which they came, several of one delivery too: its row is locked, so it is read once,
/// changed here, and written once.
async fn make(
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
    Ok((answers, written))
}
