//! The server's side: which certificate is shown, whose clients are let in, and what each may call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{CommonState, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::certificate;
use super::files::{Contents, Files, TlsError};
use super::watched::Watched;
use crate::access::{Access, Caller, Refused};
use crate::connections::Seldom;
use crate::identity::Identity;

/// How a server's connections are secured. Clones share it.
#[derive(Clone, Debug)]
pub struct ServerTls {
    watched: Arc<Watched<Shown>>,
    /// `None`: clients are not asked who they are, and each may call everything.
    access: Option<Arc<Access>>,
    failed: Arc<Failed>,
}

/// What connections are secured with that open now.
#[derive(Debug)]
struct Shown {
    config: Arc<ServerConfig>,
    not_after: u64,
}

#[derive(Debug, Default)]
struct Failed {
    handshakes: AtomicU64,
    complaints: Mutex<Seldom>,
}

// === impl ServerTls ===

impl ServerTls {
    /// With `access`, clients are asked for a certificate of the authorities' in `files`.
    pub(super) fn start(files: Files, access: Option<Access>) -> Result<Self, TlsError> {
        let watched = Watched::start(files, Shown::new)?;
        Ok(Self { watched, access: access.map(Arc::new), failed: Arc::default() })
    }

    /// For a connection that opens now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.watched.current().config))
    }

    /// Who is at the other end of a connection.
    pub(crate) fn caller(&self, connection: &CommonState) -> Caller {
        let Some(access) = &self.access else { return Caller::Anybody };
        // A certificate that was sent has been verified, or there would be no connection.
        match connection.peer_certificates().and_then(<[_]>::first) {
            None => Caller::Nobody(Arc::clone(access)),
            Some(certificate) => Caller::Known(Arc::clone(access), Identity::of(certificate)),
        }
    }

    /// Counts a handshake that failed, and tells of it now and then: any stranger can make thousands.
    pub(crate) fn failed(&self, why: &str) {
        self.failed.handshakes.fetch_add(1, Ordering::Relaxed);
        let mut complaints = self.failed.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        complaints.warn(&format!("a connection got no further than its TLS handshake: {why}"));
    }

    /// How many handshakes have failed.
    pub(crate) fn failed_handshakes(&self) -> u64 {
        self.failed.handshakes.load(Ordering::Relaxed)
    }

    /// How many calls were refused because their callers had reached their limits; `None`: nobody has any.
    pub(crate) fn refused_calls(&self) -> Option<Refused> {
        self.access.as_ref()?.refused()
    }

    /// The last second in which the certificate holds that is shown, in seconds since 1970.
    pub(crate) fn not_after(&self) -> u64 {
        self.watched.current().not_after
    }

    /// How often the files had changed to something that can't be used.
    pub(crate) fn failed_reloads(&self) -> u64 {
        self.watched.failures()
    }

    /// Looks at the files now. They are looked at every two seconds anyway.
    pub fn look(&self) {
        self.watched.look();
    }
}

// === impl Shown ===

impl Shown {
    fn new(contents: &Contents) -> Result<Self, TlsError> {
        let provider = super::provider();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| contents.misfit(error))?;
        let builder = match contents.authorities()? {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                // Who brings none is let in, to be told UNAUTHENTICATED by the call instead of an alert that few clients show.
                let verifier = WebPkiClientVerifier::builder_with_provider(authorities.into(), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| contents.misfit(error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (chain, key) = contents.pair()?.ok_or_else(|| contents.misfit("there is none"))?;
        let not_after = chain.first().and_then(certificate::not_after);
        let not_after = not_after.ok_or_else(|| contents.misfit("the certificate can't be read"))?;
        let mut config = builder.with_single_cert(chain, key).map_err(|error| contents.misfit(error))?;
        config.alpn_protocols = vec![super::ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), not_after })
    }
}
