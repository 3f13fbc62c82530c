//! What stories are told with: real binaries, real databases, real sockets.

#[path = "../../chassis/tests/hardening/attack/mod.rs"]
pub mod attack;
pub mod binaries;
pub mod callers;
pub mod catalogue;
pub mod clients;
pub mod cluster;
pub mod collector;
pub mod databases;
pub mod deliveries;
pub mod faults;
pub mod fragile;
pub mod gateway;
pub mod headless;
pub mod long_import;
pub mod metrics;
pub mod operator;
pub mod outage;
#[path = "../../chassis/tests/serving/harness/pki.rs"]
pub mod pki;
pub mod port;
pub mod process;
pub mod proxy;
pub mod questions;
pub mod raw;
pub mod refusal;
pub mod rollout;
pub mod rude;
pub mod secured;
pub mod services;
pub mod silence;
pub mod small_disk;
pub mod strange;
pub mod timing;
pub mod trial;

use std::time::Duration;

/// How long anything in a story may take before it counts as never: far more than it needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is there; panics with the last one when patience is over.
pub async fn eventually<T, E: std::fmt::Debug>(what: &str, ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    eventually_within(PATIENCE, what, ask).await
}

/// The same with a patience of one's own.
pub async fn eventually_within<T, E: std::fmt::Debug>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let started = std::time::Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(last) if started.elapsed() > patience => {
                panic!("{what}: not within {patience:?}; last: {last:?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
