//! The client's side: whose servers are believed, and which certificate is shown to them.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::Service;

use super::certificate;
use super::files::{Contents, Files, PemFile, TlsError};
use super::watched::Watched;
use crate::connections::Seldom;
use crate::metrics::{Collector, DescriptorEncoder};

/// How a client's connections are secured. Clones share it.
#[derive(Clone, Debug)]
pub struct ClientTls {
    watched: Arc<Watched<Shown>>,
    complaints: Arc<Mutex<Seldom>>,
}

/// What connections are secured with that open now.
#[derive(Debug)]
struct Shown {
    config: Arc<ClientConfig>,
    /// Of the certificate, if one is shown.
    not_after: Option<u64>,
}

/// Whom a connection must reach: the name, or the address, that the server's certificate is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHost(ServerName<'static>);

/// A connector whose connections are secured.
#[derive(Clone, Debug)]
pub struct Secured<C> {
    connector: C,
    tls: ClientTls,
    host: ServerHost,
}

/// A connection that came about and could not be secured.
#[derive(Debug, thiserror::Error)]
#[error("no TLS with {host}: {why}")]
pub struct NoTls {
    /// Whom it should have reached.
    pub host: String,
    /// What went wrong.
    pub why: io::Error,
}

type BoxError = Box<dyn Error + Send + Sync>;

// === impl ClientTls ===

impl ClientTls {
    /// Believes servers whose certificates come from `authorities`, or, without them, from those that this machine trusts.
    /// Shows a certificate to servers that ask for one. The files are read again when they change.
    ///
    /// # Errors
    /// A file can't be used, or one of a pair is missing.
    pub fn new(
        authorities: Option<PemFile>,
        certificate: Option<PemFile>,
        key: Option<PemFile>,
    ) -> Result<Self, TlsError> {
        let watched = Watched::start(Files::new(certificate, key, authorities)?, Shown::new)?;
        Ok(Self { watched, complaints: Arc::default() })
    }

    /// Around a connector, for one server.
    #[must_use]
    pub fn around<C>(&self, connector: C, host: ServerHost) -> Secured<C> {
        Secured { connector, tls: self.clone(), host }
    }

    /// Secures a connection to a server.
    ///
    /// # Errors
    /// The other end is not that server, does not want this client, or does not speak HTTP/2 over TLS.
    pub async fn connect<IO>(&self, io: IO, host: &ServerHost) -> Result<TlsStream<IO>, NoTls>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.handshake(io, host).await.map_err(|why| {
            let failed = NoTls { host: host.0.to_str().into_owned(), why };
            // What is wrong is the operator's to mend, and callers are told no more than that there is no connection.
            let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
            complaints.warn(&failed.to_string());
            failed
        })
    }

    async fn handshake<IO>(&self, io: IO, host: &ServerHost) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(Arc::clone(&self.watched.current().config));
        let stream = connector.connect(host.0.clone(), io).await?;
        if stream.get_ref().1.alpn_protocol() != Some(super::ALPN) {
            return Err(io::Error::other("the server speaks TLS, but not HTTP/2 in it"));
        }
        Ok(stream)
    }

    /// Looks at the files now. They are looked at every two seconds anyway.
    pub fn look(&self) {
        self.watched.look();
    }
}

impl Collector for ClientTls {
    fn encode(&self, mut page: DescriptorEncoder<'_>) -> fmt::Result {
        super::of_files(&mut page, self.watched.current().not_after, self.watched.failures())
    }
}

// === impl Shown ===

impl Shown {
    fn new(contents: &Contents) -> Result<Self, TlsError> {
        let authorities = match contents.authorities()? {
            Some(authorities) => authorities,
            None => machines_own()?,
        };
        let builder = ClientConfig::builder_with_provider(super::provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| contents.misfit(error))?
            .with_root_certificates(authorities);
        let (mut config, not_after) = match contents.pair()? {
            None => (builder.with_no_client_auth(), None),
            Some((chain, key)) => {
                let not_after = chain.first().and_then(certificate::not_after);
                (
                    builder.with_client_auth_cert(chain, key).map_err(|error| contents.misfit(error))?,
                    not_after,
                )
            }
        };
        config.alpn_protocols = vec![super::ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), not_after })
    }
}

/// The authorities that this machine trusts.
fn machines_own() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // Single ones that can't be read take nothing from the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let missing = "an https:// address needs authorities to believe, and this machine names none: give a file of them";
        return Err(TlsError::Settings(missing.to_owned()));
    }
    Ok(roots)
}

// === impl ServerHost ===

impl ServerHost {
    /// The host of a URL: a name, or an address, in brackets if it is one of IPv6.
    #[must_use]
    pub fn parse(host: &str) -> Option<Self> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        ServerName::try_from(bare.to_owned()).ok().map(Self)
    }
}

// === impl Secured ===

impl<C, IO> Service<Uri> for Secured<C>
where
    C: Service<Uri, Response = TokioIo<IO>>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Response = TokioIo<TlsStream<IO>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.connector.call(uri);
        let (tls, host) = (self.tls.clone(), self.host.clone());
        Box::pin(async move {
            let io = connecting.await.map_err(Into::into)?.into_inner();
            Ok(TokioIo::new(tls.connect(io, &host).await?))
        })
    }
}
