//! What Product tells on its metrics page: its catalogue, read from the index when the page is asked for, and its decisions.

mod decisions;

use std::fmt;
use std::sync::Arc;

use chassis::clock;
use chassis::metrics::{Build, Collector, DescriptorEncoder, Registry, gauge, gauges};
use deliverability::Timestamp;

use crate::index::{Index, Reading};

pub use decisions::{Decisions, REASONS};

/// How far the catalogue in memory is, and since when it may be behind.
#[derive(Debug)]
struct CatalogueMetrics(Arc<Index>);

/// Puts them on the page.
pub fn register(registry: &mut Registry, index: &Arc<Index>, decisions: &Decisions) {
    Build { program: "product", version: env!("CARGO_PKG_VERSION") }.register(registry);
    let catalogue = CatalogueMetrics(Arc::clone(index));
    registry.sub_registry_with_prefix("catalogue").register_collector(Box::new(catalogue));
    registry.register_collector(Box::new(decisions::DecisionMetrics(decisions.clone())));
}

// === impl CatalogueMetrics ===

impl CatalogueMetrics {
    fn loaded(&self, page: &mut DescriptorEncoder<'_>, last: &Reading, current_at: i64) -> fmt::Result {
        let (index, revision) = (&self.0, last.head.revision);
        gauge(page, "revision", "The catalogue's revision in memory", revision.number())?;
        let lag = index.database_revision().number().saturating_sub(revision.number()).max(0);
        let help = "Revisions between the database, as it was last seen, and the catalogue in memory";
        gauge(page, "lag_revisions", help, lag)?;
        let age_micros = clock::unix_micros().saturating_sub(current_at).max(0);
        let help = "Time since the catalogue was last seen to be the newest";
        gauge(page, "age_seconds", help, age_micros as f64 / 1e6)?;
        let catalogue = &last.catalogue;
        let objects = [
            ("product", catalogue.products()),
            ("location", catalogue.locations()),
            ("rule", catalogue.rules()),
        ];
        let objects = objects.map(|(kind, count)| ([("kind", kind)], count as u64));
        let help = "Objects in memory; retired products and locations included, deleted rules not";
        gauges(page, "objects", help, objects)?;
        // A figure and no label, which would make a new time series with every revision.
        let help =
            "Stands for the objects in memory: equal in all processes at one revision, or one has misread";
        gauge(page, "digest", help, last.digest.figure())
    }
}

impl Collector for CatalogueMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let answers = u32::from(self.0.read().is_ok());
        gauge(&mut encoder, "ready", "1 if questions are answered from the catalogue", answers)?;
        let help = "The age past which it answers no questions any more";
        gauge(&mut encoder, "age_limit_seconds", help, self.0.max_age().as_secs_f64())?;
        // Before anything is loaded there is nothing to tell: a 0 would look like an empty catalogue.
        let current_at = self.0.current_at().map_or(0, Timestamp::unix_micros);
        let (Some(last), true) = (self.0.last(), current_at > 0) else { return Ok(()) };
        self.loaded(&mut encoder, &last, current_at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::metrics;
    use deliverability::Catalogue;
    use uuid::Uuid;

    use super::*;
    use crate::digest::Digesting;
    use crate::revision::{Epoch, Head, Revision};
    use crate::store::{Cursor, Kind};

    #[test]
    fn a_catalogue_that_is_not_loaded_has_no_revision_and_one_that_is_too_old_has_its_age() {
        let index = Arc::new(Index::new(Duration::from_secs(60)));
        let mut registry = metrics::registry();
        register(&mut registry, &index, &Decisions::default());
        let told = |told: &str| {
            let page = metrics::page(&registry).unwrap();
            assert!(page.contains(&format!("\ncandeliver_catalogue_{told}")), "{told} in {page}");
        };
        told("ready 0\n");
        told("age_limit_seconds 60.0\n");
        let page = metrics::page(&registry).unwrap();
        assert!(!page.contains("catalogue_revision") && !page.contains("lag"), "{page}");

        let head = Head { epoch: Epoch::fresh(), revision: Revision::new(7) };
        let mut digesting = Digesting::default();
        digesting.put(Cursor::of(Kind::Product, Uuid::nil()), 7);
        drop(index.publish(Catalogue::default(), head, digesting.digest()));
        index.seen_at(Revision::new(9));
        index.seen_current(clock::unix_micros());
        told("ready 1\n");
        told("revision 7\n");
        told("digest 7\n");
        told("lag_revisions 2\n");
        told("objects{kind=\"product\"} 0\n");

        index.seen_current(clock::unix_micros() - 90_000_000);
        told("ready 0\n");
        told("age_seconds 9");
    }
}
