//! What floods cost Product and Delivery, and those whom they serve: resident memory at most, and a healthy client's p99 beside
//! its p99 when nobody else is there. Prints one line a flood, and the two figures of each service last.
//!
//! `cargo build --release --bins && cargo bench -p bench --bench floods`; words after `--` name floods by their beginnings.
//! `CANDELIVER_BENCH_PROGRAMS` names another folder of programs. Takes three minutes.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench that can't go on says where")]

mod asked;
#[path = "../../../chassis/tests/hardening/attack/mod.rs"]
mod attack;
mod process;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tonic::transport::Endpoint;

use asked::{Asked, DEADLINE};
use attack::floods::{FLOODS, Flood, Target};
use process::Process;

/// Questions of the healthy client, a second: an open loop, so that an answer that is late delays no further question.
const RATE: f64 = 500.0;
const HOW_LONG: Duration = Duration::from_secs(4);

/// What a client saw.
struct Seen {
    p50: Duration,
    p99: Duration,
    failures: usize,
}

fn main() {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted =
        |flood: &&Flood| wanted.is_empty() || wanted.iter().any(|word| flood.name.starts_with(word));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let product = Process::start("product", &[]);
    runtime.block_on(product.until_it_serves());
    let asked = runtime.block_on(Asked::can_deliver(product.address));
    flooded(&runtime, &product, &asked, FLOODS.iter().filter(is_wanted));

    let delivery = Process::start("delivery", &[format!("--product-url=http://{}", product.address)]);
    runtime.block_on(delivery.until_it_serves());
    let asked = asked.create_delivery();
    flooded(&runtime, &delivery, &asked, FLOODS.iter().filter(is_wanted));
}

/// Floods a service with one after the other while a healthy client asks it.
fn flooded<'a>(
    runtime: &tokio::runtime::Runtime,
    process: &Process,
    asked: &Asked,
    floods: impl Iterator<Item = &'a Flood>,
) {
    let address = process.address;
    runtime.block_on(ask(address, asked, HOW_LONG / 2));
    let unloaded = runtime.block_on(ask(address, asked, HOW_LONG));
    println!(
        "{}, unloaded: p50 {}, p99 {}, resident {:.1} MiB",
        asked.path(),
        ms(unloaded.p50),
        ms(unloaded.p99),
        process.resident_mib()
    );
    let (mut worst, mut most) = (Duration::ZERO, 0.0_f64);
    for flood in floods {
        process.forget_its_peak();
        let raging = Raging::begin(*flood, address, &asked.target());
        let seen = runtime.block_on(ask(address, asked, HOW_LONG));
        raging.end();
        let peak = process.peak_mib();
        println!(
            "{}: p50 {}, p99 {} ({:.1} × unloaded), {} failed; resident at most {peak:.1} MiB",
            flood.name,
            ms(seen.p50),
            ms(seen.p99),
            ratio(seen.p99, unloaded.p99),
            seen.failures,
        );
        (worst, most) = (worst.max(seen.p99), most.max(peak));
    }
    println!(
        "all: p99 at most {:.1} × unloaded (to reach: 5), resident memory at most {most:.1} MiB (to reach: 64)",
        ratio(worst, unloaded.p99)
    );
}

/// Attackers on a thread of their own.
struct Raging(tokio::runtime::Runtime);

// === impl Raging ===

impl Raging {
    fn begin(flood: Flood, address: SocketAddr, target: &Target) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        for _ in 0..flood.attackers {
            runtime.spawn(flood.rage(address, target.clone()));
        }
        Self(runtime)
    }

    fn end(self) {
        self.0.shutdown_timeout(Duration::from_secs(5));
    }
}

/// Asks at the healthy client's rate for so long.
async fn ask(address: SocketAddr, asked: &Asked, how_long: Duration) -> Seen {
    let channel =
        Endpoint::from_shared(format!("http://{address}")).unwrap().tcp_nodelay(true).connect_lazy();
    asked.clone().ask(channel.clone()).await.expect("the connection is made before it is measured");
    let mut ticks = interval(Duration::from_secs_f64(1.0 / RATE));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (began, mut questions) = (Instant::now(), tokio::task::JoinSet::new());
    while began.elapsed() < how_long {
        ticks.tick().await;
        questions.spawn(asked.clone().ask(channel.clone()));
    }
    let (mut took, mut failures) = (Vec::new(), 0);
    while let Some(answer) = questions.join_next().await {
        match answer.unwrap() {
            Some(duration) => took.push(duration),
            None => failures += 1,
        }
    }
    took.sort_unstable();
    let quantile = |part: f64| took.get((took.len() as f64 * part) as usize).copied().unwrap_or(DEADLINE);
    Seen { p50: quantile(0.50), p99: quantile(0.99), failures }
}

fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
