//! One call until the head of its answer: the handler under its deadline, its panics caught.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::uri::PathAndQuery;
use http::{HeaderMap, Response, StatusCode};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tonic::Code;

use super::Handling;
use super::completion::complete;
use super::reply::Reply;
use crate::deadline::Deadline;
use crate::load::Permit;
use crate::panics;
use crate::status::Failure;

pin_project! {
    /// A call: one that runs, or one that was refused.
    #[project = CallProjection]
    pub(crate) enum Call {
        Running {
            handler: Handling,
            around: Option<Around>,
            // Armed when the handler first has to wait: most never do.
            #[pin]
            timer: Option<Sleep>,
        },
        Refused { response: Option<Response<Reply>> },
    }
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
    pub(super) fn run(around: Around, handle: impl FnOnce() -> Handling) -> Self {
        match panics::catch(handle) {
            Ok(handler) => Self::Running { handler, around: Some(around), timer: None },
            Err(panic) => Self::refused(around.panicked(&panic)),
        }
    }

    pub(super) fn refused(failure: Failure) -> Self {
        Self::Refused { response: Some(failure.into_status().into_http()) }
    }

    pub(super) fn refused_with_headers(headers: HeaderMap) -> Self {
        let mut response = Response::new(Reply::default());
        *response.headers_mut() = headers;
        Self::Refused { response: Some(response) }
    }

    pub(super) fn refused_as_http(status: StatusCode) -> Self {
        let mut response = Response::new(Reply::default());
        *response.status_mut() = status;
        Self::Refused { response: Some(response) }
    }
}

impl Future for Call {
    type Output = Result<Response<Reply>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (handler, around, mut timer) = match self.project() {
            CallProjection::Running { handler, around, timer } => (handler, around, timer),
            CallProjection::Refused { response } => {
                return response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)));
            }
        };
        let polled = panics::catch(|| handler.as_mut().poll(cx));
        let Some(waiting) = around.as_ref() else { return Poll::Pending };
        let failure = match polled {
            Ok(Poll::Ready(Ok(response))) => return Poll::Ready(Ok(answer(response, around.take()))),
            Ok(Poll::Pending) => {
                if timer.is_none() {
                    timer.set(Some(sleep_until(waiting.deadline.instant())));
                }
                if let Some(timer) = timer.as_pin_mut() {
                    ready!(timer.poll(cx));
                }
                Failure::deadline_exceeded()
            }
            Err(panic) => waiting.panicked(&panic),
        };
        // hyper drops this future, and the handler with it, as soon as it has the answer.
        around.take();
        Poll::Ready(Ok(failure.into_status().into_http()))
    }
}

fn answer(response: Response<tonic::body::Body>, around: Option<Around>) -> Response<Reply> {
    let (mut head, body) = response.into_parts();
    // A status in the head is the whole answer.
    complete(&mut head.headers);
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
