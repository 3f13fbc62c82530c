//! How many commits the writer made, and of how many rows: what they have in common is what group commit saves.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chassis::metrics::{Collector, DescriptorEncoder, counter};

/// Counts of one store.
#[derive(Debug, Default)]
pub struct Commits {
    commits: AtomicU64,
    rows: AtomicU64,
}

/// Puts the counts on the metrics page.
#[derive(Debug)]
pub(super) struct CommitMetrics(pub(super) Arc<Commits>);

// === impl Commits ===

impl Commits {
    /// Adds one commit, unless it changed nothing.
    pub(super) fn count(&self, rows: u64) {
        if rows > 0 {
            self.commits.fetch_add(1, Ordering::Relaxed);
            self.rows.fetch_add(rows, Ordering::Relaxed);
        }
    }

    /// Commits of creates and transitions since the store was opened.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Rows that they stored or changed.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

impl Collector for CommitMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(counts) = self;
        counter(&mut encoder, "commits", "Commits of creates and transitions", counts.commits())?;
        counter(&mut encoder, "rows_committed", "Rows that commits stored or changed", counts.rows())
    }
}

#[cfg(test)]
mod tests {
    use chassis::metrics::{page, registry};

    use super::*;

    #[test]
    fn the_page_tells_how_many_rows_shared_how_many_commits() {
        let counts = Arc::new(Commits::default());
        counts.count(3);
        counts.count(0);
        let mut registry = registry();
        let store = registry.sub_registry_with_prefix("store");
        store.register_collector(Box::new(CommitMetrics(counts)));
        let page = page(&registry).unwrap();
        assert!(page.contains("\ncandeliver_store_commits_total 1\n"), "{page}");
        assert!(page.contains("\ncandeliver_store_rows_committed_total 3\n"), "{page}");
    }
}
