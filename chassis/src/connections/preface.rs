//! The first 24 bytes of a connection: HTTP/2's preface, which hyper gets to see again, or something else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// What every HTTP/2 client sends first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

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

/// What a client began with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// HTTP/2's preface, all of it and no byte more.
    Http2,
    /// Anything else.
    SomethingElse,
}

/// Reads the preface, or as much as it takes to see that it is something else.
pub(super) async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Opening> {
    let mut bytes = [0_u8; PREFACE.len()];
    let mut filled = 0;
    while filled < PREFACE.len() {
        let count = io.read(&mut bytes[filled..]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
        if bytes[..filled] != PREFACE[..filled] {
            return Ok(Opening::SomethingElse);
        }
    }
    Ok(Opening::Http2)
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

/// A stream whose preface was read: reading begins with the preface again.
#[derive(Debug)]
pub(super) struct Replayed<IO> {
    io: IO,
    /// How much of the preface has been read again.
    again: usize,
}

// === impl Replayed ===

impl<IO> Replayed<IO> {
    pub(super) fn new(io: IO) -> Self {
        Self { io, again: 0 }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Replayed<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &PREFACE[self.again..];
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
        assert_eq!(read(&mut server).await.unwrap(), Opening::Http2);
        let mut everything = Vec::new();
        Replayed::new(server).read_to_end(&mut everything).await.unwrap();
        assert_eq!(everything, [&PREFACE[..], b"frames"].concat());
    }

    #[tokio::test]
    async fn the_first_other_byte_is_enough_to_see_something_else() {
        let (mut client, mut server) = tokio::io::duplex(64);
        client.write_all(b"PO").await.unwrap();
        assert_eq!(read(&mut server).await.unwrap(), Opening::SomethingElse);
    }

    #[test]
    fn the_explanation_has_the_length_that_it_says() {
        let text = std::str::from_utf8(EXPLANATION).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{} bytes", body.len());
    }
}
