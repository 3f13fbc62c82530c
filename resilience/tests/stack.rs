//! The whole stack over endpoints that do what a test tells them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

mod support;

#[path = "stack/batch_failures.rs"]
mod batch_failures;
#[path = "stack/batching.rs"]
mod batching;
#[path = "stack/calling.rs"]
mod calling;
#[path = "stack/cancelling.rs"]
mod cancelling;
#[path = "stack/hedging.rs"]
mod hedging;
