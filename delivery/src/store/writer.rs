//! Group commit: creates and transitions that queued up while the last commit ran are committed together, and each caller
//! gets its own answer.
//!
//! | to know | read |
//! |---|---|
//! | how a batch is put together, halved and answered | `batch.rs` |
//! | what one attempt to commit it does | `attempt.rs`, `creates.rs`, `changes.rs` |
//! | how many rows go into one statement | `insert.rs`, `update.rs` |
//!
//! A batch that fails for one row's fault, or because somebody else holds one, is halved until that row fails alone. One
//! whose connection was lost is run again on another: what the first run did commit is then found as stored, by id and
//! content, so each caller learns what is true. Whoever has no time left by then hears that the outcome is not known.

mod attempt;
mod batch;
mod changes;
mod creates;
mod insert;
mod update;

use std::sync::Arc;
use std::time::Duration;

use chassis::database::{Database, Session, StoreError, UNIT_TIMEOUT};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::commits::Commits;
use super::fault::{Fault, fault_of, within};
use super::queue::Work;
use attempt::{Committed, attempt};
use batch::Batch;
pub(super) use batch::{Entry, Waiting};
pub(super) use changes::Change;
pub(super) use creates::Create;

/// Attempts after a connection was lost, each on another one that is waited for. A database that is not back by then is
/// silent.
const MAX_LOSSES: u32 = 3;
/// Attempts after PostgreSQL gave one up in favour of another transaction, which is done by then as a rule.
const MAX_CONFLICTS: u32 = 3;
/// How long a write waits for a delivery that somebody else holds, or is about to store: a commit of another process takes some
/// milliseconds, and all other writes of this one wait behind it.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);
/// The same for several together, which are halved then: whichever is held is found sooner, and waits alone.
const BATCH_LOCK_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a batch is halved in search of what somebody else holds: to find one among a whole batch takes a good second,
/// and where all are held there is nothing to find.
const SEARCH: Duration = Duration::from_secs(4);

/// Commits what queued up.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) database: Database,
    /// Wakes the verifier of this process.
    pub(super) pending: Arc<Notify>,
    pub(super) commits: Arc<Commits>,
}

// === impl Writer ===

impl Work for Writer {
    type Entry = Entry;

    async fn work(&self, entries: Vec<Entry>, mut kept: Option<Session>) -> Option<Session> {
        let mut parts = vec![Batch::new(entries)];
        let mut search: Option<Instant> = None;
        while let Some(mut batch) = parts.pop() {
            batch.drop_hopeless();
            if batch.len() == 0 {
                continue;
            }
            let error = match self.attempt(&mut batch, &mut kept).await {
                Ok(committed) => {
                    self.tell(&committed);
                    batch.answer(committed);
                    continue;
                }
                Err(error) => error,
            };
            let fault = fault_of(&error);
            fault.judge(&error, &mut kept, &self.database);
            match fault {
                Fault::Row if batch.len() > 1 => parts.extend(batch.halve()),
                Fault::Held | Fault::Slow
                    if batch.len() > 1 && search.get_or_insert_with(Instant::now).elapsed() < SEARCH =>
                {
                    parts.extend(batch.halve());
                }
                // A fault that trying again does not mend.
                Fault::Row => batch.fail(&StoreError::Corrupt(error.to_string())),
                Fault::Connection if batch.losses() < MAX_LOSSES => parts.push(batch.lost(error)),
                // What may be committed already is worth a wait for the database.
                Fault::NoConnection if (1..MAX_LOSSES).contains(&batch.losses()) => {
                    parts.push(batch.lost(error));
                }
                Fault::Conflict if batch.conflicts() < MAX_CONFLICTS => parts.push(batch.again()),
                Fault::Held
                | Fault::Slow
                | Fault::Conflict
                | Fault::Connection
                | Fault::NoConnection
                | Fault::Database => batch.fail(&error),
            }
        }
        kept
    }
}

impl Writer {
    async fn attempt(&self, batch: &mut Batch, kept: &mut Option<Session>) -> Result<Committed, StoreError> {
        let session = match kept {
            Some(session) => session,
            None => {
                let session = self.database.writer().await?;
                // That may have taken a while.
                batch.drop_hopeless();
                kept.insert(session)
            }
        };
        within(UNIT_TIMEOUT, attempt(session, batch)).await
    }

    fn tell(&self, committed: &Committed) {
        self.commits.count(committed.rows);
        if committed.is_pending {
            self.pending.notify_one();
        }
    }
}

/// One column of rows: what PostgreSQL takes as one value, however many rows there are.
pub(super) fn column<'r, R, V>(rows: &'r [R], value: impl Fn(&'r R) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}
