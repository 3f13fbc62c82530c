//! What clients may do that mean harm, and what becomes of the others meanwhile: real servers on loopback, one module for each
//! kind of attack.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

#[path = "hardening/attack/mod.rs"]
mod attack;
#[allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "these tests have no use for the server in memory"
)]
#[path = "serving/harness/mod.rs"]
mod harness;

#[path = "hardening/arrivals.rs"]
mod arrivals;
#[path = "hardening/bodies.rs"]
mod bodies;
#[path = "hardening/flooding.rs"]
mod flooding;
#[path = "hardening/metadata.rs"]
mod metadata;
#[path = "hardening/streams.rs"]
mod streams;
