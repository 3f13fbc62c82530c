//! TLS: who speaks it gets in, who does not is gone soon, and nobody waits for anybody else's handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chassis::connections::{HANDSHAKE_TIMEOUT, PREFACE_TIMEOUT};
use chassis::settings::ServerSettings;
use chassis::tls::client::ServerHost;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::harness::pki::Pki;
use crate::harness::{Client, Wire, secured, soon};

/// A client of one's own making: of one version, speaking some protocols.
fn raw(pki: &Pki, version: &'static SupportedProtocolVersion, alpn: &[&str]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pki.ca()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

fn served(pki: &Pki) -> Wire {
    Wire::secured(&ServerSettings::default(), secured::load(&secured::settings(pki)))
}

#[tokio::test]
async fn calls_are_answered_in_tls_1_3_and_in_tls_1_2() {
    let pki = Pki::new();
    let wire = served(&pki);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let name = secured::SERVER.try_into().unwrap();
        let stream = soon(raw(&pki, version, &["h2"]).connect(name, wire.connect())).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(Client::over(stream).await.say("hello").await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn a_client_that_speaks_no_http_2_gets_no_further_than_the_handshake() {
    let pki = Pki::new();
    let wire = served(&pki);
    let name = secured::SERVER.try_into().unwrap();
    let other = raw(&pki, &rustls::version::TLS13, &["http/1.1"]).connect(name, wire.connect());
    assert!(soon(other).await.is_err());
}

#[tokio::test]
async fn a_server_of_another_name_or_of_another_authority_is_not_believed() {
    let (pki, other) = (Pki::new(), Pki::new());
    let wire = served(&pki);
    let tls = secured::client_tls(&pki, None);
    let other_name = ServerHost::parse("other.test").unwrap();
    let elsewhere = tls.connect(wire.connect(), &other_name);
    assert!(soon(elsewhere).await.unwrap_err().to_string().contains("not valid for name"));
    let stranger = secured::client(&secured::client_tls(&other, None), wire.connect()).await;
    assert!(stranger.is_err());
    assert_eq!(secured::client(&tls, wire.connect()).await.unwrap().say("hello").await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_closed_when_its_handshake_has_taken_too_long() {
    let pki = Pki::new();
    let wire = served(&pki);
    let mut silent = wire.connect();
    let start = Instant::now();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "closed without a word");
    assert!((HANDSHAKE_TIMEOUT..2 * HANDSHAKE_TIMEOUT).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_after_its_handshake_is_closed_after_the_preface_timeout() {
    let pki = Pki::new();
    let wire = served(&pki);
    let mut silent = secured::secure(&secured::client_tls(&pki, None), wire.connect()).await.unwrap();
    let start = Instant::now();
    let closed = silent.read(&mut [0]).await;
    assert!(closed.map_or_else(|error| error.kind() == io::ErrorKind::UnexpectedEof, |count| count == 0));
    assert!((PREFACE_TIMEOUT..2 * PREFACE_TIMEOUT).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_speaks_plain_text_is_closed_at_once() {
    let pki = Pki::new();
    let wire = served(&pki);
    for opening in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nhost: server.test\r\n\r\n"] {
        let mut plain = wire.connect();
        plain.write_all(opening.as_bytes()).await.unwrap();
        let start = Instant::now();
        let mut alert = Vec::new();
        plain.read_to_end(&mut alert).await.unwrap();
        assert!(alert.len() < 16, "an alert at most: {alert:?}");
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_connection_counts_from_before_its_handshake() {
    let pki = Pki::new();
    let settings = ServerSettings { max_connections: 1, ..ServerSettings::default() };
    let wire = Wire::secured(&settings, secured::load(&secured::settings(&pki)));
    let _silent = wire.connect();
    let mut refused = wire.connect();
    assert_eq!(soon(refused.read(&mut [0])).await.unwrap(), 0, "closed without a word");
}

#[tokio::test]
async fn a_handshake_that_hangs_holds_up_neither_others_nor_the_drain() {
    let pki = Pki::new();
    let wire = served(&pki);
    let _silent = wire.connect();
    let client = secured::client(&secured::client_tls(&pki, None), wire.connect()).await.unwrap();
    assert_eq!(client.say("hello").await.unwrap(), "hello");
    wire.end();
    soon(wire.serving).await.unwrap();
}
