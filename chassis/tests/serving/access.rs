//! Who may call what: nobody nothing, everybody what the table says, and handlers know who calls.

use std::time::Duration;

use chassis::settings::ServerSettings;
use chassis::tls::TlsSettings;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::harness::pki::{Pair, Pki};
use crate::harness::{Client, Wire, listed_by, refusal, secured, soon};

const DELIVERY: &str = "spiffe://example.org/ns/shop/sa/delivery";

/// Delivery may say, an auditor in a data centre of old may do all.
fn served(pki: &Pki) -> Wire {
    let allow =
        format!("\"test.Script/Say\" = [\"{DELIVERY}\"]\n\"test.Script\" = [\"auditor.example.org\"]");
    Wire::secured(&ServerSettings::default(), secured::load(&secured::mutual(pki, &allow)))
}

async fn client(pki: &Pki, wire: &Wire, shown: Option<Pair>) -> Client {
    secured::client(&secured::client_tls(pki, shown), wire.connect()).await.unwrap()
}

fn refused(status: &Status) -> (Code, &'static str) {
    let (code, reason) = refusal(status);
    let reason = ["UNAUTHENTICATED", "PERMISSION_DENIED"].into_iter().find(|known| *known == reason);
    (code, reason.expect("a reason of its own"))
}

#[tokio::test]
async fn without_a_certificate_a_call_is_unauthenticated() {
    let pki = Pki::new();
    let wire = served(&pki);
    let status = client(&pki, &wire, None).await.say("hello").await.unwrap_err();
    assert_eq!(refused(&status), (Code::Unauthenticated, "UNAUTHENTICATED"));
}

#[tokio::test]
async fn with_the_wrong_certificate_a_call_is_denied_and_with_the_right_one_answered() {
    let pki = Pki::new();
    let wire = served(&pki);
    let other = client(&pki, &wire, Some(pki.issue("other", &["other.example.org"]))).await;
    let status = other.say("hello").await.unwrap_err();
    assert_eq!(refused(&status), (Code::PermissionDenied, "PERMISSION_DENIED"));
    assert!(status.message().contains("other.example.org"), "{status:?}");

    let delivery = client(&pki, &wire, Some(pki.issue("delivery", &[DELIVERY]))).await;
    assert_eq!(delivery.say("hello").await.unwrap(), "hello");
    let status = delivery.tell("hang", None).await.unwrap_err();
    assert_eq!(refused(&status), (Code::PermissionDenied, "PERMISSION_DENIED"));

    let auditor = client(&pki, &wire, Some(pki.issue("auditor", &["auditor.example.org"]))).await;
    assert_eq!(auditor.say("hello").await.unwrap(), "hello");
    auditor.tell("hang", None).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_a_strange_authority_or_of_the_past_fails_in_the_handshake() {
    let (pki, strange) = (Pki::new(), Pki::new());
    let wire = served(&pki);
    let past = pki.issue_until("delivery", &[DELIVERY], 2020);
    for shown in [strange.issue("delivery", &[DELIVERY]), past] {
        assert!(secured::refused(&secured::client_tls(&pki, Some(shown)), wire.connect()).await);
    }
}

#[tokio::test]
async fn a_handler_knows_its_caller_by_spiffe_id_or_else_by_dns_name() {
    let pki = Pki::new();
    let wire = served(&pki);
    let both = pki.issue("both", &["auditor.example.org", DELIVERY]);
    let dns = pki.issue("dns", &["*.example.org", "Auditor.Example.org", "second.example.org"]);
    for (shown, name) in [(both, DELIVERY), (dns, "auditor.example.org")] {
        let client = client(&pki, &wire, Some(shown)).await;
        assert_eq!(client.say("caller").await.unwrap(), name);
    }
    assert_eq!(Wire::new().client().await.say("caller").await.unwrap(), "nobody");
}

#[tokio::test]
async fn a_certificate_that_names_nobody_or_two_is_denied() {
    let pki = Pki::new();
    let wire = served(&pki);
    let two = pki.issue("two", &[DELIVERY, "spiffe://example.org/other", "auditor.example.org"]);
    let nobody = pki.issue("nobody", &["https://auditor.example.org", "127.0.0.1"]);
    for shown in [two, nobody] {
        let status = client(&pki, &wire, Some(shown)).await.say("hello").await.unwrap_err();
        assert_eq!(refused(&status), (Code::PermissionDenied, "PERMISSION_DENIED"));
        assert!(status.message().contains("names nobody"), "{status:?}");
    }
}

#[tokio::test]
async fn health_is_open_to_everybody_and_reflection_to_whoever_may_call_anything() {
    let pki = Pki::new();
    let wire = served(&pki);
    let nobody = client(&pki, &wire, None).await;
    let other = client(&pki, &wire, Some(pki.issue("other", &["other.example.org"]))).await;
    let delivery = client(&pki, &wire, Some(pki.issue("delivery", &[DELIVERY]))).await;
    for client in [&nobody, &other, &delivery] {
        let mut health = HealthClient::with_origin(client.service(), Client::origin());
        soon(health.check(Request::new(HealthCheckRequest::default()))).await.unwrap();
    }
    assert_eq!(refused(&listed_by!(v1, nobody).unwrap_err()), (Code::Unauthenticated, "UNAUTHENTICATED"));
    assert_eq!(refused(&listed_by!(v1, other).unwrap_err()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    assert!(!listed_by!(v1, delivery).unwrap().is_empty());
    assert!(!listed_by!(v1alpha, delivery).unwrap().is_empty());
}

#[tokio::test]
async fn a_call_that_is_not_allowed_takes_no_place_from_others_and_is_counted() {
    let pki = Pki::new();
    let allow = "\"test.Script/Say\" = [\"client.test\"]";
    let settings = ServerSettings { max_calls_in_flight: 1, ..ServerSettings::default() };
    let wire = Wire::secured(&settings, secured::load(&secured::mutual(&pki, allow)));
    let client = client(&pki, &wire, Some(pki.issue("client", &["client.test"]))).await;
    let _waiting = client.saying("wait");
    wire.script.until_running(1).await;
    let status = client.tell("hang", None).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "and not RESOURCE_EXHAUSTED");
    assert_eq!(wire.calls.in_flight(), 1);
}

#[tokio::test]
async fn a_caller_with_as_many_calls_in_flight_as_it_may_is_refused_and_others_go_on() {
    let pki = Pki::new();
    let table =
        "\"test.Script\" = [\"busy.test\", \"other.test\"]\n[limits.\"busy.test\"]\ncalls_in_flight = 1";
    let wire = Wire::secured(&ServerSettings::default(), secured::load(&secured::mutual(&pki, table)));
    let busy = client(&pki, &wire, Some(pki.issue("busy", &["busy.test"]))).await;
    let again = client(&pki, &wire, Some(pki.issue("busy", &["busy.test"]))).await;
    let other = client(&pki, &wire, Some(pki.issue("other", &["other.test"]))).await;
    let waiting = busy.saying("wait");
    wire.script.until_running(1).await;
    for client in [&busy, &again] {
        let status = client.say("hello").await.unwrap_err();
        assert_eq!(refusal(&status), (Code::ResourceExhausted, "IDENTITY_LIMITED".to_owned()));
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata.get("limit").map(String::as_str), Some("calls_in_flight"));
        assert!(status.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()));
    }
    assert_eq!(other.say("hello").await.unwrap(), "hello");
    let mut health = HealthClient::with_origin(busy.service(), Client::origin());
    soon(health.check(Request::new(HealthCheckRequest::default()))).await.unwrap();
    wire.script.open_the_gate();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), "waited");
    assert_eq!(again.say("hello").await.unwrap(), "hello", "the place is free again");
}

#[tokio::test(start_paused = true)]
async fn a_caller_gets_as_many_calls_in_a_second_as_it_may() {
    let pki = Pki::new();
    let table = "\"test.Script\" = [\"a.test\"]\n[limits.\"*\"]\ncalls_per_second = 3";
    let wire = Wire::secured(&ServerSettings::default(), secured::load(&secured::mutual(&pki, table)));
    let client = client(&pki, &wire, Some(pki.issue("a", &["a.test"]))).await;
    // A call is paid for in 334 ms; no more than a second's worth is saved up.
    for (millis, worth) in [(0, 3), (333, 0), (1, 1), (1_000, 3), (60_000, 3)] {
        tokio::time::advance(Duration::from_millis(millis)).await;
        let mut entered = 0;
        let status = loop {
            match client.say("hello").await {
                Ok(_) => entered += 1,
                Err(status) => break status,
            }
        };
        assert_eq!(entered, worth, "after {millis} ms");
        assert_eq!(refusal(&status), (Code::ResourceExhausted, "IDENTITY_LIMITED".to_owned()));
    }
}

#[test]
fn settings_that_are_not_whole_are_told_before_anything_is_open() {
    let pki = Pki::new();
    let whole = secured::mutual(&pki, "\"test.Script\" = [\"a.test\"]");
    let settings = |change: fn(&mut TlsSettings)| {
        let mut settings = whole.clone();
        change(&mut settings);
        settings.load(&[&secured::descriptors()]).map(|tls| tls.is_some()).map_err(|error| error.to_string())
    };
    assert_eq!(settings(|_| {}), Ok(true));
    assert_eq!(settings(|settings| *settings = TlsSettings::default()), Ok(false));
    let told = |change: fn(&mut TlsSettings)| settings(change).unwrap_err();
    let missing = told(|settings| settings.access_file = None);
    assert!(
        missing.starts_with("--tls-client-ca-file (CANDELIVER_TLS_CLIENT_CA_FILE) is set without"),
        "{missing}"
    );
    let pointless = told(|settings| settings.tls_client_ca_file = None);
    assert!(pointless.starts_with("--access-file (CANDELIVER_ACCESS_FILE) is set without"), "{pointless}");
    let keyless = told(|settings| settings.tls_key_file = None);
    assert!(keyless.contains("--tls-cert-file") && keyless.contains("without its key"), "{keyless}");
    let open = told(|settings| (settings.tls_cert_file, settings.tls_key_file) = (None, None));
    assert!(open.contains("is set without --tls-cert-file"), "{open}");
    let absent = told(|settings| settings.tls_cert_file = Some("/no/such".into()));
    assert!(absent.contains("/no/such") && absent.contains("CANDELIVER_TLS_CERT_FILE"), "{absent}");
    let wrong = told(|settings| settings.tls_key_file = settings.tls_cert_file.clone());
    assert!(wrong.contains("unencrypted private key"), "{wrong}");
    let no_table = told(|settings| settings.access_file = settings.tls_cert_file.clone());
    assert!(no_table.starts_with("--access-file (CANDELIVER_ACCESS_FILE) wants"), "{no_table}");
}

#[test]
fn a_certificate_with_anothers_key_and_a_table_with_an_unknown_method_are_told() {
    let pki = Pki::new();
    let other = pki.issue("other", &[secured::SERVER]);
    let mixed = TlsSettings { tls_key_file: Some(other.key), ..secured::settings(&pki) };
    let error = mixed.load(&[]).unwrap_err().to_string();
    assert!(error.contains("hold no pair that can be used"), "{error}");
    let unknown = secured::mutual(&pki, "\"test.Script/Shout\" = [\"a.test\"]");
    let error = unknown.load(&[&secured::descriptors()]).unwrap_err().to_string();
    assert!(error.contains("test.Script/Shout") && error.ends_with("it has test.Script"), "{error}");
}
