//! What the end of an attempt means: for the breaker of its endpoint, and for a further attempt.
//!
//! The code alone does not say it. An answer that the peer gave has no source; what went wrong on the way has one, and it
//! tells whether the request was ever sent or processed.

use std::error::Error;
use std::time::Duration;

use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt;

/// How a server says when to come back, or, by anything but a number from 0 up, not to.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// What an attempt says of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It answers.
    Success,
    /// It does not.
    Failure,
    /// It did not within a time in which it should have.
    TimedOut,
    /// It can't take a probe; to a call that is none this says nothing.
    FailsProbe,
    /// Nothing.
    Neutral,
}

/// Whether a further attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It would end the same.
    No,
    /// Within the budget.
    Yes,
    /// Once a call, on another endpoint only; within the budget, unless nothing speaks against the endpoint.
    Elsewhere,
    /// The request was not processed: once a call it is sent again at once and uncharged.
    Unprocessed,
    /// No connection: once a call it is sent to another endpoint at once and uncharged.
    Unsent,
}

/// The end of an attempt, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// For the breaker.
    pub evidence: Evidence,
    /// For the retry.
    pub again: Again,
    /// How long the peer wants to be left alone before a further attempt; `None`: it does not say.
    pub pushback: Option<Pushback>,
    /// For the metrics.
    pub kind: Kind,
}

/// How long a peer wants to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushback {
    /// RetryInfo: when it may be able to answer. Another endpoint may be able to before.
    Hint(Duration),
    /// grpc-retry-pushback-ms: when the call may be tried again, wherever.
    Order(Duration),
}

/// How an attempt ended, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OK.
    Ok,
    /// Another code that an application chose.
    Answered,
    /// UNAVAILABLE.
    Unavailable,
    /// RESOURCE_EXHAUSTED.
    Overloaded,
    /// INTERNAL, UNKNOWN, DATA_LOSS.
    Failed,
    /// UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED.
    RefusedByPeer,
    /// Not within the attempt's time.
    TimedOut,
    /// Not within less than that, which is all that the caller left.
    Hurried,
    /// No connection.
    NotConnected,
    /// The peer did not process it.
    NotProcessed,
    /// The connection was cut, or spoke nonsense.
    ConnectionLost,
    /// The peer reset the stream.
    Reset,
    /// The caller gave up, or the other one of two attempts won.
    Cancelled,
}

// === impl Pushback ===

impl Pushback {
    /// How long that is.
    #[must_use]
    pub fn pause(self) -> Duration {
        match self {
            Self::Hint(pause) | Self::Order(pause) => pause,
        }
    }
}

// === impl Kind ===

impl Kind {
    /// Every one, in the order in which they are declared.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Answered,
        Self::Unavailable,
        Self::Overloaded,
        Self::Failed,
        Self::RefusedByPeer,
        Self::TimedOut,
        Self::Hurried,
        Self::NotConnected,
        Self::NotProcessed,
        Self::ConnectionLost,
        Self::Reset,
        Self::Cancelled,
    ];

    /// Its name in a metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Answered => "answered",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Failed => "failed",
            Self::RefusedByPeer => "refused_by_peer",
            Self::TimedOut => "timed_out",
            Self::Hurried => "hurried",
            Self::NotConnected => "not_connected",
            Self::NotProcessed => "not_processed",
            Self::ConnectionLost => "connection_lost",
            Self::Reset => "reset",
            Self::Cancelled => "cancelled",
        }
    }
}

// === impl Meaning ===

impl Meaning {
    /// An answer.
    pub const SUCCESS: Self = Self::new(Evidence::Success, Again::No, Kind::Ok);
    /// An attempt that got the time an answer takes, and no answer.
    pub const TIMED_OUT: Self = Self::new(Evidence::TimedOut, Again::Yes, Kind::TimedOut);
    /// An attempt that its caller's deadline gave too little time to judge by.
    pub const HURRIED: Self = Self::new(Evidence::Neutral, Again::Yes, Kind::Hurried);

    const fn new(evidence: Evidence, again: Again, kind: Kind) -> Self {
        Self { evidence, again, pushback: None, kind }
    }

    /// What an error means that a call got which never answers UNAUTHENTICATED, PERMISSION_DENIED or UNIMPLEMENTED by
    /// itself: from such an endpoint they say that it is wrongly set up.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        match on_the_way(status) {
            Some(meaning) => meaning,
            None => Self::of_answer(status),
        }
    }

    /// The same, and another endpoint may do better.
    #[must_use]
    pub const fn elsewhere(mut self) -> Self {
        self.again = Again::Elsewhere;
        self
    }

    /// An answer of an endpoint that is well and can't serve this call, which another one may: it says nothing of how
    /// long answers take.
    #[must_use]
    pub const fn not_here(mut self) -> Self {
        self.evidence = Evidence::Neutral;
        self.again = Again::Elsewhere;
        self
    }

    /// What the peer itself said.
    fn of_answer(status: &Status) -> Self {
        let (evidence, again, kind) = match status.code() {
            Code::Ok => return Self::SUCCESS,
            Code::NotFound
            | Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::OutOfRange
            | Code::Aborted => (Evidence::Success, Again::No, Kind::Answered),
            Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => {
                (Evidence::Failure, Again::Elsewhere, Kind::RefusedByPeer)
            }
            Code::Unavailable => (Evidence::Failure, Again::Yes, Kind::Unavailable),
            // tonic's own servers say CANCELLED when the deadline that they were sent is over.
            Code::DeadlineExceeded | Code::Cancelled => return Self::TIMED_OUT,
            Code::Internal | Code::Unknown | Code::DataLoss => (Evidence::Failure, Again::No, Kind::Failed),
            Code::ResourceExhausted => {
                let says_when = status.metadata().contains_key(PUSHBACK) || retry_delay(status).is_some();
                let again = if says_when { Again::Yes } else { Again::No };
                (Evidence::FailsProbe, again, Kind::Overloaded)
            }
        };
        Self { evidence, again, pushback: None, kind }.with_pushback(status)
    }

    fn with_pushback(mut self, status: &Status) -> Self {
        match status.metadata().get(PUSHBACK).map(|value| value.to_str().unwrap_or("").parse::<u32>()) {
            Some(Ok(millis)) => {
                self.pushback = Some(Pushback::Order(Duration::from_millis(u64::from(millis))));
            }
            Some(Err(_)) => self.again = Again::No,
            None => self.pushback = retry_delay(status).map(Pushback::Hint),
        }
        self
    }
}

fn retry_delay(status: &Status) -> Option<Duration> {
    if status.details().is_empty() {
        return None;
    }
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

/// What went wrong before an answer of the peer's; `None`: it did answer.
fn on_the_way(status: &Status) -> Option<Meaning> {
    let mut causes = std::iter::successors(status.source(), |cause| (*cause).source()).peekable();
    causes.peek()?;
    for cause in causes {
        if cause.is::<ConnectError>() {
            return Some(Meaning::new(Evidence::Failure, Again::Unsent, Kind::NotConnected));
        }
        if cause.is::<TimeoutExpired>() {
            return Some(Meaning::TIMED_OUT);
        }
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            return Some(of_stream(error));
        }
        if let Some(error) = cause.downcast_ref::<hyper::Error>()
            && error.is_canceled()
        {
            // Queued on a connection that ended before the request was on it.
            return Some(Meaning::new(Evidence::Neutral, Again::Unprocessed, Kind::NotProcessed));
        }
    }
    // Cut in flight, keep-alive lost, nonsense on the wire.
    Some(Meaning::new(Evidence::Failure, Again::Yes, Kind::ConnectionLost))
}

fn of_stream(error: &h2::Error) -> Meaning {
    let reason = error.reason();
    // The peer says so itself, and has not begun: connections age, that is routine.
    let graceful = error.is_go_away() && error.is_remote() && reason == Some(h2::Reason::NO_ERROR);
    if graceful || reason == Some(h2::Reason::REFUSED_STREAM) {
        return Meaning::new(Evidence::Neutral, Again::Unprocessed, Kind::NotProcessed);
    }
    if error.is_reset() && error.is_remote() {
        return Meaning::new(Evidence::Failure, Again::Yes, Kind::Reset);
    }
    Meaning::new(Evidence::Failure, Again::Yes, Kind::ConnectionLost)
}
