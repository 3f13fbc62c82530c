//! Natural batching: what queues up while one batch is under way is the next one. Nobody waits for a batch to fill.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chassis::database::{Session, StoreError};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::timeout;

/// Most entries in one batch: a few milliseconds of a database's time, and fewer values than one statement may have
/// (SQLite: 32,766).
pub(super) const MAX_BATCH: usize = 1_024;
/// Most entries that wait for their batch: what some batches take is soon done, and what waits longer is better sent
/// again.
const MAX_QUEUED: usize = 4 * MAX_BATCH;
/// Batches in a row on one connection. It is given back after that many, so that others get their turn on SQLite's one
/// writer.
const MAX_TURNS: u32 = 16;
/// How long a connection is kept for what may come next. Callers that got their answers often send more at once, and
/// giving a connection back takes a round trip.
const KEEP: Duration = Duration::from_millis(1);

/// Entries on their way to their batch. Clones share it; the batches end with the last clone.
#[derive(Debug)]
pub(super) struct Queue<E>(Sender<E>);

/// What is done with a batch.
pub(super) trait Work: Send + Sync + 'static {
    /// What queues up.
    type Entry: Send + 'static;

    /// Works on a batch to its end, answers included, on the connection of the batch before if that is still there.
    /// Gives back the connection, unless there is none worth keeping.
    fn work(
        &self,
        entries: Vec<Self::Entry>,
        session: Option<Session>,
    ) -> impl Future<Output = Option<Session>> + Send;
}

// === impl Queue ===

impl<E: Send + 'static> Queue<E> {
    /// A queue whose entries are worked on, one batch at a time, on the store's runtime.
    pub(super) fn start(runtime: &Handle, work: impl Work<Entry = E>) -> Self {
        let (queue, entries) = mpsc::channel(MAX_QUEUED);
        runtime.spawn(run(entries, Arc::new(work)));
        Self(queue)
    }

    /// Adds one, for the batch after the one that is under way.
    ///
    /// # Errors
    /// Too many wait.
    pub(super) fn push(&self, entry: E) -> Result<(), StoreError> {
        self.0.try_send(entry).map_err(|_| StoreError::Overloaded)
    }
}

impl<E> Clone for Queue<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

async fn run<W: Work>(mut queue: Receiver<W::Entry>, work: Arc<W>) {
    let (mut kept, mut turns): (Option<Session>, u32) = (None, 0);
    loop {
        let mut entries = Vec::new();
        if kept.is_some() && timeout(KEEP, queue.recv_many(&mut entries, MAX_BATCH)).await.is_err() {
            (kept, turns) = (None, 0);
        }
        if entries.is_empty() && queue.recv_many(&mut entries, MAX_BATCH).await == 0 {
            return;
        }
        turns += 1;
        let (work, session) = (Arc::clone(&work), kept.take());
        // In a task of its own, so that one that panics ends with its batch, whose callers then hear nothing.
        let batch = tokio::spawn(async move { work.work(entries, session).await });
        kept = batch.await.unwrap_or_default().filter(|_| turns < MAX_TURNS);
        if kept.is_none() {
            turns = 0;
        }
    }
}
