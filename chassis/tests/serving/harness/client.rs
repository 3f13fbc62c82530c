//! A client without timers or retries of its own: what the server answers is what a test sees.

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::Streaming;
use tonic::{Response, Status};
use tonic_prost::ProstCodec;

const ORIGIN: &str = "http://server.test";

/// One HTTP/2 connection.
pub struct Client {
    pub sender: SendRequest<Body>,
    /// Ends when the connection does.
    pub connection: JoinHandle<()>,
}

/// A whole answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub http_status: StatusCode,
    pub head: HeaderMap,
    pub trailers: Option<HeaderMap>,
}

/// The connection as a service, which tonic's clients are made over.
pub type Connection = tower::util::BoxCloneService<Request<Body>, http::Response<Incoming>, hyper::Error>;

impl Client {
    pub async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        // The defaults are lower than what some tests send.
        http2.timer(TokioTimer::new()).max_header_list_size(1024 * 1024);
        let (sender, connection) = http2.handshake(TokioIo::new(io)).await.unwrap();
        let connection = tokio::spawn(async { drop(connection.await) });
        Self { sender, connection }
    }

    pub fn service(&self) -> Connection {
        let sender = self.sender.clone();
        Connection::new(tower::service_fn(move |request| {
            let mut sender = sender.clone();
            async move {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }))
    }

    pub fn origin() -> http::Uri {
        http::Uri::from_static(ORIGIN)
    }

    /// Calls Say.
    pub async fn say(&self, text: &str) -> Result<String, Status> {
        self.request(text, None).await
    }

    /// Calls Say with a deadline.
    pub async fn say_within(&self, text: &str, timeout: Duration) -> Result<String, Status> {
        self.request(text, Some(timeout)).await
    }

    /// Calls Say in the background.
    pub fn saying(&self, text: &'static str) -> JoinHandle<Result<String, Status>> {
        let mut grpc = Grpc::with_origin(self.service(), Self::origin());
        tokio::spawn(async move {
            let path = http::uri::PathAndQuery::from_static("/test.Script/Say");
            let response = grpc.unary(tonic::Request::new(text.to_owned()), path, codec()).await;
            response.map(Response::into_inner)
        })
    }

    /// Calls Tell.
    pub async fn tell(&self, text: &str, timeout: Option<Duration>) -> Result<Streaming<String>, Status> {
        let mut grpc = Grpc::with_origin(self.service(), Self::origin());
        let path = http::uri::PathAndQuery::from_static("/test.Script/Tell");
        let response = grpc.server_streaming(request(text, timeout), path, codec()).await;
        response.map(Response::into_inner)
    }

    async fn request(&self, text: &str, timeout: Option<Duration>) -> Result<String, Status> {
        let mut grpc = Grpc::with_origin(self.service(), Self::origin());
        let path = http::uri::PathAndQuery::from_static("/test.Script/Say");
        grpc.unary(request(text, timeout), path, codec()).await.map(Response::into_inner)
    }

    /// Sends a request as it is.
    pub async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static [u8],
    ) -> hyper::Result<Answer> {
        let mut request = Request::post(format!("{ORIGIN}{path}"));
        let mut all: HashMap<_, _> = [("content-type", "application/grpc"), ("te", "trailers")].into();
        all.extend(headers.iter().copied());
        for (name, value) in all {
            request = request.header(name, value);
        }
        let request = request.body(Body::new(Full::from(body))).unwrap();
        let response = self.sender.clone().send_request(request).await?;
        let (head, body) = response.into_parts();
        let trailers = body.collect().await?.trailers().cloned();
        Ok(Answer { http_status: head.status, head: head.headers, trailers })
    }

    /// The HTTP status of a request of another method.
    pub async fn http_status(&self, method: Method, path: &str) -> StatusCode {
        let request = Request::builder().method(method).uri(format!("{ORIGIN}{path}"));
        let request = request.body(Body::empty()).unwrap();
        self.sender.clone().send_request(request).await.unwrap().status()
    }
}

impl Answer {
    /// The gRPC status, wherever it stands.
    pub fn status(&self) -> Status {
        let trailers = self.trailers.as_ref().and_then(Status::from_header_map);
        trailers.or_else(|| Status::from_header_map(&self.head)).expect("the answer has a grpc-status")
    }
}

fn codec() -> ProstCodec<String, String> {
    ProstCodec::default()
}

fn request(text: &str, timeout: Option<Duration>) -> tonic::Request<String> {
    let mut request = tonic::Request::new(text.to_owned());
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    request
}
