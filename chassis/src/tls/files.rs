//! The PEM files of one side of TLS: a certificate with its key, and the authorities that the other side's must come from.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// Far more than a chain of certificates takes, and than a large bundle of authorities does: what is longer is not one.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A PEM file and the flag that named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFile {
    flag: &'static str,
    path: PathBuf,
}

/// Why there is no TLS. Names flags, variables and paths, never what a key file holds.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file can't be read, or does not hold what it should.
    #[error("{setting} wants {wanted}, and {path} is none: {problem}")]
    File {
        /// The flag and its variable.
        setting: String,
        /// What the file should hold.
        wanted: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Settings that need one another.
    #[error("{0}")]
    Settings(String),
    /// A certificate and a key that each can be read.
    #[error("{certificate} and {key} hold no pair that can be used: {problem}")]
    Pair {
        /// The flag and the variable of the certificate.
        certificate: String,
        /// The flag and the variable of the key.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// The system has no thread for looking after the files.
    #[error("the certificates can't be looked after: {0}")]
    Thread(#[from] io::Error),
}

/// The files of one side.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// The certificate, followed by those between it and its authority, and its key.
    pub(super) pair: Option<(PemFile, PemFile)>,
    pub(super) authorities: Option<PemFile>,
}

/// What was in them at one moment. Two are equal if nothing has changed, whatever became of links and times meanwhile:
/// Kubernetes swaps links, others write in place.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pair: Option<(Content, Content)>,
    authorities: Option<Content>,
}

#[derive(Clone, PartialEq, Eq)]
struct Content {
    file: PemFile,
    bytes: Vec<u8>,
}

// === impl PemFile ===

impl PemFile {
    /// The file that `--flag` names.
    #[must_use]
    pub fn new(flag: &'static str, path: PathBuf) -> Self {
        Self { flag, path }
    }

    /// The flag with its variable.
    pub(super) fn setting(&self) -> String {
        setting(self.flag)
    }

    /// An error for a file that is named where `why` makes it useless: somebody believes that something is secured by it.
    #[must_use]
    pub fn pointless(&self, why: &str) -> TlsError {
        TlsError::Settings(format!("{} is set, and {why}: nothing would be secured by it", self.setting()))
    }

    fn read(&self, wanted: &'static str) -> Result<Content, TlsError> {
        let mut bytes = Vec::new();
        let read =
            File::open(&self.path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Err(error) => Err(self.wanted(wanted, error)),
            Ok(_) if bytes.len() as u64 > MAX_FILE_BYTES => {
                Err(self.wanted(wanted, format!("it is longer than {MAX_FILE_BYTES} bytes")))
            }
            Ok(_) => Ok(Content { file: self.clone(), bytes }),
        }
    }

    fn wanted(&self, wanted: &'static str, problem: impl ToString) -> TlsError {
        TlsError::File {
            setting: self.setting(),
            wanted,
            path: self.path.clone(),
            problem: problem.to_string(),
        }
    }
}

/// A flag with its variable, as errors name it.
pub(super) fn setting(flag: &str) -> String {
    format!("--{flag} (CANDELIVER_{})", flag.replace('-', "_").to_uppercase())
}

const CERTIFICATE: &str = "a PEM file with a certificate";
const KEY: &str = "a PEM file with an unencrypted private key";
const AUTHORITIES: &str = "a PEM file with certificates of authorities";

// === impl Files ===

impl Files {
    /// A certificate and its key, and the authorities.
    pub(super) fn new(
        certificate: Option<PemFile>,
        key: Option<PemFile>,
        authorities: Option<PemFile>,
    ) -> Result<Self, TlsError> {
        let alone = |file: PemFile, other| {
            let pair = "a certificate and its key go together";
            Err(TlsError::Settings(format!("{} is set without its {other}: {pair}", file.setting())))
        };
        let pair = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(certificate), None) => return alone(certificate, "key"),
            (None, Some(key)) => return alone(key, "certificate"),
        };
        Ok(Self { pair, authorities })
    }

    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        let pair = match &self.pair {
            Some((certificate, key)) => Some((certificate.read(CERTIFICATE)?, key.read(KEY)?)),
            None => None,
        };
        let authorities = self.authorities.as_ref().map(|file| file.read(AUTHORITIES)).transpose()?;
        Ok(Contents { pair, authorities })
    }
}

// === impl Contents ===

impl Contents {
    /// The certificate with those between it and its authority, and its key.
    pub(super) fn pair(
        &self,
    ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, TlsError> {
        let Some((certificate, key)) = &self.pair else { return Ok(None) };
        let chain = certificate.certificates(CERTIFICATE)?;
        let key = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|error| key.file.wanted(KEY, error))?;
        Ok(Some((chain, key)))
    }

    /// The authorities, if a file names them.
    pub(super) fn authorities(&self) -> Result<Option<RootCertStore>, TlsError> {
        let Some(content) = &self.authorities else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in content.certificates(AUTHORITIES)? {
            roots.add(certificate).map_err(|error| content.file.wanted(AUTHORITIES, error))?;
        }
        Ok(Some(roots))
    }

    /// An error of the pair as a whole.
    pub(super) fn misfit(&self, error: impl ToString) -> TlsError {
        let name =
            |content: Option<&Content>| content.map(|content| content.file.setting()).unwrap_or_default();
        let (certificate, key) = self.pair.as_ref().map(|(certificate, key)| (certificate, key)).unzip();
        TlsError::Pair { certificate: name(certificate), key: name(key), problem: error.to_string() }
    }
}

// === impl Content ===

impl Content {
    /// At least one.
    fn certificates(&self, wanted: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match found {
            Ok(found) if found.is_empty() => Err(self.file.wanted(wanted, "there is no certificate in it")),
            Ok(found) => Ok(found),
            Err(error) => Err(self.file.wanted(wanted, error)),
        }
    }
}
