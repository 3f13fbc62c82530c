//! Services that speak TLS with each other and with the story, all on localhost, with certificates of one authority.

use std::path::Path;

use chassis::tls::PemFile;
use chassis::tls::client::{ClientTls, ServerHost};
use hyper_util::client::legacy::connect::HttpConnector;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;

use super::pki::{Pair, Pki};
use super::process::Service;
use super::services::until_health_is;

/// What every service's certificate names.
pub const HOST: &str = "localhost";

/// A client that believes an authority, and may show a certificate.
pub fn caller(pki: &Pki, shown: Option<Pair>) -> ClientTls {
    let (cert, key) = shown.map(|pair| (pair.cert, pair.key)).unzip();
    let file = |path| PemFile::new("story-file", path);
    ClientTls::new(Some(file(pki.ca())), cert.map(file), key.map(file)).expect("the files are good")
}

/// A channel to localhost over TLS.
pub fn channel(endpoint: &Endpoint, tls: &ClientTls) -> Channel {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let host = ServerHost::parse(HOST).expect("a name");
    endpoint.connect_with_connector_lazy(tls.around(tcp, host))
}

/// The flags of a server that shows a certificate, asks for one, and allows what a file says.
pub fn server_flags(pki: &Pki, shown: &Pair, access: &Path) -> Vec<String> {
    let files = [
        ("--tls-cert-file", shown.cert.as_path()),
        ("--tls-key-file", shown.key.as_path()),
        ("--tls-client-ca-file", &pki.ca()),
        ("--access-file", access),
    ];
    files.iter().flat_map(|(flag, path)| [(*flag).to_owned(), path.display().to_string()]).collect()
}

/// The flags of a Delivery that asks a Product over TLS.
pub fn product_flags(pki: &Pki, shown: &Pair) -> Vec<String> {
    let files = [
        ("--product-ca-file", pki.ca()),
        ("--product-cert-file", shown.cert.clone()),
        ("--product-key-file", shown.key.clone()),
    ];
    files.iter().flat_map(|(flag, path)| [(*flag).to_owned(), path.display().to_string()]).collect()
}

/// A service that speaks TLS, spoken to by somebody.
pub async fn start(name: &str, arguments: &[String], caller: ClientTls) -> Service {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut service = Service::start(name, None, &arguments).await;
    service.tls = Some(caller);
    until_health_is(&service, ServingStatus::Serving).await;
    service
}
