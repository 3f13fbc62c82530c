//! The layers around a call, as one piece: see `call`, which is their list.

mod attempt;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Status;
use tower::Service;

pub use attempt::Attempt;
use attempt::{Failed, Try};

use crate::breaker::Permit;
use crate::caller::Caller;
use crate::deadline::{AttemptTime, CallTime};
use crate::endpoints::{Endpoint, Nowhere, Tried, Wanted};
use crate::hedge::Latencies;
use crate::outcome::Pushback;
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

/// What a call carries from attempt to attempt.
struct Progress {
    time: CallTime,
    patience: Patience,
    retries: Retries,
    tried: Tried,
    attempts: u32,
    /// Whether the next attempt must be on an endpoint that was not tried.
    elsewhere: bool,
    last_failure: Option<Cause>,
}

/// Whether the peer is asked to wait before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
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
        self.call_as(message, callers_deadline, Patience::Usual).await
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
        self.call_as(message, callers_deadline, Patience::Waits).await
    }

    async fn call_as<Q, A>(
        &self,
        message: Q,
        callers_deadline: Option<Instant>,
        patience: Patience,
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
            // 4. to 8.: an endpoint, its breaker, and an attempt within its time, whose outcome is told to both.
            let failed = match self.attempts(&message, &mut progress, attempt_time, now).await {
                Ok(answer) => return Ok(answer),
                Err(End::Nowhere(nowhere)) => return Err(self.nowhere(progress, nowhere)),
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
    ) -> Result<A, End>
    where
        Q: Clone,
        S: Service<Attempt<Q>, Response = A, Error = Status>,
    {
        loop {
            // 4. The endpoint.
            let may_probe = time.timeout >= self.caller.settings.judged_from;
            let wanted = Wanted { tried: &progress.tried, elsewhere: progress.elsewhere, may_probe };
            let endpoint = self.caller.endpoints.pick(wanted, now).map_err(End::Nowhere)?;
            // 5. Its breaker. If somebody was faster it now looks as closed as it is, and is not picked again.
            let Some(way) = self.way(&endpoint, now) else { continue };
            progress.tried.push(endpoint.id);
            if progress.attempts == 0 {
                self.caller.budget.deposit();
            }
            let first = self.attempt(way, progress, time, now);
            progress.attempts += 1;
            let wait = self.caller.latencies.as_ref().and_then(Latencies::wait);
            let floor = self.caller.settings.deadline.floor;
            let may_hedge = !progress.retries.is_last();
            return match wait.filter(|wait| may_hedge && *wait + floor <= time.timeout) {
                None => first.run(message.clone()).await,
                Some(wait) => self.hedged(message, progress, first, wait, time).await,
            }
            .map_err(End::Failed);
        }
    }

    /// An attempt, and a second one on another endpoint if it takes long. The first answer wins; an error waits for the other.
    async fn hedged<Q, A>(
        &self,
        message: &Q,
        progress: &mut Progress,
        first: Try<'_, S>,
        wait: Duration,
        time: AttemptTime,
    ) -> Result<A, Failed>
    where
        Q: Clone,
        S: Service<Attempt<Q>, Response = A, Error = Status>,
    {
        let caller = &*self.caller;
        let mut first = pin!(first.run(message.clone()));
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
        progress.tried.push(endpoint.id);
        progress.retries.note_hedge();
        caller.counts.hedges.fetch_add(1, Ordering::Relaxed);
        let time = AttemptTime { until: time.until, timeout };
        let second = self.attempt(way, progress, time, now);
        progress.attempts += 1;
        let mut second = pin!(second.run(message.clone()));
        let (ended, is_second) = tokio::select! {
            ended = first.as_mut() => (ended, false),
            ended = second.as_mut() => (ended, true),
        };
        let (ended, won) = match (ended, is_second) {
            (Ok(answer), is_second) => (Ok(answer), is_second),
            (Err(_), true) => (first.await, false),
            (Err(_), false) => (second.await, true),
        };
        if won && ended.is_ok() {
            caller.counts.hedges_won.fetch_add(1, Ordering::Relaxed);
        }
        ended
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
        progress.retries.next(&failed.meaning, &caller.budget, around)
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

// === impl Progress ===

impl Progress {
    fn new(time: CallTime, patience: Patience, retries: Retries) -> Self {
        Self {
            time,
            patience,
            retries,
            tried: Tried::new(),
            attempts: 0,
            elsewhere: false,
            last_failure: None,
        }
    }
}
