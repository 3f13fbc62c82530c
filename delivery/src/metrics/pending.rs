//! How many deliveries wait for Product, and since when. The store is asked now and then, on its own runtime, whoever reads
//! the page how often; all processes of one database tell the same.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::database::StoreError;
use chassis::metrics::{Collector, DescriptorEncoder, Registry, gauge};
use tokio::time::Instant;

use crate::store::{Backlog, MAX_COUNTED, Store};
use crate::time;

/// How often to ask: a third of the time between two scrapes, as they are set up as a rule.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the store may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long what it answered is worth telling. Past that, the truth is that nobody knows.
const WORTH: Duration = Duration::from_secs(60);

/// What is known of the deliveries that wait. Clones share it.
#[derive(Clone, Debug)]
pub struct Pending {
    max_pending: u32,
    /// With the instant at which it was so.
    seen: Arc<Mutex<Option<(Instant, Backlog)>>>,
}

// === impl Pending ===

impl Pending {
    /// Of a process that lets so many wait.
    #[must_use]
    pub fn new(max_pending: u32) -> Self {
        Self { max_pending, seen: Arc::default() }
    }

    /// Puts it on the page.
    pub fn register(&self, registry: &mut Registry) {
        registry.sub_registry_with_prefix("pending").register_collector(Box::new(self.clone()));
    }

    /// Asks the store now and then, for as long as its runtime lives.
    pub async fn watch(self, store: Store) {
        loop {
            // Who can't be asked says so elsewhere: readiness and the verifier tell of a silent database.
            if let Ok(Ok(backlog)) = tokio::time::timeout(TIMEOUT, self.look(&store)).await {
                self.saw(Instant::now(), backlog);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&self, store: &Store) -> Result<Backlog, StoreError> {
        store.backlog(MAX_COUNTED).await
    }

    fn saw(&self, at: Instant, backlog: Backlog) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, backlog));
    }
}

impl Collector for Pending {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut encoder;
        let help = "Most deliveries that may wait for Product; past it, DEFER is refused";
        gauge(page, "deliveries_limit", help, self.max_pending)?;
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, backlog)) = seen.filter(|(at, _)| at.elapsed() < WORTH) else { return Ok(()) };
        let help = "Deliveries that wait for Product, of all processes of one database; counted to 100,000";
        gauge(page, "deliveries", help, backlog.pending)?;
        let age = backlog.oldest.map_or(Duration::ZERO, |oldest| time::age(oldest, time::now()));
        let help = "How long the oldest of them has waited; 0: there is none";
        gauge(page, "oldest_age_seconds", help, age.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use chassis::metrics::{page, registry};
    use deliverability::Timestamp;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_told_for_as_long_as_it_is_known() {
        let pending = Pending::new(10);
        let mut registry = registry();
        pending.register(&mut registry);
        let told = || page(&registry).unwrap();
        assert!(told().contains("\ncandeliver_pending_deliveries_limit 10\n"), "{}", told());
        assert!(!told().contains("\ncandeliver_pending_deliveries "), "{}", told());

        let oldest = Timestamp::from_unix_micros(time::now().unix_micros() - 90_000_000).unwrap();
        pending.saw(Instant::now(), Backlog { pending: 3, oldest: Some(oldest) });
        assert!(told().contains("\ncandeliver_pending_deliveries 3\n"), "{}", told());
        assert!(told().contains("\ncandeliver_pending_oldest_age_seconds 9"), "{}", told());

        pending.saw(Instant::now(), Backlog { pending: 0, oldest: None });
        assert!(told().contains("\ncandeliver_pending_oldest_age_seconds 0.0\n"), "{}", told());

        tokio::time::advance(WORTH).await;
        assert!(!told().contains("\ncandeliver_pending_deliveries "), "{}", told());
        assert!(!told().contains("oldest"), "{}", told());
    }
}
