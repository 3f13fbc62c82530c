//! The admin port, without TLS: the metrics page in HTTP/1.1, and gRPC health in HTTP/2, from a thread of its own, so that a
//! busy service can't starve it. (A kubelet speaks no TLS to a gRPC probe before Kubernetes 1.37, and has no certificate.)

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener as AsyncListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::connections::http2::builder;
use crate::connections::inline::{Inline, driven};
use crate::connections::preface::{self, Replayed};
use crate::connections::{Seldom, on_a_runtime, pause_after_accept_error};
use crate::health::Health;
use crate::metrics::{self, Registry};
use crate::services::{Dispatch, Services};
use crate::shutdown::Shutdown;

/// Where the page is.
pub const METRICS_PATH: &str = "/metrics";

/// The page's format, as its specification names it.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Its older form, for who asks for that and not for the other.
const CLASSIC: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Most connections at once; more are closed as they come. Scrapers are a handful, and each asks and leaves.
const MAX_CONNECTIONS: usize = 64;

/// How long a connection may last, from its first byte to its last: one deadline for silence, for a head that drips in
/// and for an answer that nobody reads. It has one question, and Prometheus waits no longer for the answer by default. One in
/// HTTP/2 may have more than one, and is told to go (GOAWAY) when the time is over.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head, which is all that is ever read of a client: hyper takes no less.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// How much longer checks of health may take that have begun when their connection's time is over. They take microseconds.
const LAST_CHECKS: Duration = Duration::from_secs(1);

/// Checks of health at once on one connection.
const MAX_STREAMS: u32 = 16;

/// What is served, to every connection alike.
struct Page {
    registry: Registry,
    health: Dispatch,
    http2: http2::Builder<Inline>,
}

/// Serves the page and health until `shutdown` starts; then the thread ends at once, and with it what it has in hand: an exchange
/// takes milliseconds, and a scraper asks again.
///
/// # Errors
/// The listener does not work, or the system gives no thread.
pub fn serve(
    listener: TcpListener,
    registry: Registry,
    health: Health,
    shutdown: Shutdown,
) -> io::Result<JoinHandle<()>> {
    let address = listener.local_addr()?;
    let (listener, runtime) = on_a_runtime(listener)?;
    tracing::info!(%address, "serving metrics and health");
    let page = Page {
        registry,
        health: Dispatch::new(Services::new().add_unlimited(health.service(shutdown.clone()))),
        http2: builder(MAX_STREAMS),
    };
    let work = move || {
        runtime.block_on(async {
            tokio::select! {
                () = accept(listener, page) => {}
                () = shutdown.started() => {}
            }
        });
    };
    std::thread::Builder::new().name("admin".to_owned()).spawn(work)
}

/// Accepts for ever; dropping the future closes every connection.
async fn accept(listener: AsyncListener, page: Page) {
    let page = Arc::new(page);
    let mut connections = JoinSet::new();
    let mut over_the_cap = Seldom::default();
    let mut accept_failed = Seldom::default();
    loop {
        let accepted = tokio::select! {
            // First, so that those that have ended are not counted.
            biased;
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Err(error) => pause_after_accept_error(&error, &mut accept_failed).await,
            Ok(_) if connections.len() >= MAX_CONNECTIONS => {
                over_the_cap.warn("too many connections on the admin port: closing new ones at once");
            }
            Ok((stream, _)) => {
                connections.spawn(exchange(stream, Arc::clone(&page)));
            }
        }
    }
}

/// What the first bytes ask for, and the connection ends.
async fn exchange(mut io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, page: Arc<Page>) {
    let end = Instant::now() + EXCHANGE_TIMEOUT;
    let Ok(Ok(opening)) = timeout_at(end, preface::read(&mut io)).await else { return };
    let io = TokioIo::new(Replayed::new(io, opening));
    let result = if opening.is_http2() { page.checks(io, end).await } else { page.read(io, end).await };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection to the admin port ended with an error");
    }
}

// === impl Page ===

impl Page {
    /// One question in HTTP/1.1, one answer.
    async fn read<IO>(&self, io: IO, end: Instant) -> hyper::Result<()>
    where
        IO: Read + Write + Unpin,
    {
        let service = service_fn(|request| {
            let response = answer(&request, &self.registry);
            async { Ok::<_, Infallible>(response) }
        });
        let mut http = http1::Builder::new();
        http.keep_alive(false).max_buf_size(MAX_HEAD_BYTES);
        timeout_at(end, http.serve_connection(io, service)).await.unwrap_or(Ok(()))
    }

    /// Checks of health.
    async fn checks<IO>(&self, io: IO, end: Instant) -> hyper::Result<()>
    where
        IO: Read + Write + Unpin + Send + 'static,
    {
        let mut connection = pin!(self.http2.serve_connection(io, self.health.clone()));
        if let Ok(result) = timeout_at(end, driven(connection.as_mut())).await {
            return result;
        }
        connection.as_mut().graceful_shutdown();
        timeout_at(end + LAST_CHECKS, driven(connection)).await.unwrap_or(Ok(()))
    }
}

fn answer<B>(request: &Request<B>, registry: &Registry) -> Response<String> {
    if request.uri().path() != METRICS_PATH {
        return sentence(StatusCode::NOT_FOUND, "Metrics are at /metrics.\n");
    }
    if request.method() != Method::GET {
        let mut response = sentence(StatusCode::METHOD_NOT_ALLOWED, "Metrics are read with GET.\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    let Ok(page) = metrics::page(registry) else {
        tracing::error!("the metrics page can't be written");
        return sentence(StatusCode::INTERNAL_SERVER_ERROR, "The page can't be written.\n");
    };
    let (page, format) =
        if wants_classic(request) { (metrics::classic(&page), CLASSIC) } else { (page, OPEN_METRICS) };
    let mut response = Response::new(page);
    response.headers_mut().insert(header::CONTENT_TYPE, format);
    response
}

/// Whoever reads both gets the newer.
fn wants_classic<B>(request: &Request<B>) -> bool {
    let accepted = request.headers().get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted: Vec<_> = accepted.collect();
    let any = |format: &str| accepted.iter().any(|accepted| accepted.contains(format));
    any("text/plain") && !any("application/openmetrics-text")
}

fn sentence(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn page() -> Arc<Page> {
        let (_, shutdown) = Shutdown::new();
        let health = Services::new().add_unlimited(Health::new(&[]).service(shutdown));
        Arc::new(Page {
            registry: Registry::default(),
            health: Dispatch::new(health),
            http2: builder(MAX_STREAMS),
        })
    }

    /// How long the server keeps a connection on which a client says this and then nothing.
    async fn kept_open(said: &[u8]) -> Duration {
        // Less than any answer, so that an answer nobody reads does not fit.
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(said).await.unwrap();
        let start = Instant::now();
        exchange(server, page()).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_too_little_or_reads_nothing_is_given_up_in_time() {
        assert_eq!(kept_open(b"").await, EXCHANGE_TIMEOUT);
        assert_eq!(kept_open(b"PRI * HT").await, EXCHANGE_TIMEOUT);
        let connection = kept_open(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert!((EXCHANGE_TIMEOUT..=EXCHANGE_TIMEOUT + LAST_CHECKS).contains(&connection), "{connection:?}");
        assert_eq!(kept_open(b"GET /metrics HTTP/1.1\r\nhost: ").await, EXCHANGE_TIMEOUT);
        assert_eq!(kept_open(b"GET /metrics HTTP/1.1\r\n\r\n").await, EXCHANGE_TIMEOUT);
    }
}
