//! One attempt on one endpoint: within its time, and told to whoever judges the endpoint.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};
use tower::Service;

use super::{Patience, Way};
use crate::breaker::{CallEnd, Permit};
use crate::caller::Caller;
use crate::deadline::AttemptTime;
use crate::endpoints::Endpoint;
use crate::outcome::{Again, Evidence, Kind, Meaning};
use crate::refusal::Cause;

/// How often a request was sent before, for the peer to see; gRPC's retry design names it.
const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";

/// What an endpoint's client is asked.
#[derive(Clone, Debug)]
pub struct Attempt<Q> {
    /// The message.
    pub message: Q,
    /// How long the peer has.
    pub timeout: Duration,
    /// Attempts of this call before this one.
    pub previous_attempts: u32,
    /// Whether the endpoint's breaker is HALF_OPEN, and this is to find out. Else it is CLOSED.
    pub is_probe: bool,
}

/// One attempt that is about to be made.
pub(super) struct Try<'a, S> {
    pub(super) caller: &'a Caller,
    pub(super) way: Way<'a, S>,
    pub(super) time: AttemptTime,
    pub(super) begun: Instant,
    pub(super) previous_attempts: u32,
    pub(super) patience: Patience,
}

/// An attempt without an answer.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) meaning: Meaning,
    pub(crate) cause: Cause,
    /// Whether it was made for other calls too.
    pub(crate) in_company: bool,
}

/// Counts an attempt as cancelled, unless it ended, and keeps what is known of how long it would have taken.
struct Ending<'a> {
    caller: &'a Caller,
    /// `None` once it ended.
    endpoint: Option<&'a Endpoint>,
    begun: Instant,
}

// === impl Attempt ===

impl<Q> Attempt<Q> {
    /// The request with what the peer is told of the attempt: how long it has, and whether it is a repeated one.
    #[must_use]
    pub fn into_request<M>(self, message: impl FnOnce(Q) -> M) -> Request<M> {
        let mut request = Request::new(message(self.message));
        request.set_timeout(self.timeout);
        if self.previous_attempts > 0 {
            request.metadata_mut().insert(PREVIOUS_ATTEMPTS, MetadataValue::from(self.previous_attempts));
        }
        request
    }
}

// === impl Try ===

impl<S> Try<'_, S> {
    pub(super) async fn run<Q, A>(self, message: Q) -> Result<A, Failed>
    where
        S: Service<Attempt<Q>, Response = A, Error = Status>,
    {
        let Self {
            caller,
            way: Way { endpoint, mut client, mut permit },
            time,
            begun,
            previous_attempts,
            patience,
        } = self;
        let mut ending = Ending { caller, endpoint: Some(endpoint), begun };
        let is_probe = permit.is_probe();
        let attempt = Attempt { message, timeout: time.timeout, previous_attempts, is_probe };
        let answering = async {
            poll_fn(|cx| client.poll_ready(cx)).await?;
            client.call(attempt).await
        };
        let waits = patience == Patience::Waits;
        let slow = endpoint.breaker.slow().filter(|_| !waits);
        let answered = within(answering, &mut permit, slow.map(|slow| begun + slow), time.until).await;

        let (now, in_flight) = (Instant::now(), endpoint.load.in_flight());
        ending.endpoint = None;
        let outcome = match answered {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(status)) => Err(caller.failed(status, &time)),
            None => Err(caller.timed_out(&time)),
        };
        let meaning = outcome.as_ref().map_or_else(|failed| failed.meaning, |_| Meaning::SUCCESS);
        if waits && meaning.evidence == Evidence::Success {
            endpoint.count(meaning.kind);
            permit.finish(CallEnd::Success, Duration::ZERO, now);
        } else {
            caller.judge(endpoint, permit, meaning, now - begun, in_flight, now);
        }
        outcome
    }
}

/// The answer, unless it takes too long; when it has become slow the breaker is told. An answer that is ready at once costs
/// no timer.
async fn within<A>(
    answering: impl Future<Output = Result<A, Status>>,
    permit: &mut Permit<'_>,
    slow_at: Option<Instant>,
    until: Instant,
) -> Option<Result<A, Status>> {
    let mut answering: Pin<&mut _> = pin!(answering);
    if let Poll::Ready(answer) = poll_fn(|cx| Poll::Ready(answering.as_mut().poll(cx))).await {
        return Some(answer);
    }
    if let Some(slow_at) = slow_at.filter(|slow_at| *slow_at < until) {
        match timeout_at(slow_at, answering.as_mut()).await {
            Ok(answer) => return Some(answer),
            Err(_) => permit.note_slow(Instant::now()),
        }
    }
    timeout_at(until, answering).await.ok()
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some(endpoint) = self.endpoint {
            endpoint.count(Kind::Cancelled);
            let now = Instant::now();
            self.caller.note_at_least(endpoint, now - self.begun, now);
        }
    }
}

// === impl Caller ===

impl Caller {
    pub(crate) fn failed(&self, status: Status, time: &AttemptTime) -> Failed {
        let meaning = (self.settings.classify)(&status);
        if meaning.evidence == Evidence::TimedOut {
            // The peer, or tonic, noticed before this side's own timer.
            return self.timed_out(time);
        }
        if meaning.again == Again::Unsent {
            self.endpoints.note_lost_connection();
        }
        Failed { meaning, cause: Cause::Failed(status), in_company: false }
    }

    pub(super) fn timed_out(&self, time: &AttemptTime) -> Failed {
        let hurried = time.timeout < self.settings.judged_from;
        let meaning = if hurried { Meaning::HURRIED } else { Meaning::TIMED_OUT };
        Failed { meaning, cause: Cause::TimedOut, in_company: false }
    }

    /// Tells everyone who wants to know how an endpoint did.
    fn judge(
        &self,
        endpoint: &Endpoint,
        permit: Permit<'_>,
        meaning: Meaning,
        took: Duration,
        in_flight: u64,
        now: Instant,
    ) {
        endpoint.count(meaning.kind);
        let end = match meaning.evidence {
            Evidence::Success => CallEnd::Success,
            Evidence::Failure => CallEnd::Failure,
            Evidence::TimedOut => CallEnd::SlowFailure,
            Evidence::FailsProbe if permit.is_probe() => CallEnd::Failure,
            Evidence::FailsProbe | Evidence::Neutral => CallEnd::Neutral,
        };
        permit.finish(end, took, now);
        // As long as a whole attempt, or failing fast would pay.
        let penalty = took.max(self.settings.deadline.attempt);
        match meaning.evidence {
            Evidence::Success => {
                self.measured(endpoint, took, in_flight, now);
                if self.settings.weighs {
                    endpoint.load.note(took, now);
                }
            }
            Evidence::TimedOut => {
                self.measured(endpoint, took, in_flight, now);
                endpoint.load.note(penalty, now);
            }
            Evidence::Failure | Evidence::FailsProbe => endpoint.load.note(penalty, now),
            Evidence::Neutral if meaning.kind == Kind::Hurried => self.note_at_least(endpoint, took, now),
            Evidence::Neutral => {}
        }
    }

    /// How long an answer took, or was waited for in vain.
    fn measured(&self, endpoint: &Endpoint, took: Duration, in_flight: u64, now: Instant) {
        if let Some(limit) = &endpoint.limit {
            limit.note(took, in_flight, now);
        }
        if let Some(latencies) = &self.latencies {
            latencies.note(took);
        }
    }

    /// Nobody waited for the end of an attempt, but so long it lasted.
    fn note_at_least(&self, endpoint: &Endpoint, took: Duration, now: Instant) {
        if self.settings.weighs {
            endpoint.load.note_at_least(took, now);
        }
        if let Some(latencies) = &self.latencies {
            latencies.note(took);
        }
    }
}
