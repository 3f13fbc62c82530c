//! An accepted connection on the runtime that serves it, counted there until it is closed.

use std::io;
use std::net::TcpStream as StdStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::busy::Arrivals;

/// Counts the connections of one runtime.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Arc<AtomicUsize>);

/// One connection's place in the count.
#[derive(Debug)]
pub(super) struct Seat(Arc<AtomicUsize>);

/// A connection with its seat.
#[derive(Debug)]
pub(super) struct Handed {
    stream: TcpStream,
    _seat: Seat,
    /// Who wants to know that bytes have come.
    arrivals: Option<Arc<Arrivals>>,
}

// === impl Seats ===

impl Seats {
    pub(super) fn take(&self) -> Seat {
        self.0.fetch_add(1, Ordering::Relaxed);
        Seat(Arc::clone(&self.0))
    }

    pub(super) fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Handed ===

impl Handed {
    /// The connection, its readiness from now on watched by the runtime that this is called on.
    pub(super) fn new(stream: StdStream, seat: Seat, arrivals: Option<Arc<Arrivals>>) -> io::Result<Self> {
        TcpStream::from_std(stream).map(|stream| Self { stream, _seat: seat, arrivals })
    }
}

impl AsyncRead for Handed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let (Poll::Ready(_), Some(arrivals)) = (&polled, &self.arrivals) {
            arrivals.note();
        }
        polled
    }
}

impl AsyncWrite for Handed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// What is asked is not whether it could: h2 gathers small frames in one buffer, but those of 256 bytes and more only if
    /// they can't be written beside it, and then up to 1,024. A delivery has 300, and each would be a system call.
    fn is_write_vectored(&self) -> bool {
        false
    }
}
