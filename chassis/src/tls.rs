//! TLS: certificates in files that are read again when they change, the server's side and the client's. rustls with ring,
//! TLS 1.3 and 1.2, HTTP/2 alone (ALPN `h2`).
//!
//! Neither side resumes sessions: a resumed one would keep the identity of a certificate that has been replaced since, and
//! connections last for minutes, so that what a whole handshake costs is nothing beside the calls.

mod certificate;
pub mod client;
mod figures;
mod files;
mod server;
mod settings;
mod watched;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub(crate) use certificate::names;
pub(crate) use figures::of_files;
pub use files::{PemFile, TlsError};
pub use server::ServerTls;
pub use settings::TlsSettings;

/// What both sides speak, and nothing else: gRPC.
const ALPN: &[u8] = b"h2";

/// Asked for by name: with a second provider somewhere in the tree rustls panics where it is to choose one.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
