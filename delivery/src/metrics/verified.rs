//! What the verifier of this process does about the deliveries that wait for Product. One task counts, so these are plain
//! counters.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use chassis::metrics::{Collector, DescriptorEncoder, Registry, counters};

use crate::store::Settled;
use crate::verifier::Round;

/// Counts since the start. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Verified(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    full: AtomicU64,
    done: AtomicU64,
    silent: AtomicU64,
    failed: AtomicU64,
    confirmed: AtomicU64,
    rejected: AtomicU64,
    expired: AtomicU64,
    rested: AtomicU64,
}

// === impl Verified ===

impl Verified {
    /// Puts them on the page.
    pub fn register(&self, registry: &mut Registry) {
        registry.sub_registry_with_prefix("verifier").register_collector(Box::new(self.clone()));
    }

    /// Counts a round; `None`: the database was silent.
    pub fn count_round(&self, round: Option<Round>) {
        let counts = &self.0;
        let rounds = match round {
            Some(Round::Full) => &counts.full,
            Some(Round::Done) => &counts.done,
            Some(Round::Silent) => &counts.silent,
            None => &counts.failed,
        };
        rounds.fetch_add(1, Relaxed);
    }

    /// Counts deliveries of which Product has said something.
    pub fn count_settled(&self, settled: Settled) {
        self.0.confirmed.fetch_add(settled.confirmed, Relaxed);
        self.0.rejected.fetch_add(settled.rejected, Relaxed);
    }

    /// Counts deliveries of which nobody could say anything in time.
    pub fn count_expired(&self, deliveries: u64) {
        self.0.expired.fetch_add(deliveries, Relaxed);
    }

    /// Counts deliveries that are left alone for a while, since Product can't answer now for reasons of their own.
    pub fn count_rested(&self, deliveries: usize) {
        self.0.rested.fetch_add(deliveries as u64, Relaxed);
    }
}

impl Collector for Verified {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (page, counts) = (&mut encoder, &self.0);
        let told = |(outcome, count): (_, &AtomicU64)| ([("outcome", outcome)], count.load(Relaxed));
        let rounds = [
            ("full", &counts.full),
            ("done", &counts.done),
            ("silent", &counts.silent),
            ("failed", &counts.failed),
        ];
        let help = "Rounds of the verifier: full, there may be more to do; done; silent, Product gave no answer; \
                    failed, the database gave none";
        counters(page, "rounds", help, rounds.map(told))?;
        let deliveries = [
            ("CONFIRMED", &counts.confirmed),
            ("REJECTED", &counts.rejected),
            ("EXPIRED", &counts.expired),
            ("RESTED", &counts.rested),
        ];
        let help = "Deliveries that waited, by what became of them; RESTED: asked about, without an answer of \
                    use, and left alone for a while";
        counters(page, "deliveries", help, deliveries.map(told))
    }
}

#[cfg(test)]
mod tests {
    use chassis::metrics::{page, registry};

    use super::*;

    #[test]
    fn rounds_and_what_became_of_deliveries_are_told_by_outcome() {
        let verified = Verified::default();
        for round in [Some(Round::Done), Some(Round::Done), Some(Round::Silent), None] {
            verified.count_round(round);
        }
        verified.count_settled(Settled { confirmed: 3, rejected: 1 });
        verified.count_expired(2);
        verified.count_rested(4);
        let mut registry = registry();
        verified.register(&mut registry);
        let page = page(&registry).unwrap();
        for told in [
            "rounds_total{outcome=\"done\"} 2",
            "rounds_total{outcome=\"silent\"} 1",
            "rounds_total{outcome=\"failed\"} 1",
            "rounds_total{outcome=\"full\"} 0",
            "deliveries_total{outcome=\"CONFIRMED\"} 3",
            "deliveries_total{outcome=\"REJECTED\"} 1",
            "deliveries_total{outcome=\"EXPIRED\"} 2",
            "deliveries_total{outcome=\"RESTED\"} 4",
        ] {
            assert!(page.contains(&format!("\ncandeliver_verifier_{told}\n")), "{told} in {page}");
        }
    }
}
