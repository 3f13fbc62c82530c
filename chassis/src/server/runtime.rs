//! One serving thread: a current-thread runtime that drives its own share of the connections. (The multi-threaded
//! runtime serves a third less on each core: it flushes about once for each answer.)

mod busy;
mod handed;

use std::io;
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use futures_util::stream;
use tokio::sync::mpsc as queue;

use crate::connections::{ConnectionLimits, Seldom, serve_secured};
use crate::services::{CallLimits, Services};
use crate::shutdown::Shutdown;
use crate::tls::ServerTls;
use busy::Arrivals;
use handed::{Handed, Seat, Seats};

/// Accepted connections that a runtime has not looked at yet. It looks thousands of times a second, so a full queue
/// means that a handler holds the thread.
const MAX_QUEUED_CONNECTIONS: usize = 1_024;

/// A serving thread as the acceptor sees it.
pub(super) struct Runtime {
    connections: queue::Sender<(StdStream, Seat)>,
    seats: Seats,
}

/// What the serving threads have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) calls: CallLimits,
    pub(super) connections: ConnectionLimits,
    pub(super) tls: Option<ServerTls>,
    /// How long a thread looks for further bytes before it sleeps; `None`: it sleeps at once.
    pub(super) busy_poll: Option<Duration>,
    pub(super) shutdown: Shutdown,
    /// The drain's deadline: drop what is left.
    pub(super) cutting: Shutdown,
    pub(super) reports: mpsc::Sender<Report>,
}

/// What a thread tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Its services are made.
    Serving,
    /// It has ended, or is about to, with nothing left to do.
    Ended,
}

/// Reports the end of its thread, panics included.
struct EndReport(mpsc::Sender<Report>);

// === impl Runtime ===

impl Runtime {
    pub(super) fn start<F>(index: usize, shared: Shared, make_services: F) -> io::Result<Self>
    where
        F: Fn() -> Services + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (connections, queued) = queue::channel(MAX_QUEUED_CONNECTIONS);
        let work = move || {
            let _end = EndReport(shared.reports.clone());
            runtime.block_on(serve(queued, make_services, &shared));
            // Drops what is left of the calls, and does not wait for blocking work that handlers left behind.
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name(format!("serving-{index}")).spawn(work)?;
        Ok(Self { connections, seats: Seats::default() })
    }

    /// How many connections it has, queued ones included.
    pub(super) fn open_connections(&self) -> usize {
        self.seats.taken()
    }

    /// Gives it a connection; one that it has no room for is closed.
    pub(super) fn hand_over(&self, connection: StdStream, queue_full: &mut Seldom) -> io::Result<()> {
        match self.connections.try_send((connection, self.seats.take())) {
            Ok(()) => Ok(()),
            Err(queue::error::TrySendError::Full(_)) => {
                queue_full.warn("a serving thread does not take its connections: closing new ones at once");
                Ok(())
            }
            Err(queue::error::TrySendError::Closed(_)) => Err(io::Error::other("a serving thread has ended")),
        }
    }
}

async fn serve(
    queued: queue::Receiver<(StdStream, Seat)>,
    make_services: impl Fn() -> Services,
    shared: &Shared,
) {
    let services = make_services().with_limits(shared.calls.clone());
    let _ = shared.reports.send(Report::Serving);
    let arrivals = shared.busy_poll.map(|at_most| {
        let arrivals = Arc::new(Arrivals::default());
        tokio::spawn(Arc::clone(&arrivals).poll_busily(at_most));
        arrivals
    });
    let incoming = stream::unfold(queued, |mut queued: queue::Receiver<_>| async {
        let (connection, seat) = queued.recv().await?;
        Some((Handed::new(connection, seat, arrivals.clone()), queued))
    });
    let (limits, tls) = (shared.connections.clone(), shared.tls.clone());
    tokio::select! {
        () = serve_secured(incoming, services, limits, tls, shared.shutdown.clone()) => {}
        () = shared.cutting.started() => {}
    }
}

// === impl EndReport ===

impl Drop for EndReport {
    fn drop(&mut self) {
        // An error means that nobody waits for it any more.
        let _ = self.0.send(Report::Ended);
    }
}

/// Waits until each thread has made its services.
pub(super) fn wait_until_all_serve(reports: &mpsc::Receiver<Report>, threads: usize) -> io::Result<()> {
    for _ in 0..threads {
        if reports.recv() != Ok(Report::Serving) {
            return Err(io::Error::other("a serving thread ended before it served"));
        }
    }
    Ok(())
}

/// Waits until `running` threads have ended, or until `deadline`; says how many still run.
pub(super) fn wait_until_all_end(
    reports: &mpsc::Receiver<Report>,
    running: usize,
    deadline: Instant,
) -> usize {
    let mut running = running;
    while running > 0 {
        match reports.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Report::Ended) => running -= 1,
            Ok(Report::Serving) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    running
}
