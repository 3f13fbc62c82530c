//! The admin port: the metrics page in plain HTTP/1.1, from a thread of its own, so that a busy service can't starve it.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener as AsyncListener;
use tokio::task::JoinSet;

use crate::connections::{Seldom, on_a_runtime, pause_after_accept_error};
use crate::metrics::{self, Registry};
use crate::shutdown::Shutdown;

/// Where the page is.
pub const METRICS_PATH: &str = "/metrics";

/// The page's format, as its specification names it.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Most connections at once; more are closed as they come. Scrapers are a handful, and each asks and leaves.
const MAX_CONNECTIONS: usize = 64;

/// How long a connection may last, from its first byte to its last: one deadline for silence, for a head that drips in
/// and for an answer that nobody reads. It has one question, and Prometheus waits no longer for the answer by default.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head, which is all that is ever read of a client: hyper takes no less.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Serves the page until `shutdown` starts; then the thread ends at once, and with it what it has in hand: an exchange
/// takes milliseconds, and a scraper asks again.
///
/// # Errors
/// The listener does not work, or the system gives no thread.
pub fn serve(listener: TcpListener, registry: Registry, shutdown: Shutdown) -> io::Result<JoinHandle<()>> {
    let address = listener.local_addr()?;
    let (listener, runtime) = on_a_runtime(listener)?;
    tracing::info!(%address, "serving metrics");
    let work = move || {
        runtime.block_on(async {
            tokio::select! {
                () = accept(listener, registry) => {}
                () = shutdown.started() => {}
            }
        });
    };
    std::thread::Builder::new().name("admin".to_owned()).spawn(work)
}

/// Accepts for ever; dropping the future closes every connection.
async fn accept(listener: AsyncListener, registry: Registry) {
    let registry = Arc::new(registry);
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
                connections.spawn(exchange(stream, Arc::clone(&registry)));
            }
        }
    }
}

/// One question, one answer, and the connection ends.
async fn exchange(io: impl AsyncRead + AsyncWrite + Unpin, registry: Arc<Registry>) {
    let service = service_fn(|request| {
        let response = answer(&request, &registry);
        async { Ok::<_, Infallible>(response) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(MAX_HEAD_BYTES);
    let exchange = http.serve_connection(TokioIo::new(io), service);
    if let Ok(Err(error)) = tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await {
        tracing::debug!(%error, "a connection to the admin port ended with an error");
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
    let mut response = Response::new(page);
    response.headers_mut().insert(header::CONTENT_TYPE, OPEN_METRICS);
    response
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
    use tokio::time::Instant;

    use super::*;

    /// How long the server keeps a connection on which a client says this and then nothing.
    async fn kept_open(said: &[u8]) -> Duration {
        // Less than any answer, so that an answer nobody reads does not fit.
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(said).await.unwrap();
        let start = Instant::now();
        exchange(server, Arc::default()).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_too_little_or_reads_nothing_is_given_up_in_time() {
        assert_eq!(kept_open(b"").await, EXCHANGE_TIMEOUT);
        assert_eq!(kept_open(b"GET /metrics HTTP/1.1\r\nhost: ").await, EXCHANGE_TIMEOUT);
        assert_eq!(kept_open(b"GET /metrics HTTP/1.1\r\n\r\n").await, EXCHANGE_TIMEOUT);
    }
}
