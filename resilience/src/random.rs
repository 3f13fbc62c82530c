//! Random numbers from a seed that is passed in, so that a simulated run can be replayed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random numbers. Clones share it; none waits for another.
#[derive(Clone, Debug)]
pub struct Random(Arc<AtomicU64>);

// === impl Random ===

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// The next number. (SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.)
    #[must_use]
    pub fn next(&self) -> u64 {
        const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(GOLDEN_GAMMA, Ordering::Relaxed).wrapping_add(GOLDEN_GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0, included, to 1, excluded.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        const SCALE: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.next() >> 11) as f64 * SCALE
    }

    /// From 0 up to, and without, `below`, which is at least 1.
    #[must_use]
    pub fn below(&self, below: usize) -> usize {
        let wide = u128::from(self.next()) * below as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }
}
