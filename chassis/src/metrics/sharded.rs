//! Counts that calls write: each runtime adds to cache lines of its own, so that counting makes no core wait for another;
//! who reads sums up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// N counts of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct Sharded<const N: usize>(Arc<Mutex<Vec<Arc<Shard<N>>>>>);

/// The counts of one runtime.
#[derive(Debug)]
#[repr(align(128))]
pub struct Shard<const N: usize>([AtomicU64; N]);

// === impl Sharded ===

impl<const N: usize> Sharded<N> {
    /// The counts of one more runtime.
    #[must_use]
    pub fn shard(&self) -> Arc<Shard<N>> {
        let shard = Arc::new(Shard([const { AtomicU64::new(0) }; N]));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&shard));
        shard
    }

    /// What all runtimes have counted so far.
    #[must_use]
    pub fn totals(&self) -> [u64; N] {
        let mut totals = [0; N];
        for shard in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for (total, count) in totals.iter_mut().zip(&shard.0) {
                *total += count.load(Relaxed);
            }
        }
        totals
    }
}

impl<const N: usize> Default for Sharded<N> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

// === impl Shard ===

impl<const N: usize> Shard<N> {
    /// Adds to the count in a place.
    pub fn add(&self, place: usize, count: u64) {
        self.0[place].fetch_add(count, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_runtime_counted_is_summed_by_place() {
        let counts = Sharded::<3>::default();
        let (first, second) = (counts.shard(), counts.shard());
        first.add(0, 1);
        second.add(2, 10);
        first.add(2, 1);
        assert_eq!(counts.clone().totals(), [1, 0, 11]);
    }

    #[test]
    fn no_two_runtimes_write_to_one_cache_line() {
        assert_eq!(align_of::<Shard<1>>(), 128);
        assert_eq!(size_of::<Shard<1>>(), 128);
    }
}
