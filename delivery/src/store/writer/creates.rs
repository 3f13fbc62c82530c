//! New deliveries of one batch: which may be stored, and what stands in the way of the others.

use std::time::Duration;

use chassis::database::{Connection, StoreError};
use chassis::on_database;
use deliverability::Timestamp;

use super::insert;
use crate::domain::{Delivery, Fingerprint, State};
use crate::store::create::{Created, compare};
use crate::store::read::{Rows, by_ids};
use crate::store::standby;
use crate::time;

const COUNT_PENDING: &str =
    "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 'PENDING' LIMIT $1) AS counted";

/// Times that creates are stored of which some are not there afterwards: each time somebody removed what stood in their way.
const MAX_ROUNDS: u32 = 3;

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

/// What stands in a create's way. `None`: nothing, it is stored as it was sent.
pub(super) type InItsWay = Option<Result<Created, StoreError>>;

// === impl Create ===

impl Create {
    pub(super) fn has_lapsed(&self, now: Timestamp) -> bool {
        self.valid_until.is_some_and(|until| until <= now)
    }
}

/// Stores what may be stored. What is not there afterwards as it was sent is looked at in a statement of its own, which
/// sees what another create has committed under the same id.
pub(super) async fn store(
    connection: &mut Connection<'_>,
    creates: &[&Create],
    lock_timeout: Duration,
) -> Result<(Vec<InItsWay>, u64), StoreError> {
    let refusals = refusals(connection, creates).await?;
    let to_store: Vec<_> = creates
        .iter()
        .zip(&refusals)
        .filter(|(_, refusal)| refusal.is_none())
        .map(|(create, _)| *create)
        .collect();
    let ids: Vec<_> = creates.iter().map(|create| create.delivery.id).collect();
    let (mut stored, mut rounds) = (0, 0);
    let found = loop {
        rounds += 1;
        stored += insert::insert(connection, &to_store, lock_timeout).await?;
        if stored == creates.len() as u64 {
            return Ok((creates.iter().map(|_| None).collect(), stored));
        }
        let found = by_ids(connection, &ids).await?;
        // An archive may have removed what stood in the way, before it was looked at.
        let is_there = |create: &&Create| found.contains_key(&create.delivery.id.as_uuid());
        if rounds == MAX_ROUNDS || to_store.iter().all(is_there) {
            break found;
        }
    };
    if !found.is_empty() {
        standby::wait(connection).await?;
    }
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
fn judge(create: &Create, refusal: Option<Created>, found: &Rows) -> InItsWay {
    let id = create.delivery.id;
    match (found.get(&id.as_uuid()), refusal) {
        (Some(row), refusal) => match compare(row.clone(), &create.fingerprint) {
            Ok(Created::Existing(stored)) if stored == create.delivery && refusal.is_none() => None,
            other => Some(other),
        },
        (None, Some(refusal)) => Some(Ok(refusal)),
        // However often it was stored.
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
