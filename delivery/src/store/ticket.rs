//! The way back from a batch to one caller.

use chassis::database::StoreError;
use tokio::sync::oneshot::{self, Receiver, Sender};

/// Where one answer goes.
#[derive(Debug)]
pub(super) struct Ticket<T, E = StoreError>(Sender<Result<T, E>>);

/// The caller's end of a ticket.
pub(super) struct Answer<T, E = StoreError>(Receiver<Result<T, E>>);

// === impl Ticket ===

impl<T, E> Ticket<T, E> {
    pub(super) fn new() -> (Self, Answer<T, E>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), Answer(receiver))
    }

    /// Whether anybody still waits for the answer.
    pub(super) fn is_wanted(&self) -> bool {
        !self.0.is_closed()
    }

    /// Gives the answer. A caller that gave up does not get it.
    pub(super) fn answer(self, answer: Result<T, E>) {
        drop(self.0.send(answer));
    }
}

// === impl Answer ===

impl<T, E: From<StoreError>> Answer<T, E> {
    /// The answer; an error if the batch ended without one.
    pub(super) async fn wait(self) -> Result<T, E> {
        let none = |_| Err(StoreError::Corrupt("a batch ended without its answers".to_owned()).into());
        self.0.await.unwrap_or_else(none)
    }
}
