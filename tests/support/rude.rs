//! Clients that make it hard to end: they connect and say nothing, or ask and never read.

use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The largest window that HTTP/2 knows: the client promises to take anything.
const WHOLE_WINDOW: u32 = (1 << 31) - 1;
/// Small, so that little is on its way before the server has to wait.
const RECEIVE_BUFFER_BYTES: u32 = 4 * 1024;

/// A connection on which nothing, or not enough, is said.
pub struct Silent(TcpStream);

/// A connection with calls on it whose answers are never read.
pub struct NeverReads {
    _connection: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
    _answers: Vec<Incoming>,
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
    /// Makes one call a number of times, sees the first bytes of each answer, and reads no further.
    pub async fn connect(address: SocketAddr, path: &str, request: &impl Message, calls: usize) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).expect("a small buffer");
        let stream = socket.connect(address).await.expect("the service takes connections");
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.initial_stream_window_size(WHOLE_WINDOW).initial_connection_window_size(WHOLE_WINDOW);
        let (sender, connection) = http2.handshake(TokioIo::new(stream)).await.expect("HTTP/2 begins");
        let mut connection: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(connection);

        let mut message = vec![0];
        message.extend(u32::try_from(request.encoded_len()).expect("small").to_be_bytes());
        message.extend(request.encode_to_vec());
        let calls = (0..calls).map(|_| {
            let request = http::Request::post(format!("http://{address}{path}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers");
            let request = request.body(Full::new(Bytes::from(message.clone()))).expect("a request");
            first_bytes(sender.clone().send_request(request))
        });
        let answers = tokio::select! {
            answers = join_all(calls) => answers,
            ended = &mut connection => panic!("the connection ended: {ended:?}"),
        };
        // Nobody polls the connection from here on.
        Self { _connection: connection, _answers: answers }
    }
}

async fn first_bytes(call: impl Future<Output = hyper::Result<http::Response<Incoming>>>) -> Incoming {
    let mut answer = call.await.expect("an answer begins").into_body();
    let first = answer.frame().await.expect("it has something to say").expect("the connection lives");
    assert!(first.is_data(), "it is a long answer: {first:?}");
    answer
}
