//! The settings of a server's TLS and of who may call what.

use std::path::PathBuf;

use clap::Args;
use thiserror::Error;

use super::files::{Files, PemFile, TlsError, setting};
use super::server::ServerTls;
use crate::access::{Access, AccessError};

const CERT: &str = "tls-cert-file";
const KEY: &str = "tls-key-file";
const CLIENT_CA: &str = "tls-client-ca-file";
const ACCESS: &str = "access-file";

/// How a server's connections are secured, and who may call what on it.
#[derive(Args, Clone, Debug, Default)]
pub struct TlsSettings {
    /// The server's certificate in PEM, followed by those between it and its authority. With it, and --tls-key-file, this
    /// server speaks TLS and nothing else. Read again when it changes: connections that are open stay, new ones get the new
    /// one, and one that can't be used leaves the old one in place.
    #[arg(long = CERT, env = "CANDELIVER_TLS_CERT_FILE", value_name = "FILE")]
    pub tls_cert_file: Option<PathBuf>,

    /// The private key of --tls-cert-file in PEM, unencrypted. Read again when it changes.
    #[arg(long = KEY, env = "CANDELIVER_TLS_KEY_FILE", value_name = "FILE")]
    pub tls_key_file: Option<PathBuf>,

    /// The authorities in PEM whose certificates clients must have. With it every call needs one, and may do what
    /// --access-file says, which is needed too; health checks alone are open to everybody. Read again when it changes.
    #[arg(long = CLIENT_CA, env = "CANDELIVER_TLS_CLIENT_CA_FILE", value_name = "FILE")]
    pub tls_client_ca_file: Option<PathBuf>,

    /// Who may call what: a TOML file with a table [allow], of which each line names an rpc ("package.Service/Method") or a
    /// service ("package.Service") and a list of who may call it: what their certificates name, a SPIFFE id
    /// ("spiffe://...") or, where there is none, a DNS name. Who is not named may do nothing. A table [limits."who"] bounds the
    /// calls_in_flight and calls_per_second of one of them, [limits."*"] those of each of the others. Read at start.
    #[arg(long = ACCESS, env = "CANDELIVER_ACCESS_FILE", value_name = "FILE")]
    pub access_file: Option<PathBuf>,
}

/// Why a server can't be secured as it should be.
#[derive(Debug, Error)]
pub enum SecurityError {
    /// Certificates, keys or the settings that name them.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The access file.
    #[error(
        "{} wants a TOML file that says who may call what, and {path} is none: {problem}",
        setting(ACCESS)
    )]
    Access {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: AccessError,
    },
}

// === impl TlsSettings ===

impl TlsSettings {
    /// What the settings ask for; nothing, if they ask for none. `file_descriptor_sets` hold the services that the access
    /// file may name.
    ///
    /// # Errors
    /// A file can't be used, or settings that need one another are not all there.
    pub fn load(&self, file_descriptor_sets: &[&[u8]]) -> Result<Option<ServerTls>, SecurityError> {
        let file = |flag, path: &Option<PathBuf>| path.clone().map(|path| PemFile::new(flag, path));
        let certificate = file(CERT, &self.tls_cert_file);
        let client_ca = file(CLIENT_CA, &self.tls_client_ca_file);
        let files = Files::new(certificate, file(KEY, &self.tls_key_file), client_ca)?;
        self.check(&files)?;
        let access = match &self.access_file {
            None => None,
            Some(path) => Some(
                Access::read(path, file_descriptor_sets)
                    .map_err(|problem| SecurityError::Access { path: path.clone(), problem })?,
            ),
        };
        if files.pair.is_none() {
            return Ok(None);
        }
        Ok(Some(ServerTls::start(files, access)?))
    }

    /// Whether what is set is whole: nothing is open by a slip.
    fn check(&self, files: &Files) -> Result<(), TlsError> {
        let [cert, client_ca, access] = [CERT, CLIENT_CA, ACCESS].map(setting);
        let problem = match (&files.pair, &files.authorities, &self.access_file) {
            (None, Some(_), _) => {
                format!("{client_ca} is set without {cert}: clients show certificates in TLS only")
            }
            (_, None, Some(_)) => {
                format!("{access} is set without {client_ca}: nobody could show who they are")
            }
            (_, Some(_), None) => {
                format!("{client_ca} is set without {access}: nobody would be allowed anything")
            }
            _ => return Ok(()),
        };
        Err(TlsError::Settings(problem))
    }
}
