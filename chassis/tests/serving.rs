//! What a server does on the wire: one binary, one module for each promise.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

#[path = "serving/harness/mod.rs"]
mod harness;

#[path = "serving/access.rs"]
mod access;
#[path = "serving/admin.rs"]
mod admin;
#[path = "serving/ages.rs"]
mod ages;
#[path = "serving/certificates.rs"]
mod certificates;
#[path = "serving/deadlines.rs"]
mod deadlines;
#[path = "serving/drain.rs"]
mod drain;
#[path = "serving/health.rs"]
mod health;
#[path = "serving/limits.rs"]
mod limits;
#[path = "serving/openings.rs"]
mod openings;
#[path = "serving/panics.rs"]
mod panics;
#[path = "serving/protocol.rs"]
mod protocol;
#[path = "serving/reflection.rs"]
mod reflection;
#[path = "serving/runtimes.rs"]
mod runtimes;
#[path = "serving/tls.rs"]
mod tls;
