//! The first bytes of a connection: HTTP/2's preface or something else, which hyper gets to see again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

const PREFACE_BYTES: usize = 24;
/// What every HTTP/2 client sends first.
const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const EXPLANATION: &[u8] = b"HTTP/1.1 426 Upgrade Required\r\n\
    upgrade: h2c\r\n\
    connection: close, upgrade\r\n\
    content-type: text/plain\r\n\
    content-length: 71\r\n\
    \r\n\
    This port speaks gRPC over HTTP/2 (prior knowledge, without HTTP/1.1).\n";

/// How long, and how much, is still read from a client that got the explanation: closing a socket with unread bytes in
/// it may take the answer away from the client again.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 * 1024;

/// What a client began with: HTTP/2's preface, all of it and no byte more, or as much of anything else as shows that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    bytes: [u8; PREFACE_BYTES],
    filled: usize,
}

/// Reads the preface, or as much as it takes to see that it is something else.
pub(crate) async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Opening> {
    let mut opening = Opening { bytes: [0; PREFACE_BYTES], filled: 0 };
    while opening.filled < PREFACE_BYTES {
        let count = io.read(&mut opening.bytes[opening.filled..]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        opening.filled += count;
        if *opening.read() != PREFACE[..opening.filled] {
            break;
        }
    }
    Ok(opening)
}

// === impl Opening ===

impl Opening {
    pub(crate) fn is_http2(&self) -> bool {
        self.bytes == *PREFACE
    }

    fn read(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

/// Says, in HTTP/1.1, what this port speaks.
pub(super) async fn explain(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    let answer = async {
        io.write_all(EXPLANATION).await?;
        io.shutdown().await?;
        tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // Whether the client wanted to read it is its own affair.
    let _ = tokio::time::timeout(LINGER, answer).await;
}

/// A stream whose opening was read: reading begins with it again.
#[derive(Debug)]
pub(crate) struct Replayed<IO> {
    io: IO,
    opening: Opening,
    /// How much of the opening has been read again.
    again: usize,
}

// === impl Replayed ===

impl<IO> Replayed<IO> {
    pub(crate) fn new(io: IO, opening: Opening) -> Self {
        Self { io, opening, again: 0 }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Replayed<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.opening.read()[self.again..];
        if rest.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.again += count;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Replayed<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_preface_that_comes_in_pieces_is_read_and_read_again() {
        let (mut client, mut server) = tokio::io::duplex(5);
        tokio::spawn(async move {
            client.write_all(PREFACE).await.unwrap();
            client.write_all(b"frames").await.unwrap();
        });
        let opening = read(&mut server).await.unwrap();
        assert!(opening.is_http2());
        let mut everything = Vec::new();
        Replayed::new(server, opening).read_to_end(&mut everything).await.unwrap();
        assert_eq!(everything, [&PREFACE[..], b"frames"].concat());
    }

    #[tokio::test]
    async fn the_first_other_byte_is_enough_to_see_something_else_which_is_read_again() {
        let (mut client, mut server) = tokio::io::duplex(64);
        client.write_all(b"PO").await.unwrap();
        let opening = read(&mut server).await.unwrap();
        assert!(!opening.is_http2());
        drop(client);
        let mut everything = Vec::new();
        Replayed::new(server, opening).read_to_end(&mut everything).await.unwrap();
        assert_eq!(everything, b"PO");
    }

    #[test]
    fn the_explanation_has_the_length_that_it_says() {
        let text = std::str::from_utf8(EXPLANATION).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{} bytes", body.len());
    }
}
