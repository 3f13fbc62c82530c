//! What Product tells of its catalogue on the metrics page, read from the index when the page is asked for.

use std::fmt;
use std::sync::Arc;

use chassis::clock;
use chassis::metrics::{Collector, DescriptorEncoder, Registry, gauge};
use deliverability::Timestamp;

use crate::index::Index;

/// How far the catalogue in memory is, and since when it may be behind.
#[derive(Debug)]
pub struct CatalogueMetrics(Arc<Index>);

// === impl CatalogueMetrics ===

impl CatalogueMetrics {
    /// Puts them on the page.
    pub fn register(registry: &mut Registry, index: Arc<Index>) {
        registry.sub_registry_with_prefix("catalogue").register_collector(Box::new(Self(index)));
    }
}

impl Collector for CatalogueMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let answers = u32::from(self.0.read().is_ok());
        gauge(&mut encoder, "ready", "1 if questions are answered from the catalogue", answers)?;
        // Before anything is loaded there is nothing to tell: a 0 would look like an empty catalogue.
        let current_at = self.0.current_at().map_or(0, Timestamp::unix_micros);
        let (Some((head, digest)), true) = (self.0.digest(), current_at > 0) else { return Ok(()) };
        gauge(&mut encoder, "revision", "The catalogue's revision in memory", head.revision.number())?;
        let age_micros = clock::unix_micros().saturating_sub(current_at).max(0);
        let help = "Time since the catalogue was last seen to be the newest";
        gauge(&mut encoder, "age_seconds", help, age_micros as f64 / 1e6)?;
        // A figure and no label, which would make a new time series with every revision.
        let help =
            "Stands for the objects in memory: equal in all processes at one revision, or one has misread";
        gauge(&mut encoder, "digest", help, digest.figure())
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
        CatalogueMetrics::register(&mut registry, Arc::clone(&index));
        let page = || metrics::page(&registry).unwrap();
        assert!(
            page().contains("\ncandeliver_catalogue_ready 0\n") && !page().contains("revision"),
            "{}",
            page()
        );

        let head = Head { epoch: Epoch::fresh(), revision: Revision::new(7) };
        let mut digesting = Digesting::default();
        digesting.put(Cursor::of(Kind::Product, Uuid::nil()), 7);
        drop(index.publish(Catalogue::default(), head, digesting.digest()));
        index.seen_current(clock::unix_micros());
        assert!(page().contains("\ncandeliver_catalogue_ready 1\n"), "{}", page());
        assert!(page().contains("\ncandeliver_catalogue_revision 7\n"), "{}", page());
        assert!(page().contains("\ncandeliver_catalogue_digest 7\n"), "{}", page());

        index.seen_current(clock::unix_micros() - 90_000_000);
        assert!(page().contains("\ncandeliver_catalogue_ready 0\n"), "{}", page());
        assert!(page().contains("\ncandeliver_catalogue_age_seconds 9"), "{}", page());
    }
}
