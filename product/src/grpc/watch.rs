//! WatchChanges: the feed as a stream, a checkpoint wherever it is whole.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chassis::clock;
use chassis::shutdown::Shutdown;
use chassis::status::Failure;
use deliverability::Timestamp;
use futures_util::Stream;
use proto::product::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::Status;

use super::render;
use super::statuses::{draining, epoch_mismatch, revision_not_reached, unavailable};
use crate::index::Index;
use crate::revision::{Epoch, Head, Revision};
use crate::store::{Cursor, Entry, Page, Store};

/// Streams at once in one process: each costs a few queries for each revision.
const MAX_WATCHES: usize = 256;
/// When to come again where there are too many.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Changes in one message: about 200 kB.
const MESSAGE_CHANGES: u32 = 1_000;
/// How often a checkpoint is sent when nothing changes: tells the watcher that both are alive.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
/// Messages made and not yet sent: one under way while the next is read.
const MESSAGES_AHEAD: usize = 1;

type Message = Result<wire::WatchChangesResponse, Status>;

/// The WatchChanges streams of a process: how many there may be, and when all must end.
#[derive(Clone)]
pub struct Watches {
    permits: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// One stream.
pub struct Changes {
    messages: mpsc::Receiver<Message>,
    _permit: OwnedSemaphorePermit,
}

struct Watch {
    store: Store,
    index: Arc<Index>,
    epoch: Epoch,
    read_upto: Cursor,
    messages: mpsc::Sender<Message>,
}

// === impl Changes ===

impl Stream for Changes {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.messages.poll_recv(context)
    }
}

// === impl Watches ===

impl Watches {
    /// No stream yet; all end when the shutdown starts.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_WATCHES)), shutdown }
    }

    pub(super) async fn start(
        &self,
        store: Store,
        index: Arc<Index>,
        after: Option<Head>,
    ) -> Result<Changes, Status> {
        index.read().map_err(|why| unavailable(&why))?;
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let permit =
            permit.map_err(|_| Failure::overloaded("too many watch the catalogue already", RETRY_AFTER))?;
        let head = store.head().await.map_err(Failure::from)?;
        let from = after.unwrap_or(Head { epoch: head.epoch, revision: Revision::ZERO });
        if from.epoch != head.epoch {
            return Err(epoch_mismatch().into());
        }
        if from.revision > head.revision {
            return Err(revision_not_reached(head).into());
        }
        let (sender, messages) = mpsc::channel(MESSAGES_AHEAD);
        let read_upto = Cursor::after(from.revision);
        let watch = Watch { store, index, epoch: head.epoch, read_upto, messages: sender };
        tokio::spawn(watch.run(self.shutdown.clone()));
        Ok(Changes { messages, _permit: permit })
    }
}

// === impl Watch ===

impl Watch {
    /// Sends until the watcher is gone or something ends the stream, and says what.
    async fn run(mut self, shutdown: Shutdown) {
        let messages = self.messages.clone();
        let ended = tokio::select! {
            ended = self.send_changes() => ended,
            () = shutdown.started() => Some(draining()),
            () = messages.closed() => None,
        };
        if let Some(failure) = ended {
            // Nobody listens any more if this fails.
            let _ = messages.send(Err(failure.into())).await;
        }
    }

    async fn send_changes(&mut self) -> Option<Failure> {
        let mut published = self.index.subscribe();
        loop {
            published.mark_unchanged();
            if let Err(failure) = self.send_to_checkpoint().await {
                return failure;
            }
            // The index hears of every commit, also of other processes': so does the watcher.
            let _ = tokio::time::timeout(CHECKPOINT_EVERY, published.changed()).await;
        }
    }

    /// `Err(None)`: the watcher is gone.
    async fn send_to_checkpoint(&mut self) -> Result<(), Option<Failure>> {
        loop {
            let asked_at = Timestamp::from_unix_micros(clock::unix_micros()).ok();
            let page =
                self.store.feed(self.read_upto, MESSAGE_CHANGES).await.map_err(|error| Some(error.into()))?;
            // A database that was restored and not released yet is nobody's truth.
            self.index.read().map_err(|why| Some(unavailable(&why)))?;
            if page.head.epoch != self.epoch || page.head.revision < self.read_upto.revision() {
                return Err(Some(epoch_mismatch()));
            }
            let (head, complete) = (page.head, page.complete);
            self.read_upto = page.end().unwrap_or(self.read_upto);
            let mut message = changes(page);
            if complete {
                let as_of_time = asked_at.map(render::timestamp);
                message.checkpoint = Some(wire::Checkpoint { revision: head.token(), as_of_time });
            }
            self.messages.send(Ok(message)).await.map_err(|_| None)?;
            if complete {
                return Ok(());
            }
        }
    }
}

fn changes(page: Page) -> wire::WatchChangesResponse {
    let epoch = page.head.epoch;
    let changes = page.changes.into_iter().map(|Entry { cursor, change, .. }| wire::Change {
        object: Some(render::change(change)),
        revision: Head { epoch, revision: cursor.revision() }.token(),
    });
    wire::WatchChangesResponse { changes: changes.collect(), checkpoint: None }
}
