//! One call until the head of its answer: the handler under its deadline, its panics caught.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::uri::PathAndQuery;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use tonic::Code;

use super::Handling;
use super::completion::complete;
use super::reply::Reply;
use crate::deadline::{Deadline, Timer};
use crate::load::Permit;
use crate::panics;
use crate::status::Failure;

/// A call: one that runs, or one that was refused.
pub(crate) enum Call {
    /// The handler is at work.
    Running(Running),
    /// The answer was ready before any handler was asked.
    Refused(Option<Response<Reply>>),
}

/// A call whose handler is at work.
pub(crate) struct Running {
    handler: Handling,
    around: Option<Around>,
    timer: Timer,
}

/// What stays with a call until its answer has ended.
pub(super) struct Around {
    pub(super) method: Option<PathAndQuery>,
    pub(super) deadline: Deadline,
    /// Whether the caller set the deadline. Then it ends a stream too; else a stream may last.
    pub(super) deadline_is_callers: bool,
    pub(super) _permit: Option<Permit>,
}

// === impl Call ===

impl Call {
    pub(super) fn run(around: Around, handler: Handling) -> Self {
        Self::Running(Running { handler, around: Some(around), timer: Timer::default() })
    }

    pub(super) fn refused(failure: Failure) -> Self {
        Self::Refused(Some(failure.into_status().into_http()))
    }

    pub(super) fn refused_with_headers(headers: HeaderMap) -> Self {
        let mut response = Response::new(Reply::default());
        *response.headers_mut() = headers;
        Self::Refused(Some(response))
    }

    pub(super) fn refused_as_http(status: StatusCode) -> Self {
        let mut response = Response::new(Reply::default());
        *response.status_mut() = status;
        Self::Refused(Some(response))
    }
}

impl Future for Call {
    type Output = Result<Response<Reply>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Running(running) => running.poll(cx).map(Ok),
            Self::Refused(response) => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
        }
    }
}

// === impl Running ===

impl Running {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<Reply>> {
        let polled = panics::catch(|| self.handler.as_mut().poll(cx));
        let Some(around) = &self.around else { return Poll::Pending };
        let failure = match polled {
            Ok(Poll::Ready(Ok(response))) => return Poll::Ready(answer(response, self.around.take())),
            Ok(Poll::Pending) => {
                ready!(self.timer.poll(around.deadline, cx));
                Failure::deadline_exceeded()
            }
            Err(panic) => around.panicked(&panic),
        };
        // hyper drops this future, and the handler with it, as soon as it has the answer.
        self.around = None;
        Poll::Ready(failure.into_status().into_http())
    }
}

fn answer(response: Response<tonic::body::Body>, around: Option<Around>) -> Response<Reply> {
    let (mut head, body) = response.into_parts();
    if body.is_end_stream() {
        // The whole answer is its head, status included.
        complete(&mut head.headers);
    }
    Response::from_parts(head, Reply::new(body, around))
}

// === impl Around ===

impl Around {
    /// Logs a panic, the only time, and makes the answer, which tells nothing of it.
    pub(super) fn panicked(&self, panic: &str) -> Failure {
        let method = self.method.as_ref().map(PathAndQuery::path);
        tracing::error!(method, panic, "a handler panicked; its caller gets INTERNAL, other calls go on");
        Failure::new(Code::Internal, "PANIC", "the server failed to handle this call")
    }
}
