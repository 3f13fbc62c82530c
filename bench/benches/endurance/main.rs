//! What an outage of Product costs: a real Delivery, real Products, real signals. Prints one line a figure.
//!
//! `cargo build --release --bins && cargo bench -p bench --bench endurance`; a word after `--` names one measurement. Takes
//! three minutes, one of which is Product's absence.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench that can't go on says where")]

mod load;
mod outages;
mod overload;
mod system;

use std::future::Future;
use std::pin::Pin;

type Measurement = fn() -> Pin<Box<dyn Future<Output = ()>>>;

const MEASUREMENTS: &[(&str, Measurement)] = &[
    ("killed", || Box::pin(outages::killed())),
    ("amplification", || Box::pin(outages::amplification())),
    ("away", || Box::pin(outages::away())),
    ("one-of-three", || Box::pin(outages::one_of_three())),
    ("rolling", || Box::pin(outages::rolling())),
    ("overload", || Box::pin(overload::overload())),
];

fn main() {
    // Cargo's own flags come along; a measurement is named without dashes.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (name, measure) in MEASUREMENTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            runtime.block_on(measure());
        }
    }
}
