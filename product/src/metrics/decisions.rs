//! How many questions were decided, and how: counted by each runtime for itself.

use std::fmt;

use chassis::metrics::{Collector, DescriptorEncoder, Sharded, counters};
use deliverability::Reason;

/// How many reasons there are.
pub const REASONS: usize = Reason::ALL.len();

/// The decisions of a process, each at the place of its reason.
pub type Decisions = Sharded<REASONS>;

/// Puts them on the page.
#[derive(Debug)]
pub(super) struct DecisionMetrics(pub(super) Decisions);

impl Collector for DecisionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let decided = Reason::ALL.into_iter().zip(self.0.totals());
        let decided = decided.map(|(reason, count)| {
            ([("verdict", reason.verdict().as_str()), ("reason", reason.as_str())], count)
        });
        let help = "Questions that were decided, alone or in batches, by what was answered";
        counters(&mut encoder, "decisions", help, decided)
    }
}

#[cfg(test)]
mod tests {
    use chassis::metrics::{page, registry};

    use super::*;

    #[test]
    fn each_reason_has_its_place() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason:?}");
        }
    }

    #[test]
    fn decisions_are_told_by_verdict_and_reason_and_those_that_were_never_made_as_none() {
        let decisions = Decisions::default();
        decisions.shard().add(Reason::Allowed as usize, 2);
        decisions.shard().add(Reason::Denied as usize, 1);
        let mut registry = registry();
        registry.register_collector(Box::new(DecisionMetrics(decisions)));
        let page = page(&registry).unwrap();
        for told in [
            "{verdict=\"DELIVERABLE\",reason=\"ALLOWED\"} 2",
            "{verdict=\"NOT_DELIVERABLE\",reason=\"DENIED\"} 1",
            "{verdict=\"NOT_DELIVERABLE\",reason=\"EMBARGOED\"} 0",
        ] {
            assert!(page.contains(&format!("\ncandeliver_decisions_total{told}\n")), "{told} in {page}");
        }
    }
}
