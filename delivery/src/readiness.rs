//! Says whether this process can do anything, which is to say: whether its own database answers. Never whether Product
//! does: what can be done without Product is this service's whole point.

use std::time::Duration;

use chassis::database::StoreError;
use chassis::health::Health;

use crate::server::SERVICE_NAMES;
use crate::store::Store;

/// How often to look. A probe takes a fraction of a millisecond, and Kubernetes asks every ten seconds.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long the database may take to answer next to nothing.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Failures in a row before the process says so: one may be a single connection's end or a moment's rush, and all
/// processes of one database say it together.
const FAILURES: u32 = 2;

/// Watches for as long as its runtime lives. The database is open and migrated when this begins.
pub async fn watch(store: Store, health: Health) {
    let mut failures = 0;
    set(&health, true);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let cause = match tokio::time::timeout(TIMEOUT, store.probe()).await {
            // Too much work waits for the database: that is the load limit's to say.
            Ok(Ok(()) | Err(StoreError::Overloaded)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_elapsed) => Some("no answer in time".to_owned()),
        };
        match cause {
            None => {
                if failures >= FAILURES {
                    tracing::info!("the database answers again: serving");
                    set(&health, true);
                }
                failures = 0;
            }
            Some(cause) => {
                failures = failures.saturating_add(1);
                if failures == FAILURES {
                    tracing::error!(%cause, "the database is silent: not serving until it answers");
                    set(&health, false);
                }
            }
        }
    }
}

fn set(health: &Health, serving: bool) {
    SERVICE_NAMES.iter().for_each(|name| health.set(name, serving));
}
