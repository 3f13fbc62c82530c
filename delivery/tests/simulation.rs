//! Delivery's client of Product against three Products in a simulated network: crashes, partitions, delays, slow answers,
//! errors, all from a seed, in simulated time. A seed that fails is printed and replays.
//!
//! SIMULATION_SEEDS says how many seeds (200); SIMULATION_SEED=n replays one.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "support/fake_product.rs"]
mod fake_product;
#[path = "simulation/faults.rs"]
mod faults;
#[path = "simulation/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

const DEFAULT_SEEDS: u64 = 200;

#[test]
fn whatever_happens_to_three_products_no_promise_is_broken() {
    if let Ok(seed) = std::env::var("SIMULATION_SEED") {
        return world::run(seed.parse().unwrap());
    }
    let seeds = std::env::var("SIMULATION_SEEDS").map_or(DEFAULT_SEEDS, |seeds| seeds.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    let failed = std::thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds) {
                if catch_unwind(AssertUnwindSafe(|| world::run(seed))).is_err() {
                    failed.push(seed);
                }
            }
            failed
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(failed.is_empty(), "seeds that failed: {failed:?}; SIMULATION_SEED=n replays one");
}

#[test]
fn a_seed_replays() {
    assert_eq!(world::history(7), world::history(7));
}
