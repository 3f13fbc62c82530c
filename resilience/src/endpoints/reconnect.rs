//! Pauses between attempts to connect to an endpoint that does not take connections.
//!
//! A lazy channel dials for each request that finds it disconnected. With this around its connector it dials again only
//! when a pause has passed, and tells the requests between that there is no connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tower::Service;

use crate::random::Random;

/// How long a connection may take, and the pauses after one that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectSettings {
    /// How long making a connection may take. Shorter than an attempt, which else would time out where it should move on.
    pub timeout: Duration,
    /// The first one.
    pub first: Duration,
    /// The longest; each is twice the one before, less up to a half of it by chance. Shorter than a breaker's wait, or its
    /// probes would find no connection attempted.
    pub max: Duration,
}

/// A connector that pauses after failures.
#[derive(Clone, Debug)]
pub struct Reconnect<C> {
    connector: C,
    settings: ReconnectSettings,
    random: Random,
    pauses: Arc<Mutex<Pauses>>,
}

#[derive(Debug, Default)]
struct Pauses {
    failures: u32,
    until: Option<Instant>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

// === impl Reconnect ===

impl<C> Reconnect<C> {
    /// Around the connector of one endpoint.
    #[must_use]
    pub fn new(connector: C, settings: ReconnectSettings, random: Random) -> Self {
        Self { connector, settings, random, pauses: Arc::default() }
    }
}

impl<C, T> Service<T> for Reconnect<C>
where
    C: Service<T>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    C::Response: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: T) -> Self::Future {
        let pauses = Arc::clone(&self.pauses);
        if pauses.lock().unwrap_or_else(PoisonError::into_inner).last(Instant::now()) {
            let refused = io::Error::new(io::ErrorKind::NotConnected, "connecting failed a moment ago");
            return Box::pin(async { Err(refused.into()) });
        }
        let (settings, chance) = (self.settings, self.random.fraction());
        let connecting = timeout(settings.timeout, self.connector.call(target));
        // In a task of its own: a channel stops looking after it when the call that wanted it gives up.
        let connecting = tokio::spawn(async move {
            match connecting.await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time").into()),
            }
        });
        Box::pin(async move {
            let connected = connecting.await.unwrap_or_else(|panicked| Err(panicked.into()));
            let mut pauses = pauses.lock().unwrap_or_else(PoisonError::into_inner);
            match &connected {
                Ok(_) => *pauses = Pauses::default(),
                Err(_) => pauses.lengthen(settings, chance, Instant::now()),
            }
            connected
        })
    }
}

// === impl Pauses ===

impl Pauses {
    /// Whether a pause lasts.
    fn last(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    fn lengthen(&mut self, settings: ReconnectSettings, chance: f64, now: Instant) {
        let pause = settings.first.saturating_mul(1 << self.failures.min(31)).min(settings.max);
        self.failures += 1;
        self.until = Some(now + pause.mul_f64(1.0 - chance / 2.0));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const SETTINGS: ReconnectSettings = ReconnectSettings {
        timeout: Duration::from_millis(200),
        first: Duration::from_millis(20),
        max: Duration::from_millis(100),
    };

    #[tokio::test(start_paused = true)]
    async fn a_dead_endpoint_is_dialled_ever_more_seldom_and_one_that_is_back_at_once() {
        let (dialled, alive) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let connector = {
            let (dialled, alive) = (Arc::clone(&dialled), Arc::clone(&alive));
            tower::service_fn(move |(): ()| {
                dialled.fetch_add(1, Ordering::Relaxed);
                let alive = alive.load(Ordering::Relaxed) == 1;
                async move { if alive { Ok(()) } else { Err("refused") } }
            })
        };
        let mut reconnect = Reconnect::new(connector, SETTINGS, Random::seeded(1));
        for _ in 0..1_000 {
            assert!(reconnect.call(()).await.is_err());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let tries = dialled.load(Ordering::Relaxed);
        assert!((10..=24).contains(&tries), "{tries} in a second of calls");
        alive.store(1, Ordering::Relaxed);
        tokio::time::advance(SETTINGS.max).await;
        assert!(reconnect.call(()).await.is_ok());
        assert!(reconnect.call(()).await.is_ok());
    }
}
