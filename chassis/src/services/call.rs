//! One call until the head of its answer: the handler under its deadline, its panics caught.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Response, StatusCode};
use http_body::Body;

use super::Handling;
use super::around::Around;
use super::completion::complete;
use super::reply::Reply;
use crate::deadline::Timer;
use crate::identity::{self, Identity};
use crate::panics;
use crate::status::Failure;
use crate::trace::Trace;

/// A call: one that runs, or one that was refused.
pub(crate) enum Call {
    /// The handler is at work.
    Running(Running),
    /// The answer was ready before any handler was asked. In a box, so that the others need not be as large.
    Refused(Option<Box<Response<Reply>>>),
}

/// A call whose handler is at work.
pub(crate) struct Running {
    handler: Handling,
    around: Option<Box<Around>>,
    timer: Timer,
    caller: Option<Identity>,
}

// === impl Call ===

impl Call {
    pub(super) fn run(around: Box<Around>, handler: Handling, caller: Option<Identity>) -> Self {
        Self::Running(Running { handler, around: Some(around), timer: Timer::default(), caller })
    }

    pub(super) fn refused(response: Response<Reply>) -> Self {
        Self::Refused(Some(Box::new(response)))
    }

    pub(super) fn refused_with_headers(headers: HeaderMap) -> Self {
        let mut response = Response::new(Reply::default());
        *response.headers_mut() = headers;
        Self::refused(response)
    }

    pub(super) fn refused_as_http(status: StatusCode) -> Self {
        let mut response = Response::new(Reply::default());
        *response.status_mut() = status;
        Self::refused(response)
    }
}

impl Future for Call {
    type Output = Result<Response<Reply>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Running(running) => running.poll(cx).map(Ok),
            Self::Refused(response) => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(*response)))
            }
        }
    }
}

// === impl Running ===

impl Running {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<Reply>> {
        let Some(around) = &self.around else { return Poll::Pending };
        let handler = &mut self.handler;
        let poll = || panics::catch(|| handler.as_mut().poll(cx));
        let polled = Trace::during(around.trace(), || {
            around.deadline().during(|| identity::during(&mut self.caller, poll))
        });
        let result = match polled {
            Ok(Poll::Ready(Ok(response))) => Ok(response),
            Ok(Poll::Pending) => {
                ready!(self.timer.poll(around.deadline(), cx));
                Err(Failure::deadline_exceeded())
            }
            Err(panic) => Err(around.panicked(&panic)),
        };
        // hyper drops this future, and the handler with it, as soon as it has the answer.
        let Some(mut around) = self.around.take() else { return Poll::Pending };
        Poll::Ready(match result {
            Ok(response) => answer(response, around),
            Err(failure) => around.refused(failure),
        })
    }
}

fn answer(response: Response<tonic::body::Body>, mut around: Box<Around>) -> Response<Reply> {
    let (mut head, body) = response.into_parts();
    if body.is_end_stream() {
        // The whole answer is its head, status included.
        around.answered(complete(&mut head.headers));
    } else {
        around.answers();
    }
    Response::from_parts(head, Reply::new(body, around))
}
