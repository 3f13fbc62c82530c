//! Which request a piece of work belongs to, across processes: W3C trace context (<https://www.w3.org/TR/trace-context/>,
//! without tracestate, which nobody here sets), and spans of what is sampled for an OpenTelemetry collector.
//!
//! Nothing is recorded of a call that is not sampled: that is decided before its handler begins, so 99 of 100 calls pay for a
//! look at one header and a random number.

mod context;
mod export;
mod span;

pub use context::{TRACEPARENT, Trace};
pub use export::{Exporting, start};
pub use span::Attempt;
pub(crate) use span::Served;
