//! Busy polling: a serving thread that asks for further bytes over and over for a moment before it sleeps. At low load an
//! answer's time is mostly the time in which a sleeping thread is woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::Instant;

/// What comes in on the connections of one runtime.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    count: AtomicU64,
    /// Whether nobody polls: then the next arrival says so.
    asleep: AtomicBool,
    next: Notify,
}

// === impl Arrivals ===

impl Arrivals {
    /// Bytes have come.
    pub(super) fn note(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.next.notify_one();
        }
    }

    /// Keeps the runtime awake after each arrival, for so long at most; to be a task on it. A task that yields lets the
    /// runtime look for what has come without waiting for it.
    pub(super) async fn poll_busily(self: Arc<Self>, at_most: Duration) {
        loop {
            self.asleep.store(true, Ordering::Relaxed);
            self.next.notified().await;
            let (mut seen, mut since) = (0, Instant::now());
            while since.elapsed() < at_most {
                yield_now().await;
                let count = self.count.load(Ordering::Relaxed);
                if count != seen {
                    (seen, since) = (count, Instant::now());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_MOST: Duration = Duration::from_micros(50);

    async fn is_polling(arrivals: &Arrivals) -> bool {
        yield_now().await;
        yield_now().await;
        !arrivals.asleep.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_stays_awake_for_as_long_as_bytes_keep_coming_and_a_moment_longer() {
        let arrivals = Arc::new(Arrivals::default());
        tokio::spawn(Arc::clone(&arrivals).poll_busily(AT_MOST));
        assert!(!is_polling(&arrivals).await, "nothing has come yet");
        for _ in 0..3 {
            arrivals.note();
            assert!(is_polling(&arrivals).await);
            tokio::time::advance(AT_MOST / 2).await;
            assert!(is_polling(&arrivals).await);
        }
        tokio::time::advance(AT_MOST).await;
        assert!(!is_polling(&arrivals).await);
        arrivals.note();
        assert!(is_polling(&arrivals).await);
    }
}
