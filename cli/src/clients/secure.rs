//! Reaching a service over TLS, as Delivery reaches Product.

use std::path::PathBuf;

use chassis::tls::PemFile;
use chassis::tls::client::{ClientTls, ServerHost};
use clap::Args;
use hyper_util::client::legacy::connect::HttpConnector;
use tonic::transport::{Channel, Endpoint};

use crate::exit::{Exit, Failure};

/// Whom to believe over TLS, and who to be.
#[derive(Args, Clone, Debug, Default)]
pub struct TlsFlags {
    /// The authorities in PEM from which the certificate of an https:// service must come; those that this machine trusts,
    /// unless given.
    #[arg(long, env = "CANDELIVER_CA_FILE", value_name = "FILE", global = true, help_heading = "Connection")]
    ca_file: Option<PathBuf>,

    /// The certificate in PEM that shows an https:// service who you are.
    #[arg(
        long,
        env = "CANDELIVER_CERT_FILE",
        value_name = "FILE",
        global = true,
        help_heading = "Connection"
    )]
    cert_file: Option<PathBuf>,

    /// The private key of --cert-file in PEM, unencrypted.
    #[arg(
        long,
        env = "CANDELIVER_KEY_FILE",
        value_name = "FILE",
        global = true,
        help_heading = "Connection"
    )]
    key_file: Option<PathBuf>,
}

// === impl TlsFlags ===

impl TlsFlags {
    /// A channel to an https:// address that is connected when it is first used.
    ///
    /// # Errors
    /// A file can't be used, or the host is none that a certificate could name.
    pub fn channel(&self, endpoint: &Endpoint) -> Result<Channel, Failure> {
        let usage = |problem: String| Failure::new(Exit::Usage, problem);
        let file = |flag, path: &Option<PathBuf>| path.clone().map(|path| PemFile::new(flag, path));
        let [authorities, certificate, key] = [
            file("ca-file", &self.ca_file),
            file("cert-file", &self.cert_file),
            file("key-file", &self.key_file),
        ];
        let tls = ClientTls::new(authorities, certificate, key).map_err(|error| usage(error.to_string()))?;
        let host = endpoint.uri().host().and_then(ServerHost::parse);
        let host =
            host.ok_or_else(|| usage(format!("no certificate could name the host of {}", endpoint.uri())))?;
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        Ok(endpoint.connect_with_connector_lazy(tls.around(tcp, host)))
    }
}
