//! What a certificate says: whom it names, and until when it holds.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// The names in the certificate's extension for them (SAN), each kind in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) uris: Vec<String>,
    pub(crate) dns: Vec<String>,
}

/// Whom it names; nobody, if it can't be read.
pub(crate) fn names(certificate: &CertificateDer<'_>) -> Names {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Names::default() };
    let uris = certificate.valid_uri_names().map(str::to_owned).collect();
    let dns = certificate.valid_dns_names().map(str::to_owned).collect();
    Names { uris, dns }
}

/// The last second in which it holds, in seconds since 1970.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<u64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs())
}
