//! One answer from its head to its end: the message stream under the caller's deadline, its panics caught.
//!
//! An answer of one message ends when hyper takes the message, not when its client has read it. hyper asks for nothing further
//! until the client gives it room, and a client that gives none would hold its call's place past every deadline.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use super::around::{Around, StreamEnd};
use super::completion::complete;
use crate::deadline::Timer;
use crate::panics;

/// The longest message whose call gives its place back before the client has read it. All but batches and lists are shorter;
/// those keep their places, so that what waits to be read has a bound however little a client reads: this for each of its streams,
/// and for the rest the load limit.
const MAX_LET_GO_BYTES: usize = 4 * 1024;

/// The body of an answer. The load limit's permit goes when it does, or before.
#[derive(Default)]
pub(crate) struct Reply {
    messages: tonic::body::Body,
    /// None once the answer has ended.
    around: Option<Box<Around>>,
    /// Whether a message has been sent.
    streaming: bool,
    /// What has come already after the first message: in an answer of one message, its end.
    ahead: Option<Frame<Bytes>>,
    timer: Timer,
}

// === impl Reply ===

impl Reply {
    pub(super) fn new(messages: tonic::body::Body, around: Box<Around>) -> Self {
        Self { messages, around: Some(around), ..Self::default() }
    }

    /// What comes next from whoever makes the messages, or because of the deadline.
    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        let Some(around) = &self.around else { return Poll::Ready(None) };
        let polled = panics::catch(|| Pin::new(&mut self.messages).poll_frame(cx));
        let trailers = match polled {
            Ok(Poll::Ready(Some(Ok(frame)))) => match frame.into_trailers() {
                Ok(trailers) => trailers,
                Err(message) => match late(around, &mut self.streaming) {
                    None => return Poll::Ready(Some(message)),
                    Some(end) => trailers(&end.failure().into_status()),
                },
            },
            Ok(Poll::Ready(Some(Err(status)))) => trailers(&status),
            Ok(Poll::Ready(None)) => {
                self.around = None;
                return Poll::Ready(None);
            }
            Ok(Poll::Pending) => {
                let Some(end) = around.stream_end() else { return Poll::Pending };
                ready!(self.timer.poll(end.at, cx));
                trailers(&end.failure().into_status())
            }
            Err(panic) => trailers(&around.panicked(&panic).into_status()),
        };
        Poll::Ready(Some(Frame::trailers(self.end(trailers))))
    }

    /// Trailers are the end: what made the messages goes at once, not when hyper lets go of the answer.
    fn end(&mut self, mut trailers: HeaderMap) -> HeaderMap {
        let code = complete(&mut trailers);
        if let Some(mut around) = self.around.take() {
            around.answered(code);
        }
        self.messages = tonic::body::Body::empty();
        trailers
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(frame) = this.ahead.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let is_first = !this.streaming;
        let Some(frame) = ready!(this.poll_messages(cx)) else { return Poll::Ready(None) };
        let is_short = frame.data_ref().is_some_and(|message| message.len() <= MAX_LET_GO_BYTES);
        if is_first
            && is_short
            && let Poll::Ready(next) = this.poll_messages(cx)
        {
            this.ahead = next;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && (self.around.is_none() || self.messages.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.messages.size_hint()
    }
}

/// What ends a stream before a further message: one that never has to wait never asks its timer.
fn late(around: &Around, streaming: &mut bool) -> Option<StreamEnd> {
    let further = std::mem::replace(streaming, true);
    let end = if further { around.stream_end() } else { None };
    end.filter(|end| end.at.remaining().is_zero())
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // An error means that the message can't be a header; the code alone is an answer then.
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(Status::GRPC_STATUS, http::HeaderValue::from(status.code() as i32));
    }
    trailers
}
