//! A gRPC gateway in front of a Product, which can answer in its place with an error.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self as client, SendRequest};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// An error that a gateway answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    /// When to come again, as RetryInfo says it.
    pub retry_after: Option<Duration>,
}

/// What an error says for people: nobody but Delivery's log is to see it.
pub const SECRET: &str = "the gateway is broken";

/// Passes calls on over one connection, or answers them itself. Ends when dropped.
pub struct Gateway {
    /// Where it listens.
    pub address: SocketAddr,
    failure: watch::Sender<Option<Failure>>,
    serving: AbortHandle,
}

type Answer = Response<Either<Incoming, Empty<Bytes>>>;

// === impl Gateway ===

impl Gateway {
    /// In front of a Product, passing all on.
    pub async fn in_front_of(behind: SocketAddr) -> Self {
        let stream = TcpStream::connect(behind).await.expect("Product takes connections");
        stream.set_nodelay(true).expect("a socket");
        let (product, connection) =
            client::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2 begins");
        tokio::spawn(connection);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (failure, current) = watch::channel(None);
        let serving = tokio::spawn(serve(listener, product, current)).abort_handle();
        Self { address, failure, serving }
    }

    /// Answers every call so from now on.
    pub fn fail(&self, failure: Failure) {
        self.failure.send_replace(Some(failure));
    }

    /// Passes calls on again.
    pub fn heal(&self) {
        self.failure.send_replace(None);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

// === impl Failure ===

impl Failure {
    fn into_status(self) -> Status {
        match self.retry_after {
            None => Status::new(self.code, SECRET),
            Some(delay) => {
                let details = ErrorDetails::with_retry_info(Some(delay));
                Status::with_error_details(self.code, SECRET, details)
            }
        }
    }
}

async fn serve(
    listener: TcpListener,
    product: SendRequest<Incoming>,
    failure: watch::Receiver<Option<Failure>>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let (product, failure) = (product.clone(), failure.clone());
                let service = service_fn(move |request| answer(request, product.clone(), *failure.borrow()));
                connections.spawn(async move {
                    stream.set_nodelay(true).expect("a socket");
                    // How a connection ends is its client's affair.
                    drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    mut product: SendRequest<Incoming>,
    failure: Option<Failure>,
) -> Result<Answer, Infallible> {
    let error = match failure {
        Some(failure) => failure.into_status(),
        None => match product.send_request(request).await {
            Ok(answer) => return Ok(answer.map(Either::Left)),
            Err(error) => Status::unavailable(error.to_string()),
        },
    };
    Ok(error.into_http::<()>().map(|()| Either::Right(Empty::new())))
}
