//! What stays with a call until its answer has ended: its permit, its deadline, and the count of what it came to.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use tokio::time::Instant;
use tonic::Code;

use super::dispatch::Mounted;
use super::figures::Place;
use super::reply::Reply;
use crate::access::Entered;
use crate::deadline::Deadline;
use crate::status::Failure;
use crate::trace::{Served, Trace};

/// Dropping it is the call's end. In a box: it goes through many hands.
pub(super) struct Around {
    mounted: Arc<Mounted>,
    place: Place,
    /// The name of a method that has no place yet.
    new_method: Option<Box<str>>,
    began: Instant,
    /// None: nobody traces it.
    served: Option<Served>,
    deadline: Deadline,
    /// Whether the caller set the deadline. Then it ends a stream too; else a stream may last.
    deadline_is_callers: bool,
    /// When the connection's age ends its streams.
    streams_end: Option<Instant>,
    /// As long as there is no answer, a call that ends was given up by its caller.
    code: Code,
    /// Its place among its caller's calls.
    _entered: Entered,
    /// Whether the handler has answered: then the method is one that the service knows, unless the code says that it is not.
    is_answered: bool,
}

/// What ends a stream that goes on too long.
pub(super) struct StreamEnd {
    pub(super) at: Deadline,
    is_deadline: bool,
}

// === impl Around ===

impl Around {
    /// For a call that got its permit, which goes with what is made here, as do its place in a trace and among its caller's calls.
    pub(super) fn new(
        mounted: &Arc<Mounted>,
        method: &str,
        streams_end: Option<Instant>,
        served: Option<Served>,
        entered: Entered,
    ) -> Box<Self> {
        let place = mounted.counted.place(method);
        mounted.counted.begin(place);
        let new_method = (!place.is_known()).then(|| method.into());
        let began = Instant::now();
        Box::new(Self {
            mounted: Arc::clone(mounted),
            place,
            new_method,
            began,
            served,
            deadline: Deadline::at(began),
            deadline_is_callers: false,
            streams_end,
            code: Code::Cancelled,
            _entered: entered,
            is_answered: false,
        })
    }

    /// `timeout` is what the caller says, `default` what holds if it says nothing.
    pub(super) fn set_deadline(&mut self, timeout: Option<Duration>, default: Duration) {
        self.deadline = Deadline::since(self.began, timeout.unwrap_or(default));
        self.deadline_is_callers = timeout.is_some();
    }

    pub(super) fn trace(&self) -> Option<Trace> {
        self.served.as_ref().map(Served::trace)
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Ends the call with an answer that is not its handler's.
    pub(super) fn refused(&mut self, failure: Failure) -> Response<Reply> {
        self.code = failure.code();
        failure.into_status().into_http()
    }

    /// Notes that the handler has begun to answer.
    pub(super) fn answers(&mut self) {
        self.is_answered = true;
    }

    /// Notes the code of the handler's answer.
    pub(super) fn answered(&mut self, code: Code) {
        self.code = code;
        self.is_answered = true;
    }

    /// When a stream must end at the latest.
    pub(super) fn stream_end(&self) -> Option<StreamEnd> {
        let deadline = self.deadline_is_callers.then_some(StreamEnd { at: self.deadline, is_deadline: true });
        let age = self.streams_end.map(|end| StreamEnd { at: Deadline::at(end), is_deadline: false });
        deadline.into_iter().chain(age).min_by_key(|end| end.at)
    }

    /// Logs a panic, the only time, and makes the answer, which tells nothing of it.
    pub(super) fn panicked(&self, panic: &str) -> Failure {
        let service = self.mounted.name;
        let method = self.mounted.counted.method(self.place).or(self.new_method.as_deref());
        tracing::error!(
            service,
            method,
            panic,
            "a handler panicked; its caller gets INTERNAL, other calls go on"
        );
        Failure::new(Code::Internal, "PANIC", "the server failed to handle this call")
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        if let Some(served) = &mut self.served {
            served.end(self.code);
        }
        let new_method = self.new_method.as_deref().filter(|_| self.is_answered);
        self.mounted.counted.leave(self.place, new_method, self.code, self.began.elapsed());
    }
}

// === impl StreamEnd ===

impl StreamEnd {
    pub(super) fn failure(&self) -> Failure {
        if self.is_deadline {
            return Failure::deadline_exceeded();
        }
        let message = "this connection has reached its age: go on on another";
        Failure::new(Code::Unavailable, "CONNECTION_AGE", message).retry_after(Duration::ZERO)
    }
}
