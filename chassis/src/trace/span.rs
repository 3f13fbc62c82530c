//! Spans: of calls that are served, and of attempts to call others.

use std::hash::{BuildHasher, RandomState};

use http::HeaderValue;
use opentelemetry::trace::{Link, Span as _, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span;
use tonic::Code;

use super::context::Trace;
use super::export::{MAX_LINKS, tracing};
use crate::status::code_name;

/// A call that is served: its place in a trace, and its span if it is sampled.
#[derive(Debug)]
pub(crate) struct Served {
    trace: Trace,
    /// In a box: most calls have none, and each would carry its size.
    span: Option<Box<Span>>,
}

/// An attempt to call somebody. Dropped without an end it was given up.
#[derive(Debug)]
pub struct Attempt {
    span: Box<Span>,
}

// === impl Served ===

impl Served {
    /// The call that comes with this traceparent to a method, `/service/method`. None: nobody traces it.
    pub(crate) fn begin(traceparent: Option<&HeaderValue>, path: &str) -> Option<Self> {
        let caller = traceparent.and_then(Trace::of_caller);
        let Some(tracing) = tracing() else {
            // Passed on as it came, for those who do send spans.
            return caller.map(|trace| Self { trace, span: None });
        };
        let is_sampled = match caller {
            Some(caller) => caller.is_sampled(),
            None => fraction() < tracing.ratio,
        };
        if !is_sampled {
            return caller.map(|trace| Self { trace, span: None });
        }
        let parent = caller
            .map_or_else(Context::new, |caller| Context::new().with_remote_span_context(caller.as_remote()));
        let method = path.trim_start_matches('/').to_owned();
        let builder = SpanBuilder::from_name(method.clone())
            .with_kind(SpanKind::Server)
            .with_attributes([KeyValue::new("rpc.system.name", "grpc"), KeyValue::new("rpc.method", method)]);
        let span = tracing.tracer.build_with_context(builder, &parent);
        Some(Self { trace: Trace::of_span(span.span_context()), span: Some(Box::new(span)) })
    }

    pub(crate) fn trace(&self) -> Trace {
        self.trace
    }

    /// The call has ended so.
    pub(crate) fn end(&mut self, code: Code) {
        let Some(mut span) = self.span.take() else { return };
        span.set_attribute(status_code(code));
        // What the caller did wrong is no error of this side.
        if matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ) {
            span.set_status(Status::error(code_name(code)));
        }
        span.end();
    }
}

// === impl Attempt ===

impl Attempt {
    /// One attempt at a method of somebody else, `service/method`, for those whose traces these are: it is told as part of the
    /// first that is sampled, and linked to the others. None if none is.
    pub fn begin<const N: usize>(
        traces: &[Trace],
        method: &'static str,
        attributes: impl FnOnce() -> [(&'static str, String); N],
    ) -> Option<Self> {
        let mut sampled = traces.iter().filter(|trace| trace.is_sampled());
        let (parent, tracing) = (sampled.next()?, tracing()?);
        let links = sampled.take(MAX_LINKS as usize).map(|trace| Link::with_context(trace.as_remote()));
        let builder = SpanBuilder::from_name(method)
            .with_kind(SpanKind::Client)
            .with_links(links.collect())
            .with_attributes(
                [KeyValue::new("rpc.system.name", "grpc"), KeyValue::new("rpc.method", method)]
                    .into_iter()
                    .chain(attributes().into_iter().map(|(key, value)| KeyValue::new(key, value))),
            );
        let parent = Context::new().with_remote_span_context(parent.as_remote());
        let span = tracing.tracer.build_with_context(builder, &parent);
        Some(Self { span: Box::new(span) })
    }

    /// Its place in the trace, to be told to whom is asked.
    #[must_use]
    pub fn trace(&self) -> Trace {
        Trace::of_span(self.span.span_context())
    }

    /// It has ended so.
    pub fn end(mut self, code: Code) {
        self.span.set_attribute(status_code(code));
        self.outcome(if code == Code::Ok { "answered" } else { "failed" });
        if code != Code::Ok {
            self.span.set_status(Status::error(code_name(code)));
        }
        self.span.end();
    }

    fn outcome(&mut self, outcome: &'static str) {
        self.span.set_attribute(KeyValue::new("candeliver.attempt.outcome", outcome));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // One that has ended takes no further attributes.
        self.outcome("given up");
        self.span.end();
    }
}

/// From 0 to 1, by chance.
fn fraction() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

fn status_code(code: Code) -> KeyValue {
    KeyValue::new("rpc.response.status_code", code_name(code))
}
