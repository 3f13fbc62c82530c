//! Clients that make it hard to end: they connect and say nothing, or ask and never read.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server may send that was not read: HTTP/2's own default.
const WINDOW_BYTES: u32 = 65_535;

/// A connection on which nothing, or not enough, is said.
pub struct Silent(TcpStream);

/// A call whose answer began, and is not read.
pub struct NeverReads {
    /// Dropped, it would end the connection.
    _sender: SendRequest<Full<Bytes>>,
    _answer: Incoming,
}

// === impl Silent ===

impl Silent {
    /// Says nothing.
    pub async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("the service takes connections"))
    }

    /// Says half of what opens HTTP/2.
    pub async fn connect_and_begin(address: SocketAddr) -> Self {
        let mut silent = Self::connect(address).await;
        silent.0.write_all(b"PRI * HTTP/2").await.expect("the service reads");
        silent
    }

    /// Waits until the server ends the connection.
    pub async fn ended(mut self) {
        // A reset is an end too.
        let read = self.0.read(&mut [0; 1]).await.unwrap_or(0);
        assert_eq!(read, 0, "nothing is said to a client that said nothing");
    }
}

// === impl NeverReads ===

impl NeverReads {
    /// Makes a call, sees the first bytes of its answer, and reads no further. Of a longer answer the server can't send
    /// the rest.
    pub async fn connect(address: SocketAddr, path: &str, request: &impl Message) -> Self {
        let stream = TcpStream::connect(address).await.expect("the service takes connections");
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
        let (mut sender, connection) = http2.handshake(TokioIo::new(stream)).await.expect("HTTP/2 begins");
        tokio::spawn(connection);

        let mut message = vec![0];
        message.extend(u32::try_from(request.encoded_len()).expect("small").to_be_bytes());
        message.extend(request.encode_to_vec());
        let request = http::Request::post(format!("http://{address}{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from(message)))
            .expect("a request");
        let mut answer = sender.send_request(request).await.expect("an answer begins").into_body();
        let first = answer.frame().await.expect("it has something to say").expect("the connection lives");
        assert!(first.is_data(), "it is a long answer: {first:?}");
        Self { _sender: sender, _answer: answer }
    }
}
