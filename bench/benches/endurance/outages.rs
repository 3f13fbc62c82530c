//! Products that die, stop, and come back.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::{Instant, interval, sleep};
use tonic::Code;

use crate::load::{Ends, ms, steady};
use crate::system::{System, wanted};

const DEADLINE: Duration = Duration::from_secs(1);

/// Product killed: what callers wait for under STRICT, and what still reaches Product.
pub async fn killed() {
    let mut system = System::start(1, &[]).await;
    steady(&system, 200.0, Duration::from_secs(2), DEADLINE).await;
    system.products[0].kill();
    // Until its breaker is open.
    steady(&system, 200.0, Duration::from_secs(1), DEADLINE).await;
    let before = system.attempts().await;
    let seconds = 10;
    let ends = steady(&system, 500.0, Duration::from_secs(seconds), DEADLINE).await;
    let attempts = system.attempts().await - before;
    println!(
        "killed: {} calls under STRICT, {}: p50 {}, p99 {}; attempts on Product: {attempts} in {seconds} s \
         (in all: {})",
        ends.len(),
        ends.failures(),
        ms(ends.quantile(0.50)),
        ms(ends.quantile(0.99)),
        system.outcomes().await,
    );
}

/// Every attempt fails and no breaker helps: how much more Product would get than was asked.
pub async fn amplification() {
    let never = [
        "--product-breaker-failure-percent=101",
        "--product-breaker-slow-percent=101",
        "--product-retry-burst=100",
    ];
    let mut system = System::start(1, &never).await;
    system.products[0].kill();
    let began = Instant::now();
    let calls = steady(&system, 1_000.0, Duration::from_secs(10), DEADLINE).await.len() as f64;
    let attempts = system.attempts().await;
    let reserve = began.elapsed().as_secs_f64() * 2.0;
    println!(
        "amplification: {calls} calls, {attempts} attempts: {:.3}; without the reserve of 2 a second {:.3}",
        attempts / calls,
        (attempts - reserve) / calls,
    );
}

/// Product away for a minute: how soon a call succeeds once it serves again.
pub async fn away() {
    let mut system = System::start(1, &[]).await;
    steady(&system, 50.0, Duration::from_secs(2), DEADLINE).await;
    system.products[0].kill();
    steady(&system, 50.0, Duration::from_secs(60), DEADLINE).await;
    system.products[0].start().await;
    let served = Instant::now();
    let mut client = system.client();
    let mut ticks = interval(Duration::from_millis(10));
    while client.create_delivery(wanted()).await.is_err() {
        ticks.tick().await;
    }
    println!("away: 60 s away, first success {} after it served again", ms(served.elapsed()));
}

/// One of three endpoints swallows everything: SIGSTOP leaves its connections open and its kernel accepting.
pub async fn one_of_three() {
    const RATE: f64 = 200.0;
    let system = System::start(3, &[]).await;
    let healthy = steady(&system, RATE, Duration::from_secs(5), DEADLINE).await;
    system.products[0].signal(Signal::SIGSTOP);
    let ends = steady(&system, RATE, Duration::from_secs(12), DEADLINE).await;
    system.products[0].signal(Signal::SIGCONT);
    let first = ends.between(Duration::ZERO, Duration::from_secs(2));
    let later = ends.between(Duration::from_secs(2), Duration::MAX);
    let answered = |ends: &Ends| ends.ok().len() as f64 * 100.0 / ends.len() as f64;
    println!(
        "one-of-three: healthy p99 {}; first 2 s: {:.2} % answered, p99 {}; after: {:.2} % of {} answered, p99 {}; \
         failures: {}",
        ms(healthy.quantile(0.99)),
        answered(&first),
        ms(first.quantile(0.99)),
        answered(&later),
        later.len(),
        ms(later.quantile(0.99)),
        ends.failures(),
    );
}

/// Three Products restarted one after the other, as a Deployment does, under load.
pub async fn rolling() {
    let mut system = System::start(3, &[]).await;
    let system_load = async |system: &System| steady(system, 200.0, Duration::from_secs(15), DEADLINE).await;
    // The Products are restarted while the load runs on what does not change.
    let mut products = std::mem::take(&mut system.products);
    let restarting = async {
        sleep(Duration::from_secs(2)).await;
        for product in &mut products {
            product.end().await;
            product.start().await;
            sleep(Duration::from_secs(1)).await;
        }
    };
    let (ends, ()) = tokio::join!(system_load(&system), restarting);
    system.products = products;
    let failed = ends.0.iter().filter(|end| end.code != Code::Ok).count();
    println!(
        "rolling: {} calls through a restart of three, {failed} failed ({}), p99 {}; attempts: {}",
        ends.len(),
        ends.failures(),
        ms(ends.quantile(0.99)),
        system.outcomes().await,
    );
}
