//! gRPC as bytes over HTTP/2: says what a generated client can't, and has no timers or retries of its own.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::{Code, Status};

/// One HTTP/2 connection, which its clones share.
#[derive(Clone)]
pub struct Raw {
    sender: SendRequest<Full<Bytes>>,
    origin: String,
}

/// What a call was answered with.
#[derive(Debug)]
pub struct Answer {
    pub http_status: StatusCode,
    /// OK also for a stream that said something and was read no further.
    pub status: Status,
    /// Its messages as they came, each in its frame; nothing of a stream.
    pub body: Bytes,
}

// === impl Raw ===

impl Raw {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the service takes connections");
        // A call is some small writes: each would wait for the acknowledgement of the one before.
        stream.set_nodelay(true).expect("a socket");
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2 begins");
        tokio::spawn(connection);
        Self { sender, origin: format!("http://{address}") }
    }

    /// Makes a call. Headers stand in the place of those that a call has anyway. A stream is read to its first message.
    pub async fn call(
        &self,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
        is_stream: bool,
    ) -> hyper::Result<Answer> {
        let mut request = http::Request::post(format!("{}{path}", self.origin))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(body))
            .expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(name, value.clone());
        }
        let (head, body) = self.sender.clone().send_request(request).await?.into_parts();
        let (trailers, body) = if is_stream {
            (begin(body).await?, Bytes::new())
        } else {
            let body = body.collect().await?;
            (body.trailers().cloned(), body.to_bytes())
        };
        let status = trailers.as_ref().and_then(Status::from_header_map);
        let status = status.or_else(|| Status::from_header_map(&head.headers));
        let status = status.unwrap_or_else(|| Status::new(Code::Unknown, "no grpc-status"));
        Ok(Answer { http_status: head.status, status, body })
    }
}

/// Reads the beginning of a stream: its trailers if it has ended, and OK in their place if it says something.
async fn begin(mut body: Incoming) -> hyper::Result<Option<HeaderMap>> {
    let Some(first) = body.frame().await.transpose()? else { return Ok(None) };
    let said =
        || HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    Ok(Some(first.into_trailers().unwrap_or_else(|_message| said())))
}

/// A message as gRPC frames it.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).expect("under 4 GiB").to_be_bytes());
    frame.extend(message);
    frame
}
