//! The layers around a call, as one piece: see `call`, which is their list.

mod attempt;
mod first;
mod progress;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Status;
use tower::Service;

pub use attempt::Attempt;
pub(crate) use attempt::Failed;
use attempt::Try;
use first::First;
use progress::Progress;

use crate::batch::{Lines, Seat, Shared};
use crate::breaker::Permit;
use crate::caller::Caller;
use crate::deadline::AttemptTime;
use crate::endpoints::{Endpoint, Nowhere, Tried, Wanted};
use crate::hedge::Latencies;
use crate::outcome::{Again, Kind, Pushback};
use crate::refusal::{CallError, Cause, Refusal};
use crate::retry::{Circumstances, Next, Retries};

/// Makes the client of an endpoint; it is to connect when it is first used.
pub type Connect<S> = Arc<dyn Fn(SocketAddr) -> S + Send + Sync>;

/// A service's client on one runtime: connections of its own, and everything else shared with the other runtimes. Clones
/// share the connections too.
pub struct Stack<S> {
    caller: Arc<Caller>,
    connect: Connect<S>,
    clients: Arc<Mutex<Vec<(u64, S)>>>,
}

/// Whether the peer is asked to wait before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Usual,
    Waits,
}

/// Where an attempt goes: which endpoint, what of its client, and its breaker's permit.
struct Way<'a, S> {
    endpoint: &'a Endpoint,
    client: S,
    permit: Permit<'a>,
}

// === impl Stack ===

impl<S: Clone> Stack<S> {
    /// On the runtime that uses it.
    #[must_use]
    pub fn new(caller: Arc<Caller>, connect: Connect<S>) -> Self {
        Self { caller, connect, clients: Arc::default() }
    }

    /// What its calls share with those of other runtimes.
    #[must_use]
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Calls, until `callers_deadline` at most. Dropping the future ends all that it began.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn call<Q, A>(&self, message: Q, callers_deadline: Option<Instant>) -> Result<A, CallError>
    where
        Q: Clone,
        S: Service<Attempt<Q>, Response = A, Error = Status>,
    {
        self.call_as(message, callers_deadline, Patience::Usual, None).await
    }

    /// The same for a message that asks the peer to wait for something: how long an answer takes then speaks neither for
    /// nor against an endpoint.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn call_and_wait<Q, A>(
        &self,
        message: Q,
        callers_deadline: Option<Instant>,
    ) -> Result<A, CallError>
    where
        Q: Clone,
        S: Service<Attempt<Q>, Response = A, Error = Status>,
    {
        self.call_as(message, callers_deadline, Patience::Waits, None).await
    }

    pub(crate) async fn call_as<Q, A>(
        &self,
        message: Q,
        callers_deadline: Option<Instant>,
        patience: Patience,
        lines: Option<&Arc<Lines<Q, A>>>,
    ) -> Result<A, CallError>
    where
        Q: Clone,
        S: Service<Attempt<Q>, Response = A, Error = Status>,
    {
        let caller = &*self.caller;
        caller.counts.calls.fetch_add(1, Ordering::Relaxed);
        let mut now = Instant::now();

        // 1. The overall deadline: what the caller leaves, and never more than the cap.
        let time = caller.settings.deadline.call(now, callers_deadline);

        // 2. The bulkhead: no queue.
        let mut progress = Progress::new(time, patience, Retries::new(caller.settings.retry));
        let Some(_place) = caller.bulkhead.enter() else {
            return Err(self.ended(progress, Refusal::Full, None));
        };

        // 3. Retry and hedge: one attempt counter, one budget.
        loop {
            // Without a retry to come, or with one that could not be paid, this is the last.
            let is_last = progress.retries.is_last()
                || caller.budget.tokens() == 0
                || (patience == Patience::Waits && caller.endpoints.current().len() <= 1);
            let Some(attempt_time) = time.attempt(now, is_last) else {
                return Err(self.ended(progress, Refusal::NoTime, None));
            };
            // 4. to 9.: an endpoint, its line, its breaker, and an attempt within its time, whose outcome is told to both.
            let failed = match self.attempts(&message, &mut progress, attempt_time, now, lines).await {
                Ok(answer) => return Ok(answer),
                Err(End::Nowhere(nowhere)) => return Err(self.nowhere(progress, nowhere)),
                Err(End::NotLetThrough) => {
                    now = Instant::now();
                    continue;
                }
                Err(End::Failed(failed)) => failed,
            };
            now = Instant::now();
            match self.next(&mut progress, &failed, now) {
                Next::Stop(stop) => {
                    caller.counts.stopped(stop);
                    progress.last_failure = Some(failed.cause);
                    let asked = failed.meaning.pushback.map(Pushback::pause);
                    let retry_after = asked.or_else(|| caller.endpoints.retry_after(now));
                    return Err(self.ended(progress, Refusal::NoTime, retry_after));
                }
                Next::Attempt { pause, elsewhere, charged } => {
                    if charged {
                        caller.counts.retried(failed.meaning.kind);
                    } else {
                        caller.counts.resends.fetch_add(1, Ordering::Relaxed);
                    }
                    progress.elsewhere = elsewhere;
                    progress.last_failure = Some(failed.cause);
                    if !pause.is_zero() {
                        sleep(pause).await;
                        now = Instant::now();
                    }
                }
            }
        }
    }

    /// One attempt, or two side by side.
    async fn attempts<Q, A>(
        &self,
        message: &Q,
        progress: &mut Progress,
        time: AttemptTime,
        now: Instant,
        lines: Option<&Arc<Lines<Q, A>>>,
    ) -> Result<A, End>
    where
        Q: Clone,
        S: Service<Attempt<Q>, Response = A, Error = Status>,
    {
        let caller = &*self.caller;
        loop {
            // 4. The endpoint.
            let may_probe = time.timeout >= caller.settings.judged_from;
            let wanted = Wanted { tried: &progress.tried, elsewhere: progress.elsewhere, may_probe };
            let endpoint = caller.endpoints.pick(wanted, now).map_err(End::Nowhere)?;
            // 5. Its line, where calls go together. Who stands in it is waited for, too.
            let _waiting = endpoint.load.begin();
            let seat = lines
                .filter(|_| !progress.alone)
                .map(|lines| lines.enter(&endpoint, || message.clone(), time));
            // 6. Its breaker. If somebody was faster it now looks as closed as it is, and is not picked again.
            let first = match seat {
                Some(Seat::Behind(answer)) => First::Together(answer),
                None | Some(Seat::First(_)) => {
                    let Some(way) = self.way(&endpoint, now) else { continue };
                    let turn = seat.and_then(Seat::into_turn);
                    First::Alone(self.attempt(way, progress, time, now), turn)
                }
            };
            progress.begin(&endpoint, &caller.budget);
            let wait = caller.latencies.as_ref().and_then(Latencies::wait);
            let floor = caller.settings.deadline.floor;
            let may_hedge = !progress.retries.is_last();
            let ended = match wait.filter(|wait| may_hedge && *wait + floor <= time.timeout) {
                None => first.run(message, caller, time).await,
                // In a box: it is rare, and every call would carry its size.
                Some(wait) => Box::pin(self.hedged(message, progress, first, wait, time)).await,
            };
            return match ended {
                Some(ended) => ended.map_err(End::Failed),
                None => {
                    progress.unbegin();
                    Err(End::NotLetThrough)
                }
            };
        }
    }

    /// One attempt for several calls; `None`: the breaker does not let it through.
    pub(crate) async fn attempt_together<B, A>(
        &self,
        endpoint: &Endpoint,
        message: B,
        calls: usize,
        time: AttemptTime,
        begun: Instant,
    ) -> Shared<A>
    where
        S: Service<Attempt<B>, Response = A, Error = Status>,
    {
        let way = self.way(endpoint, begun)?;
        self.caller.counts.batches.fetch_add(1, Ordering::Relaxed);
        self.caller.counts.batched.fetch_add(calls as u64, Ordering::Relaxed);
        let patience = Patience::Usual;
        let attempt = Try { caller: &self.caller, way, time, begun, previous_attempts: 0, patience };
        Some(attempt.run(message).await)
    }

    fn attempt<'a>(
        &'a self,
        way: Way<'a, S>,
        progress: &Progress,
        time: AttemptTime,
        begun: Instant,
    ) -> Try<'a, S> {
        let Progress { patience, attempts: previous_attempts, .. } = *progress;
        Try { caller: &self.caller, way, time, begun, previous_attempts, patience }
    }

    /// To an endpoint, if its breaker lets the attempt through.
    fn way<'a>(&self, endpoint: &'a Endpoint, now: Instant) -> Option<Way<'a, S>> {
        let permit = endpoint.breaker.acquire(now).ok()?;
        Some(Way { endpoint, client: self.client(endpoint), permit })
    }

    /// The client of an endpoint on this runtime; those of endpoints that are gone are dropped when a new one is made.
    fn client(&self, endpoint: &Endpoint) -> S {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(id, _)| *id == endpoint.id) {
            return client.clone();
        }
        let current = self.caller.endpoints.current();
        clients.retain(|(id, _)| current.iter().any(|endpoint| endpoint.id == *id));
        let client = (self.connect)(endpoint.address);
        clients.push((endpoint.id, client.clone()));
        client
    }

    fn next(&self, progress: &mut Progress, failed: &Failed, now: Instant) -> Next {
        let caller = &*self.caller;
        let around = Circumstances {
            now,
            now_ns: caller.age_ns(now),
            time: &progress.time,
            others: caller.endpoints.has_other(&progress.tried, now),
            anywhere: caller.endpoints.has_other(&Tried::new(), now),
            chance: caller.random.fraction(),
        };
        let mut meaning = failed.meaning;
        let may_be_anothers = matches!(meaning.kind, Kind::Failed | Kind::Answered) && failed.in_company;
        if may_be_anothers && meaning.again == Again::No {
            // What was wrong may be another call's. By itself this one finds out, and pays for it like for any retry: the
            // peer has worked for it once already.
            progress.alone = true;
            meaning.again = Again::Yes;
        }
        progress.retries.next(&meaning, &caller.budget, around)
    }

    fn nowhere(&self, progress: Progress, nowhere: Nowhere) -> CallError {
        match nowhere {
            Nowhere::Empty => self.ended(progress, Refusal::NoEndpoints, None),
            Nowhere::Closed { retry_after } => self.ended(progress, Refusal::AllOpen, Some(retry_after)),
        }
    }

    /// A call that ends with what its last attempt came to, or, if there was none, refused.
    fn ended(&self, progress: Progress, refusal: Refusal, retry_after: Option<Duration>) -> CallError {
        let cause = progress.last_failure.unwrap_or_else(|| {
            self.caller.counts.refused(refusal);
            Cause::Refused(refusal)
        });
        // Zero means that some endpoint takes calls: when one will be answered is not known.
        let retry_after = retry_after.filter(|retry_after| !retry_after.is_zero());
        let out_of_callers_time = progress.time.is_callers_and_over(Instant::now());
        let attempts = progress.attempts;
        CallError { cause, attempts, retry_after, out_of_callers_time }
    }
}

/// Why an attempt, or two, brought no answer.
enum End {
    Nowhere(Nowhere),
    /// It waited for others, and when its turn came the breaker had opened, or no time was left: nothing was sent.
    NotLetThrough,
    Failed(Failed),
}

impl<S> Clone for Stack<S> {
    fn clone(&self) -> Self {
        Self {
            caller: Arc::clone(&self.caller),
            connect: Arc::clone(&self.connect),
            clients: Arc::clone(&self.clients),
        }
    }
}

impl<S> std::fmt::Debug for Stack<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").field("caller", &self.caller).finish_non_exhaustive()
    }
}
