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

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tonic::transport::Endpoint;

use asked::{Asked, DEADLINE};
use attack::floods::{FLOODS, Flood, Target};
use process::Process;

/// Questions of the healthy client, a second: an open loop, so that an answer that is late delays no further question.
const RATE: f64 = 500.0;
const HOW_LONG: Duration = Duration::from_secs(4);
/// The word that makes this the process of the attackers.
const RAGE: &str = "--rage";
const WARM_UP: Duration = Duration::from_secs(1);

/// What a client saw.
struct Seen {
    p50: Duration,
    p99: Duration,
    failures: usize,
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [RAGE, flood, address, path] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return rage(flood, address, path);
    }
    let wanted: Vec<_> = arguments.into_iter().filter(|word| !word.starts_with('-')).collect();
    let is_wanted =
        |flood: &&Flood| wanted.is_empty() || wanted.iter().any(|word| flood.name.starts_with(word));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let product = || {
        let product = Process::start("product", &[]);
        runtime.block_on(product.until_it_serves());
        let asked = runtime.block_on(Asked::can_deliver(product.address));
        (product, asked)
    };
    flooded(&runtime, product, FLOODS.iter().filter(is_wanted));

    let (asked_by_delivery, asked) = product();
    let delivery = || {
        let flags = [format!("--product-url=http://{}", asked_by_delivery.address)];
        let delivery = Process::start("delivery", &flags);
        runtime.block_on(delivery.until_it_serves());
        (delivery, asked.clone().create_delivery())
    };
    flooded(&runtime, delivery, FLOODS.iter().filter(is_wanted));
}

/// Floods a service with one after the other while a healthy client asks it: each time a fresh process, so that what it remembers
/// of the rows that were created before counts for none.
fn flooded<'a>(
    runtime: &tokio::runtime::Runtime,
    start: impl Fn() -> (Process, Asked),
    floods: impl Iterator<Item = &'a Flood>,
) {
    let started = || {
        let (process, asked) = start();
        runtime.block_on(ask(process.address, &asked, WARM_UP));
        (process, asked)
    };
    let (process, asked) = started();
    let unloaded = runtime.block_on(ask(process.address, &asked, HOW_LONG));
    println!(
        "{}, unloaded: p50 {}, p99 {}, resident {:.1} MiB",
        asked.path(),
        ms(unloaded.p50),
        ms(unloaded.p99),
        process.resident_mib()
    );
    let (mut worst, mut most) = (Duration::ZERO, 0.0_f64);
    for flood in floods {
        let (process, asked) = started();
        let address = process.address;
        let raging = Raging::begin(*flood, address, &asked.target());
        let seen = runtime.block_on(ask(address, &asked, HOW_LONG));
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

/// Attackers in a process of their own, which has what the others leave of the processors: elsewhere they would have their own.
struct Raging(Child);

// === impl Raging ===

impl Raging {
    fn begin(flood: Flood, address: SocketAddr, target: &Target) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(program).args([RAGE, flood.name, &address.to_string(), &target.path]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&target.message).unwrap();
        Self(child)
    }

    fn end(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What the process of the attackers does, until it is ended or its time is over.
fn rage(flood: &str, address: &str, path: &str) {
    let flood = FLOODS.iter().find(|known| known.name == flood).unwrap();
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message).unwrap();
    let (address, target) = (address.parse().unwrap(), Target { path: path.to_owned(), message });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut attackers = tokio::task::JoinSet::new();
        for _ in 0..flood.attackers {
            attackers.spawn(flood.rage(address, target.clone()));
        }
        tokio::time::sleep(2 * HOW_LONG).await;
    });
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
