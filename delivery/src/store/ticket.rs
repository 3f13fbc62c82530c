//! The way back from a batch to its callers.

use chassis::database::StoreError;
use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, Receiver, Sender};

/// Where one answer goes.
#[derive(Debug)]
pub(super) struct Ticket<T, E = StoreError> {
    caller: Sender<Result<T, E>>,
    /// Where the caller waits.
    runtime: Handle,
}

/// The caller's end of a ticket.
pub(super) struct Answer<T, E = StoreError>(Receiver<Result<T, E>>);

// === impl Ticket ===

impl<T, E> Ticket<T, E> {
    /// For a caller on the runtime that this is called on.
    pub(super) fn new() -> (Self, Answer<T, E>) {
        let (caller, receiver) = oneshot::channel();
        (Self { caller, runtime: Handle::current() }, Answer(receiver))
    }

    /// Whether anybody still waits for the answer.
    pub(super) fn is_wanted(&self) -> bool {
        !self.caller.is_closed()
    }

    /// Gives the answer. A caller that gave up does not get it.
    pub(super) fn answer(self, answer: Result<T, E>) {
        drop(self.caller.send(answer));
    }
}

/// Gives many answers, those of one runtime there and all at once. Given from here, each would wake its runtime by itself,
/// which then would write it out before the next one comes.
pub(super) fn answer_all<T, E>(answers: impl Iterator<Item = (Ticket<T, E>, Result<T, E>)>)
where
    T: Send + 'static,
    E: Send + 'static,
{
    let mut runtimes: Vec<(Handle, Vec<_>)> = Vec::new();
    for (ticket, answer) in answers {
        let id = ticket.runtime.id();
        match runtimes.iter_mut().find(|(runtime, _)| runtime.id() == id) {
            Some((_, answers)) => answers.push((ticket, answer)),
            None => runtimes.push((ticket.runtime.clone(), vec![(ticket, answer)])),
        }
    }
    for (runtime, answers) in runtimes {
        runtime.spawn(async move { answers.into_iter().for_each(|(ticket, answer)| ticket.answer(answer)) });
    }
}

// === impl Answer ===

impl<T, E: From<StoreError>> Answer<T, E> {
    /// The answer. A batch that ended without it may have been committed, or not.
    pub(super) async fn wait(self) -> Result<T, E> {
        let none = |_| {
            let ended = std::io::Error::other("a batch ended without its answers");
            Err(StoreError::from(sqlx::Error::Io(ended)).into())
        };
        self.0.await.unwrap_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_became_of_a_batch_that_ended_without_answers_is_not_known() {
        let (ticket, answer) = Ticket::<()>::new();
        drop(ticket);
        assert!(matches!(answer.wait().await, Err(StoreError::Silent(_))));
    }
}
