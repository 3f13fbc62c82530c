//! Serving connections: whatever stream of bytes they come over, whichever runtime drives them.

mod age;
mod handshake;
pub(crate) mod http2;
pub(crate) mod inline;
mod pace;
pub(crate) mod preface;
mod seldom;

use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use hyper::server::conn::http2::Builder;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener as AsyncListener;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::services::{Dispatch, Services};
use crate::settings::ServerSettings;
use crate::shutdown::Shutdown;
use crate::tls::ServerTls;
use age::Age;
pub use handshake::HANDSHAKE_TIMEOUT;
use inline::{Inline, driven};
use pace::Paced;
use preface::Replayed;
pub(crate) use seldom::Seldom;

/// How long a client may take to send the 24 bytes that open HTTP/2; it needs no answer of ours for them. Without it a
/// connection that says nothing stays for ever.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(3);

/// The pause after a failed accept. Out of file descriptors (EMFILE) the connection stays in the queue, so the next
/// accept would fail at once too, and the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What bounds the connections; a clone counts the same connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    connections: Arc<Semaphore>,
    max_connections: usize,
    max_streams: u32,
    max_age: Option<Duration>,
}

// === impl ConnectionLimits ===

impl ConnectionLimits {
    /// The limits that the settings name, with no connections counted yet: make it once for a process.
    #[must_use]
    pub fn new(settings: &ServerSettings) -> Self {
        let max_connections = settings.max_connections.min(Semaphore::MAX_PERMITS);
        let connections = Arc::new(Semaphore::new(max_connections));
        Self {
            connections,
            max_connections,
            max_streams: settings.max_streams,
            max_age: settings.max_connection_age(),
        }
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.max_connections - self.connections.available_permits()
    }

    /// How many connections may be open.
    pub(crate) fn max_open(&self) -> usize {
        self.max_connections
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self::new(&ServerSettings::default())
    }
}

/// A bound port, to be accepted on, and a small runtime of its own; the listener is to be dropped first.
pub(crate) fn on_a_runtime(listener: TcpListener) -> io::Result<(AsyncListener, Runtime)> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        AsyncListener::from_std(listener)?
    };
    Ok((listener, runtime))
}

/// Serves each connection that comes in until `shutdown` starts or no more come; then finishes those that are open and
/// returns when the last is closed. Dropping the future closes all of them at once.
pub async fn serve_connections<IO>(
    incoming: impl Stream<Item = io::Result<IO>>,
    services: Services,
    limits: ConnectionLimits,
    shutdown: Shutdown,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    serve_secured(incoming, services, limits, None, shutdown).await;
}

/// The same, with TLS on every connection if there is any.
pub async fn serve_secured<IO>(
    incoming: impl Stream<Item = io::Result<IO>>,
    services: Services,
    limits: ConnectionLimits,
    tls: Option<ServerTls>,
    shutdown: Shutdown,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let http2 = http2::builder(limits.max_streams);
    let dispatch = Dispatch::new(services);
    let mut connections = JoinSet::new();
    let mut over_the_cap = Seldom::default();
    let mut accept_failed = Seldom::default();
    {
        let mut incoming = pin!(incoming);
        let mut started = pin!(shutdown.started());
        loop {
            let next = tokio::select! {
                () = &mut started => break,
                Some(_) = connections.join_next() => continue,
                next = incoming.next() => next,
            };
            match next {
                None => break,
                Some(Err(error)) => pause_after_accept_error(&error, &mut accept_failed).await,
                Some(Ok(io)) => match Arc::clone(&limits.connections).try_acquire_owned() {
                    Ok(permit) => {
                        let age = Age::new(limits.max_age);
                        let dispatch = dispatch.until(age.streams_end());
                        let connection = Connection { http2: http2.clone(), dispatch, age, permit };
                        match &tls {
                            None => connections.spawn(connection.serve(io, shutdown.clone())),
                            Some(tls) => {
                                connections.spawn(connection.secure(io, tls.clone(), shutdown.clone()))
                            }
                        };
                    }
                    Err(_) => over_the_cap.warn("too many connections: closing new ones at once"),
                },
            }
        }
        // Leaving this block drops what connections come from, which closes the door.
    }
    while connections.join_next().await.is_some() {}
}

/// Tells of a failed accept, at most once a second, and waits if the next would fail the same way.
pub(crate) async fn pause_after_accept_error(error: &io::Error, seldom: &mut Seldom) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
        seldom.warn(&format!("cannot accept connections: {error}"));
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// What it takes to serve one connection.
struct Connection {
    http2: Builder<Inline>,
    dispatch: Dispatch,
    age: Age,
    permit: OwnedSemaphorePermit,
}

// === impl Connection ===

impl Connection {
    /// Serves inside of TLS. The handshake is this task's, so that it holds up nobody else, and counts as a connection.
    async fn secure<IO>(mut self, io: IO, tls: ServerTls, shutdown: Shutdown)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let secured = tokio::select! {
            secured = handshake::accept(&tls, io) => secured,
            () = shutdown.started() => return,
        };
        if let Some(stream) = secured {
            self.dispatch = self.dispatch.called_by(tls.caller(stream.get_ref().1));
            self.serve(stream, shutdown).await;
        }
    }

    async fn serve<IO>(self, mut io: IO, shutdown: Shutdown)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let _counted = self.permit;
        let opening = tokio::select! {
            opening = tokio::time::timeout(PREFACE_TIMEOUT, preface::read(&mut io)) => opening,
            // Nothing has been asked on it yet, so nothing is lost.
            () = shutdown.started() => return,
        };
        let opening = match opening {
            Ok(Ok(opening)) if opening.is_http2() => opening,
            Ok(Ok(_)) => return preface::explain(io).await,
            Ok(Err(_)) | Err(_) => return,
        };
        let io = TokioIo::new(Replayed::new(Paced::new(io), opening));
        let mut connection = pin!(self.http2.serve_connection(io, self.dispatch));
        let last_calls = async {
            tokio::select! {
                () = shutdown.started() => {}
                () = self.age.reached() => {}
            }
        };
        let result = tokio::select! {
            result = driven(connection.as_mut()) => Some(result),
            () = last_calls => {
                // GOAWAY: the client opens its next calls elsewhere, and those that run here go on.
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = driven(connection) => Some(result),
                    () = self.age.over() => None,
                }
            }
        };
        match result {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%error, "a connection ended with an error"),
            None => tracing::info!("a connection was cut: it went on long after its age"),
        }
    }
}
