//! The TLS handshake of a connection, which must not take long.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

use crate::tls::ServerTls;

/// How long a client may take for its part of the TLS handshake: three messages, between which it waits for an answer and
/// does some arithmetic. Half of what people wait for a page, so that a client far away on a bad line gets in, and one that
/// says nothing does not hold a place for long.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The connection inside of TLS; none, if there is no such. One that speaks something else is sent an alert and closed.
pub(super) async fn accept<IO>(tls: &ServerTls, io: IO) -> Option<TlsStream<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(io)).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => tls.failed(&error.to_string()),
        Err(_) => tls.failed("it took too long"),
    }
    None
}
