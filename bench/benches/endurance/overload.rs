//! Twice as much as Delivery can do.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Request;

use crate::load::{ms, steady};
use crate::system::{System, wanted};

const HOW_LONG: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(1);
/// As many calls at once as keep Delivery busy without a long queue: what it may have in flight, and callers of its own.
const CALLERS: usize = 12;
const LIMIT: &str = "--max-calls-in-flight=12";

/// Finds what Delivery can do, offers twice that, and prints what becomes of it.
pub async fn overload() {
    let system = System::start(1, &[LIMIT]).await;
    let unloaded = steady(&system, 50.0, HOW_LONG, DEADLINE).await;
    let capacity = capacity(&system).await;
    let ends = steady(&system, 2.0 * capacity, HOW_LONG, DEADLINE).await;
    let accepted = ends.ok();
    let goodput = accepted.len() as f64 / HOW_LONG.as_secs_f64();
    println!(
        "overload: capacity {capacity:.0}/s; offered {:.0}/s: goodput {goodput:.0}/s ({:.0} %), p99 of accepted {} \
         (unloaded {}); failures: {}",
        ends.len() as f64 / HOW_LONG.as_secs_f64(),
        goodput * 100.0 / capacity,
        ms(accepted.quantile(0.99)),
        ms(unloaded.quantile(0.99)),
        ends.failures(),
    );
}

/// Calls a second when each caller calls again as soon as it has its answer.
async fn capacity(system: &System) -> f64 {
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let mut client = system.client();
            tokio::spawn(async move {
                let mut done = 0_u32;
                while began.elapsed() < HOW_LONG {
                    done += u32::from(client.create_delivery(Request::new(wanted())).await.is_ok());
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for caller in callers {
        done += caller.await.unwrap();
    }
    f64::from(done) / began.elapsed().as_secs_f64()
}
