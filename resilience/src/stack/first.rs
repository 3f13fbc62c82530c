//! An attempt by itself, with others, or with a second one beside it.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Status;
use tower::Service;

use super::Stack;
use super::attempt::{Attempt, Try};
use super::progress::Progress;
use crate::batch::{Shared, Turn};
use crate::caller::Caller;
use crate::deadline::AttemptTime;
use crate::endpoints::Wanted;

/// How a call makes an attempt.
pub(super) enum First<'a, S, Q, A> {
    /// By itself; with a turn those behind it wait for it.
    Alone(Try<'a, S>, Option<Turn<Q, A>>),
    /// With others.
    Together(oneshot::Receiver<Shared<A>>),
}

// === impl First ===

impl<S, Q, A> First<'_, S, Q, A>
where
    Q: Clone,
    S: Service<Attempt<Q>, Response = A, Error = Status>,
{
    pub(super) async fn run(self, message: &Q, caller: &Caller, time: AttemptTime) -> Shared<A> {
        match self {
            Self::Alone(attempt, None) => Some(attempt.run(message.clone()).await),
            Self::Alone(attempt, Some(turn)) => Some(turn.hold(attempt.run(message.clone())).await),
            // Its own time may be over before the others' is, which says nothing of the endpoint.
            Self::Together(answer) => match timeout_at(time.until, answer).await {
                Ok(Ok(shared)) => shared,
                Ok(Err(_)) | Err(_) => Some(Err(caller.timed_out(&time))),
            },
        }
    }
}

// === impl Stack ===

impl<S: Clone> Stack<S> {
    /// An attempt, and a second one on another endpoint if it takes long. The first answer wins; an error waits for the other.
    pub(super) async fn hedged<Q, A>(
        &self,
        message: &Q,
        progress: &mut Progress,
        first: First<'_, S, Q, A>,
        wait: Duration,
        time: AttemptTime,
    ) -> Shared<A>
    where
        Q: Clone,
        S: Service<Attempt<Q>, Response = A, Error = Status>,
    {
        let caller = &*self.caller;
        let mut first = pin!(first.run(message, caller, time));
        tokio::select! {
            biased;
            ended = first.as_mut() => return ended,
            () = sleep(wait) => {}
        }
        let now = Instant::now();
        let timeout = time.until.saturating_duration_since(now);
        let may_probe = timeout >= caller.settings.judged_from;
        let wanted = Wanted { tried: &progress.tried, elsewhere: true, may_probe };
        let Ok(endpoint) = caller.endpoints.pick(wanted, now) else { return first.await };
        let Some(way) = self.way(&endpoint, now) else { return first.await };
        if !caller.budget.withdraw(caller.age_ns(now)) {
            drop(way);
            return first.await;
        }
        let _waiting = endpoint.load.begin();
        progress.tried.push(endpoint.id);
        progress.retries.note_hedge();
        caller.counts.hedges.fetch_add(1, Ordering::Relaxed);
        let time = AttemptTime { until: time.until, timeout };
        let second = self.attempt(way, progress, time, now);
        progress.attempts += 1;
        let mut second = pin!(second.run(message.clone()));
        let (ended, is_second) = tokio::select! {
            ended = first.as_mut() => (ended, false),
            ended = second.as_mut() => (Some(ended), true),
        };
        let (ended, won) = match (ended, is_second) {
            (Some(Ok(answer)), is_second) => (Some(Ok(answer)), is_second),
            (ended, true) => (first.await.or(ended), false),
            (_, false) => (Some(second.await), true),
        };
        if won && matches!(ended, Some(Ok(_))) {
            caller.counts.hedges_won.fetch_add(1, Ordering::Relaxed);
        }
        ended
    }
}
