//! Certificates that are replaced while calls go on: no call fails, new connections see the new one, and what can't be used
//! changes nothing.

use chassis::metrics;
use chassis::settings::ServerSettings;
use chassis::tls::client::ClientTls;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::harness::pki::Pki;
use crate::harness::{Process, Wire, page, secured, soon};

/// What the server shows to a connection that opens now.
async fn shown(tls: &ClientTls, io: impl AsyncRead + AsyncWrite + Unpin) -> Vec<u8> {
    let stream = secured::secure(tls, io).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_no_call_on_an_old_one_fails() {
    let pki = Pki::new();
    let server = secured::load(&secured::settings(&pki));
    let wire = Wire::secured(&ServerSettings::default(), server.clone());
    let tls = secured::client_tls(&pki, None);
    let old = secured::client(&tls, wire.connect()).await.unwrap();
    let (waiting, before) = (old.saying("wait"), shown(&tls, wire.connect()).await);
    wire.script.until_running(1).await;

    pki.issue("server", &[secured::SERVER]);
    server.look();
    assert_ne!(shown(&tls, wire.connect()).await, before);
    wire.script.open_the_gate();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), "waited");
    assert_eq!(old.say("hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn a_client_shows_its_new_certificate_to_new_connections() {
    let pki = Pki::new();
    let server = secured::mutual(&pki, "\"test.Script\" = [\"old.test\", \"new.test\"]");
    let wire = Wire::secured(&ServerSettings::default(), secured::load(&server));
    let tls = secured::client_tls(&pki, Some(pki.issue("client", &["old.test"])));
    let old = secured::client(&tls, wire.connect()).await.unwrap();
    assert_eq!(old.say("caller").await.unwrap(), "old.test");

    pki.issue("client", &["new.test"]);
    tls.look();
    let new = secured::client(&tls, wire.connect()).await.unwrap();
    assert_eq!(new.say("caller").await.unwrap(), "new.test");
    assert_eq!(old.say("caller").await.unwrap(), "old.test");
}

#[tokio::test]
async fn an_authority_that_is_replaced_lets_in_whom_the_new_one_names() {
    let (pki, next) = (Pki::new(), Pki::new());
    let settings = secured::mutual(&pki, "\"test.Script\" = [\"client.test\"]");
    let server = secured::load(&settings);
    let wire = Wire::secured(&ServerSettings::default(), server.clone());
    let shown = next.issue("client", &["client.test"]);
    let tls = secured::client_tls(&pki, Some(shown));
    let refused = async || secured::refused(&tls, wire.connect()).await;
    assert!(refused().await);
    pki.file("ca.pem", &std::fs::read_to_string(next.ca()).unwrap());
    server.look();
    assert!(!refused().await);
}

#[tokio::test]
async fn a_broken_new_file_leaves_the_old_certificate_and_is_counted_once() {
    let pki = Pki::new();
    let pair = pki.issue_until("server", &[secured::SERVER], 2030);
    let settings = chassis::tls::TlsSettings {
        tls_cert_file: Some(pair.cert),
        tls_key_file: Some(pair.key),
        ..Default::default()
    };
    let server = secured::load(&settings);
    let process = Process::secured(ServerSettings::default(), Some(server.clone()));
    let tls = secured::client_tls(&pki, None);
    let before = shown(&tls, process.connect().await).await;

    pki.file("server.pem", "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n");
    for _ in 0..4 {
        server.look();
    }
    assert_eq!(shown(&tls, process.connect().await).await, before);
    let told = page(process.admin).await;
    for line in [
        "candeliver_server_tls_reloads_failed_total 1",
        "candeliver_server_tls_certificate_not_after_seconds 1893456000.0",
        "candeliver_server_tls_handshakes_failed_total 0",
    ] {
        assert!(told.lines().any(|found| found == line), "{line} in {told}");
    }

    pki.issue_until("server", &[secured::SERVER], 2040);
    server.look();
    assert_ne!(shown(&tls, process.connect().await).await, before);
    let told = page(process.admin).await;
    assert!(told.contains("\ncandeliver_server_tls_certificate_not_after_seconds 2208988800.0\n"), "{told}");
}

#[test]
fn a_client_tells_when_its_certificate_ends_and_how_often_its_files_were_broken() {
    let pki = Pki::new();
    let tls = secured::client_tls(&pki, Some(pki.issue_until("client", &["client.test"], 2030)));
    let mut registry = metrics::registry();
    registry.sub_registry_with_prefix("peer").register_collector(Box::new(tls.clone()));
    pki.file("ca.pem", "no certificate");
    tls.look();
    tls.look();
    let page = metrics::page(&registry).unwrap();
    for line in [
        "candeliver_peer_tls_certificate_not_after_seconds 1893456000.0",
        "candeliver_peer_tls_reloads_failed_total 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }
}

#[tokio::test]
async fn a_key_that_comes_after_its_certificate_is_no_failure() {
    let pki = Pki::new();
    let server = secured::load(&secured::settings(&pki));
    let process = Process::secured(ServerSettings::default(), Some(server.clone()));
    let tls = secured::client_tls(&pki, None);
    let before = shown(&tls, process.connect().await).await;
    let next = pki.issue("next", &[secured::SERVER]);
    let [cert, key] = [next.cert, next.key].map(|path| std::fs::read_to_string(path).unwrap());
    pki.file("server.pem", &cert);
    server.look();
    assert_eq!(shown(&tls, process.connect().await).await, before);
    pki.file("server.key", &key);
    server.look();
    assert_ne!(shown(&tls, process.connect().await).await, before);
    assert!(page(process.admin).await.contains("\ncandeliver_server_tls_reloads_failed_total 0\n"));
}
