//! Mutual TLS around a connection's socket.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Files of a client of mutual TLS; the server is to be 127.0.0.1.
#[derive(Args, Clone, Debug)]
pub struct Secured {
    /// Speaks TLS, and believes servers of this authority. For closed loops.
    #[arg(long, requires = "cert_file", conflicts_with = "rate")]
    ca_file: Option<PathBuf>,
    /// The certificate that is shown.
    #[arg(long, requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long)]
    key_file: Option<PathBuf>,
}

/// What a closed loop speaks over.
pub trait Socket: Read + Write {}

impl<S: Read + Write> Socket for S {}

// === impl Secured ===

impl Secured {
    /// The socket as it is, or secured.
    pub fn around(&self, socket: TcpStream) -> io::Result<Box<dyn Socket>> {
        let (Some(ca), Some(certificate), Some(key)) = (&self.ca_file, &self.cert_file, &self.key_file)
        else {
            return Ok(Box::new(socket));
        };
        let mut authorities = RootCertStore::empty();
        for authority in CertificateDer::pem_file_iter(ca).map_err(io::Error::other)? {
            authorities.add(authority.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(certificate).map_err(io::Error::other)?.collect();
        let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(authorities)
            .with_client_auth_cert(chain.map_err(io::Error::other)?, key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let server = "127.0.0.1".try_into().map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), server).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, socket)))
    }
}
