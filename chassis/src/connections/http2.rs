//! How HTTP/2 is spoken: the protocol's limits, each with its reason.

use hyper::server::conn::http2::Builder;
use hyper_util::rt::TokioTimer;

use super::inline::Inline;

/// Names and values of a call's headers together. Ours are a few hundred bytes; traces and tokens fit well.
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;

/// Bytes of a request that may wait unread: a batch of 1,000 items fits without a pause.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;

/// The same for a connection: what one client can make the server hold.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Calls that a client cancelled before they were looked at. Callers with short deadlines make bursts of them; at h2's
/// 20 the whole connection would be closed, and every other call on it lost.
const MAX_PENDING_ACCEPT_RESET_STREAMS: usize = 4_096;

/// The same for streams that this side resets.
const MAX_LOCAL_ERROR_RESET_STREAMS: usize = 4_096;

pub(crate) fn builder(max_streams: u32) -> Builder<Inline> {
    let mut builder = Builder::new(Inline);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(max_streams)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_ACCEPT_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_LOCAL_ERROR_RESET_STREAMS)
        // gRPC has no use for the date, which would be in every answer.
        .auto_date_header(false);
    builder
}
