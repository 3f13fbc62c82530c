//! Keeps a set of endpoints where a name says they are.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Endpoints;
use crate::random::Random;

/// How often a name is looked up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResolveSettings {
    /// Between two look-ups while all is well.
    pub every: Duration,
    /// That varies by this fraction, up and down, so that many clients don't ask together.
    pub jitter: f64,
    /// At least so long between two, however many connections fail meanwhile.
    pub at_least: Duration,
    /// How long one may take.
    pub timeout: Duration,
}

/// Looks up, sets the endpoints, and does it again every now and then and after each lost connection, for as long as its
/// runtime lives. An answer that names nobody, and none at all, change nothing: the last good set is kept.
pub async fn follow<F>(
    endpoints: Arc<Endpoints>,
    resolve: impl Fn() -> F,
    settings: ResolveSettings,
    random: Random,
) where
    F: Future<Output = std::io::Result<Vec<SocketAddr>>>,
{
    let mut was_fine = true;
    loop {
        let asked_at = Instant::now();
        let answer = timeout(settings.timeout, resolve()).await;
        let is_fine = match answer {
            Ok(Ok(addresses)) if !addresses.is_empty() => {
                endpoints.set(&addresses);
                true
            }
            Ok(Ok(_)) => said_once(was_fine, "the name has no addresses"),
            Ok(Err(error)) => said_once(was_fine, &error.to_string()),
            Err(_) => said_once(was_fine, "the look-up did not answer in time"),
        };
        if is_fine && !was_fine {
            tracing::info!("the name has addresses again");
        }
        was_fine = is_fine;
        let varied = settings.every.mul_f64(1.0 + settings.jitter * (2.0 * random.fraction() - 1.0));
        tokio::select! {
            () = sleep(varied) => {}
            () = endpoints.lost_connection() => sleep_until(asked_at + settings.at_least).await,
        }
    }
}

fn said_once(was_fine: bool, why: &str) -> bool {
    if was_fine {
        tracing::warn!(why, "the endpoints' name can't be looked up; those that are known are kept");
    }
    false
}
