//! Breaker, budget and retry against models so simple that they can be seen to be right.
//!
//! Cases: 2,000 each, or as many as PROPTEST_CASES says.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

#[path = "models/breaker.rs"]
mod breaker;
#[path = "models/budget.rs"]
mod budget;
#[path = "models/retry.rs"]
mod retry;

use proptest::test_runner::Config;

fn config() -> Config {
    let cases = std::env::var("PROPTEST_CASES").map_or(2_000, |cases| cases.parse().unwrap());
    Config { cases, failure_persistence: None, ..Config::default() }
}
