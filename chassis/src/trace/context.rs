//! The place of a piece of work in a trace: read from a request, shown in each line of the log, passed on to whom is asked.

use std::cell::Cell;
use std::fmt;

use http::HeaderValue;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The header that carries it.
pub const TRACEPARENT: &str = "traceparent";

/// Bytes of a traceparent of version 00.
const LENGTH: usize = 55;

thread_local! {
    /// Of the handler that this thread polls.
    static CURRENT: Cell<Option<Trace>> = const { Cell::new(None) };
}

/// A trace, and the span in it that what happens now belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) is_sampled: bool,
}

// === impl Trace ===

impl Trace {
    /// That of the call whose handler asks. Work that the handler hands to other tasks is to be told it.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Polls a handler whose trace this is. Panics are caught inside of `poll`.
    pub(crate) fn during<R>(trace: Option<Self>, poll: impl FnOnce() -> R) -> R {
        if trace.is_none() {
            return poll();
        }
        CURRENT.set(trace);
        let result = poll();
        CURRENT.set(None);
        result
    }

    /// What a caller says, if it says it well: a wrong one is as none, as the specification wants it.
    pub(super) fn of_caller(traceparent: &HeaderValue) -> Option<Self> {
        Self::parse(traceparent.to_str().ok()?)
    }

    /// Reads a traceparent, of a later version too: its beginning is the same.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (version, rest) = (text.get(..3)?, text.get(3..LENGTH)?);
        let is_longer = text.len() > LENGTH;
        if !is_hex(&version[..2]) || version == "ff-" || (version == "00-" && is_longer) {
            return None;
        }
        if is_longer && text.as_bytes()[LENGTH] != b'-' {
            return None;
        }
        let mut parts = rest.split('-');
        let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || (trace.len(), span.len(), flags.len()) != (32, 16, 2) {
            return None;
        }
        if ![trace, span, flags].into_iter().all(is_hex) || !version.ends_with('-') {
            return None;
        }
        let trace = Self {
            trace_id: TraceId::from_hex(trace).ok()?,
            span_id: SpanId::from_hex(span).ok()?,
            is_sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (trace.trace_id != TraceId::INVALID && trace.span_id != SpanId::INVALID).then_some(trace)
    }

    /// The header's value for whom is asked next.
    #[must_use]
    pub fn header(self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).unwrap_or_else(|_| unreachable!("hex and dashes"))
    }

    /// Whether spans of it are recorded.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.is_sampled
    }

    pub(super) fn of_span(context: &SpanContext) -> Self {
        Self { trace_id: context.trace_id(), span_id: context.span_id(), is_sampled: context.is_sampled() }
    }

    pub(super) fn as_remote(self) -> SpanContext {
        let flags = TraceFlags::default().with_sampled(self.is_sampled);
        SpanContext::new(self.trace_id, self.span_id, flags, true, TraceState::NONE)
    }

    /// The trace's id, 32 hex digits.
    pub(crate) fn trace_id(self) -> impl fmt::Display {
        self.trace_id
    }

    /// The span's id, 16 hex digits.
    pub(crate) fn span_id(self) -> impl fmt::Display {
        self.span_id
    }
}

impl fmt::Display for Trace {
    /// As a traceparent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, u8::from(self.is_sampled))
    }
}

/// Lower case, as the specification wants it.
fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_passed_on_as_it_came() {
        let trace = Trace::parse(GOOD).unwrap();
        assert!(trace.is_sampled());
        assert_eq!(trace.header(), GOOD);
        let unsampled = GOOD.replace("-01", "-00");
        assert_eq!(Trace::parse(&unsampled).unwrap().to_string(), unsampled);
    }

    #[test]
    fn of_a_later_version_the_beginning_is_read() {
        for later in [GOOD.replace("00-4", "01-4"), format!("{}-more", GOOD.replace("00-4", "cc-4"))] {
            assert_eq!(Trace::parse(&later).map(|trace| trace.to_string()).as_deref(), Some(GOOD), "{later}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_as_none() {
        let zeros = |part: &str| GOOD.replace(part, &"0".repeat(part.len()));
        for bad in [
            String::new(),
            "00-".to_owned(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-more"),
            format!("{}x", GOOD.replace("00-4", "01-4")),
            GOOD.replace("00-4", "ff-4"),
            GOOD.to_uppercase(),
            GOOD.replace('-', "_"),
            GOOD.replace("4bf9", "é92"),
            zeros("4bf92f3577b34da6a3ce929d0e0e4736"),
            zeros("00f067aa0ba902b7"),
        ] {
            assert_eq!(Trace::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_handler_sees_its_own_trace_and_nobody_elses() {
        let trace = Trace::parse(GOOD);
        assert_eq!(Trace::during(trace, Trace::current), trace);
        assert_eq!(Trace::current(), None);
        assert_eq!(Trace::during(None, Trace::current), None);
    }
}
