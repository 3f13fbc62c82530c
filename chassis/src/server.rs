//! A serving process: one acceptor, one runtime for each core, and the drain that ends them.

mod acceptor;
mod metrics;
mod runtime;

use std::io;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::admin;
use crate::connections::ConnectionLimits;
use crate::health::Health;
use crate::metrics::Registry;
use crate::services::{CallLimits, Services};
use crate::settings::ServerSettings;
use crate::shutdown::Shutdown;
use crate::tls::ServerTls;
use acceptor::Acceptor;
use metrics::ServerMetrics;
use runtime::{Runtime, Shared};

/// How long runtimes may take to drop what is left at the drain's deadline. One that takes longer has a handler that
/// never yields; it ends with the process.
const CUT_GRACE: Duration = Duration::from_millis(500);

/// Where a process is reached, bound.
#[derive(Debug)]
pub struct Listeners {
    /// Where calls come in.
    pub calls: TcpListener,
    /// How their connections are secured; `None`: they are not.
    pub tls: Option<ServerTls>,
    /// Where metrics and health are read without TLS; `None`: nowhere.
    pub admin: Option<TcpListener>,
}

// === impl Listeners ===

impl From<TcpListener> for Listeners {
    /// Without TLS, and without an admin port.
    fn from(calls: TcpListener) -> Self {
        Self { calls, tls: None, admin: None }
    }
}

/// Serves on the calling thread and one more for each core until `shutdown` starts, then drains: health says
/// NOT_SERVING, no more connections are taken, running calls finish, streams (which watch `shutdown`) end; what is left
/// when the settings' drain time is over is cut. Returns then, whatever clients do.
///
/// `registry` holds what the host has to tell on its metrics page; what is known here is added. The page is served until
/// this returns, since a drain is watched by its figures.
///
/// `make_services` is called once on each runtime, inside it: clients made there stay on that runtime. Must not be
/// called from async code.
///
/// # Errors
/// A listener does not work, a thread can't be started, or `make_services` panicked.
#[allow(clippy::needless_pass_by_value, reason = "handles: a reference would spare nobody anything")]
pub fn run<F>(
    listeners: Listeners,
    settings: &ServerSettings,
    make_services: F,
    health: Health,
    mut registry: Registry,
    shutdown: Shutdown,
) -> io::Result<()>
where
    F: Fn() -> Services + Clone + Send + 'static,
{
    let calls = CallLimits::new(settings);
    let connections = ConnectionLimits::new(settings);
    let (cut, cutting) = Shutdown::new();
    let (reports, reported) = mpsc::channel();
    let shared = Shared {
        calls: calls.clone(),
        connections: connections.clone(),
        tls: listeners.tls.clone(),
        busy_poll: settings.busy_poll(),
        shutdown: shutdown.clone(),
        cutting,
        reports,
    };
    let is_secured = listeners.tls.is_some();
    let threads = settings.thread_count();
    let acceptor = Acceptor::new(listeners.calls)?;
    let runtimes = (0..threads)
        .map(|index| Runtime::start(index, shared.clone(), make_services.clone()))
        .collect::<io::Result<Vec<_>>>()?;
    runtime::wait_until_all_serve(&reported, threads)?;

    // Dropped when this returns, which ends the page.
    let (_page, page_ends) = Shutdown::new();
    if let Some(listener) = listeners.admin {
        ServerMetrics::register(&mut registry, calls.clone(), connections, listeners.tls);
        admin::serve(listener, registry, health.clone(), page_ends)?;
    }
    tracing::info!(address = %acceptor.address(), threads, tls = is_secured, "serving");
    acceptor.accept_until(&shutdown, &runtimes)?;

    let started = Instant::now();
    tracing::info!(seconds = settings.drain_seconds, calls = calls.in_flight(), "draining");
    health.drain();
    drop((acceptor, runtimes));
    let mut calls_cut = 0;
    let mut running = runtime::wait_until_all_end(&reported, threads, started + settings.drain());
    if running > 0 {
        calls_cut = calls.in_flight();
        cut.start();
        running = runtime::wait_until_all_end(&reported, running, Instant::now() + CUT_GRACE);
    }
    if running > 0 {
        tracing::error!(
            threads = running,
            "handlers hold their threads and don't yield: ending without them"
        );
    }
    tracing::info!(calls_cut, seconds = started.elapsed().as_secs_f64(), "drained");
    Ok(())
}
