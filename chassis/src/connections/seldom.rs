//! Warnings that could come by the thousand, told at most once a second.

use std::time::Duration;

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(1);

/// Tells one warning at most once a second, and how often it was kept back.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    last: Option<Instant>,
    kept_back: u64,
}

// === impl Seldom ===

impl Seldom {
    /// Tells the warning, unless it was told less than a second ago.
    pub(crate) fn warn(&mut self, message: &str) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last < INTERVAL) {
            self.kept_back += 1;
            return;
        }
        tracing::warn!(kept_back = self.kept_back, "{message}");
        self.last = Some(now);
        self.kept_back = 0;
    }
}
