//! Natural batching: calls that come while one is in flight to an endpoint go together in the next.
//!
//! Where nothing is in flight a call goes at once and by itself. All this lies between the choice of an endpoint and its
//! breaker: a batch is one attempt for the breaker, and each of its calls goes on by itself with what the batch came to,
//! within its own deadline and at its own cost to the budget.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tower::Service;

use crate::caller::Caller;
use crate::deadline::AttemptTime;
use crate::endpoints::Endpoint;
use crate::refusal::CallError;
use crate::stack::{Attempt, Failed, Patience, Stack};

/// How calls go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// Most calls in one batch; what waits beyond that goes in the one after it.
    pub max_calls: usize,
    /// How long calls wait for one that is in flight: an answer that does not come must hold nobody up.
    pub patience: Duration,
}

/// What a batch is answered: an answer for each of its calls, in their order, or why that one has none.
pub type Answers<A> = Vec<Result<A, Status>>;

/// A `Stack` whose calls go together. Clones share what waits.
pub struct Batching<S, Q, A> {
    stack: Stack<S>,
    lines: Arc<Lines<Q, A>>,
}

/// What a batch came to for one of its calls; `None`: the breaker did not let it through, and nothing was sent.
pub(crate) type Shared<A> = Option<Result<A, Failed>>;

/// Where a call stands.
pub(crate) enum Seat<Q, A> {
    /// At the head: it goes by itself.
    First(Turn<Q, A>),
    /// In the line: it goes with the others.
    Behind(oneshot::Receiver<Shared<A>>),
}

/// The right to send, and, when it is dropped, the duty to let the next ones go.
pub(crate) struct Turn<Q, A> {
    lines: Arc<Lines<Q, A>>,
    line: Arc<Line<Q, A>>,
}

type SendLine<Q, A> = Box<dyn Fn(Arc<Lines<Q, A>>, Arc<Line<Q, A>>) + Send + Sync>;

/// The lines of one stack, one for each endpoint.
pub(crate) struct Lines<Q, A> {
    settings: BatchSettings,
    caller: Arc<Caller>,
    lines: Mutex<Vec<Arc<Line<Q, A>>>>,
    /// Sends what waits in a line, in a task of its own: any of the callers may give up.
    send: SendLine<Q, A>,
}

/// The calls of one runtime to one endpoint. The bulkhead, which lies outside, bounds those that somebody waits for.
pub(crate) struct Line<Q, A> {
    endpoint: Arc<Endpoint>,
    queue: Mutex<Queue<Q, A>>,
}

struct Queue<Q, A> {
    /// Whether somebody has the turn.
    is_taken: bool,
    waiting: Vec<Member<Q, A>>,
}

/// A call that waits.
struct Member<Q, A> {
    message: Q,
    until: Instant,
    answer: oneshot::Sender<Shared<A>>,
}

// === impl Batching ===

impl<S, Q, A> Batching<S, Q, A>
where
    S: Clone + Send + Sync + 'static,
    Q: Clone + Send + 'static,
    A: Send + 'static,
{
    /// Calls go over `stack`, several of them as one `B`.
    #[must_use]
    pub fn new<B>(stack: Stack<S>, settings: BatchSettings) -> Self
    where
        B: From<Vec<Q>> + Send + 'static,
        S: Service<Attempt<B>, Response = Answers<A>, Error = Status, Future: Send>,
    {
        let sender = stack.clone();
        let send = move |lines: Arc<Lines<Q, A>>, line| {
            let stack = sender.clone();
            // The turn begins inside the task: a runtime that ends drops the task before, and nobody is left to be sent.
            let sending = async move { Turn { lines, line }.send_batch::<S, B>(&stack).await };
            if let Ok(runtime) = Handle::try_current() {
                drop(runtime.spawn(sending));
            }
        };
        let settings = BatchSettings { max_calls: settings.max_calls.max(1), ..settings };
        let caller = Arc::clone(stack.caller());
        let lines = Lines { settings, caller, lines: Mutex::default(), send: Box::new(send) };
        Self { stack, lines: Arc::new(lines) }
    }

    /// Calls, until `callers_deadline` at most. Dropping the future ends the call, and no other.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn call(&self, message: Q, callers_deadline: Option<Instant>) -> Result<A, CallError>
    where
        S: Service<Attempt<Q>, Response = A, Error = Status>,
    {
        self.stack.call_as(message, callers_deadline, Patience::Usual, Some(&self.lines)).await
    }
}

impl<S, Q, A> Clone for Batching<S, Q, A> {
    fn clone(&self) -> Self {
        Self { stack: self.stack.clone(), lines: Arc::clone(&self.lines) }
    }
}

impl<S, Q, A> std::fmt::Debug for Batching<S, Q, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batching").field("settings", &self.lines.settings).finish_non_exhaustive()
    }
}

// === impl Lines ===

impl<Q, A> Lines<Q, A> {
    /// Takes the turn at an endpoint, or stands in the line.
    pub(crate) fn enter(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        message: impl FnOnce() -> Q,
        time: AttemptTime,
    ) -> Seat<Q, A> {
        let line = self.line(endpoint);
        let mut queue = line.queue();
        if !queue.is_taken {
            queue.is_taken = true;
            drop(queue);
            return Seat::First(Turn { lines: Arc::clone(self), line });
        }
        let (answer, answered) = oneshot::channel();
        queue.waiting.push(Member { message: message(), until: time.until, answer });
        // A whole batch need not wait for its turn.
        let is_whole = queue.waiting.len().is_multiple_of(self.settings.max_calls);
        drop(queue);
        if is_whole {
            (self.send)(Arc::clone(self), line);
        }
        Seat::Behind(answered)
    }

    /// Lines to endpoints that are gone are dropped when a new one is made; who stands in them is still sent.
    fn line(&self, endpoint: &Arc<Endpoint>) -> Arc<Line<Q, A>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.iter().find(|line| line.endpoint.id == endpoint.id) {
            return Arc::clone(line);
        }
        let current = self.caller.endpoints.current();
        lines.retain(|line| current.iter().any(|endpoint| endpoint.id == line.endpoint.id));
        let queue = Queue { is_taken: false, waiting: Vec::new() };
        let line = Arc::new(Line { endpoint: Arc::clone(endpoint), queue: Mutex::new(queue) });
        lines.push(Arc::clone(&line));
        line
    }
}

// === impl Line ===

impl<Q, A> Line<Q, A> {
    fn queue(&self) -> MutexGuard<'_, Queue<Q, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch: those whose callers still wait and have the time for an attempt, which must last until then.
    fn next_batch(&self, max_calls: usize, at_least: Instant) -> Vec<Member<Q, A>> {
        let mut queue = self.queue();
        let is_hopeless = |member: &mut Member<Q, A>| member.answer.is_closed() || member.until < at_least;
        for hopeless in queue.waiting.extract_if(.., is_hopeless) {
            answer(hopeless.answer, None);
        }
        let count = queue.waiting.len().min(max_calls);
        let later = queue.waiting.split_off(count);
        std::mem::replace(&mut queue.waiting, later)
    }
}

// === impl Seat ===

impl<Q, A> Seat<Q, A> {
    pub(crate) fn into_turn(self) -> Option<Turn<Q, A>> {
        match self {
            Self::First(turn) => Some(turn),
            Self::Behind(_) => None,
        }
    }
}

// === impl Turn ===

impl<Q, A> Turn<Q, A> {
    /// Has the turn for as long as an attempt lasts, but no longer than patience does.
    pub(crate) async fn hold<T>(self, attempt: impl Future<Output = T>) -> T {
        let mut attempt = pin!(attempt);
        let patience = self.lines.settings.patience;
        tokio::select! {
            biased;
            ended = attempt.as_mut() => return ended,
            () = sleep(patience) => drop(self),
        }
        attempt.await
    }

    /// Sends what waits now, as one attempt whose time is that of the call which has the most.
    async fn send_batch<S, B>(self, stack: &Stack<S>)
    where
        S: Clone + Service<Attempt<B>, Response = Answers<A>, Error = Status>,
        B: From<Vec<Q>>,
    {
        let (now, caller) = (Instant::now(), stack.caller());
        let floor = caller.settings.deadline.floor;
        let members = self.line.next_batch(self.lines.settings.max_calls, now + floor);
        let Some(until) = members.iter().map(|member| member.until).max() else { return };
        let (messages, mut callers): (Vec<_>, Vec<_>) =
            members.into_iter().map(|member| (member.message, member.answer)).unzip();

        let time = AttemptTime { until, timeout: until - now };
        let (endpoint, count) = (Arc::clone(&self.line.endpoint), callers.len());
        let sending = self.hold(stack.attempt_together(&endpoint, B::from(messages), count, time, now));
        let sent = tokio::select! {
            biased;
            sent = sending => sent,
            () = nobody_waits(&mut callers) => return,
        };
        match sent {
            None => callers.into_iter().for_each(|caller| answer(caller, None)),
            Some(Ok(answers)) => {
                for (caller_of_one, answered) in callers.into_iter().zip(answers) {
                    let answered = answered.map_err(|status| caller.failed(status, &time));
                    answer(caller_of_one, Some(answered));
                }
            }
            Some(Err(failed)) => {
                let failed = Failed { in_company: count > 1, ..failed };
                callers.into_iter().for_each(|caller| answer(caller, Some(Err(failed.clone()))));
            }
        }
    }
}

impl<Q, A> Drop for Turn<Q, A> {
    fn drop(&mut self) {
        let mut queue = self.line.queue();
        queue.is_taken = !queue.waiting.is_empty();
        if queue.is_taken {
            drop(queue);
            (self.lines.send)(Arc::clone(&self.lines), Arc::clone(&self.line));
        }
    }
}

/// An error means that the caller gave up.
fn answer<A>(caller: oneshot::Sender<Shared<A>>, shared: Shared<A>) {
    let _ = caller.send(shared);
}

/// Ends when every caller has given up.
async fn nobody_waits<A>(callers: &mut [oneshot::Sender<Shared<A>>]) {
    for caller in callers {
        caller.closed().await;
    }
}
