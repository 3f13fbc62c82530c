//! Limits: what is too much is refused at once, and what was there before goes on.

use chassis::settings::ServerSettings;
use http::StatusCode;
use tokio::io::AsyncReadExt;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::harness::{Client, Wire, refusal, soon};

#[tokio::test]
async fn an_overloaded_server_refuses_at_once_and_says_when_to_come_back() {
    let wire = Wire::with(&ServerSettings { max_calls_in_flight: 2, ..ServerSettings::default() });
    let client = wire.client().await;
    let (first, second) = (client.saying("wait"), client.saying("wait"));
    wire.script.until_running(2).await;

    let status = soon(client.say("hello")).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::ResourceExhausted, "OVERLOADED".to_owned()));
    assert!(status.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()));

    wire.script.open_the_gate();
    assert_eq!(soon(first).await.unwrap().unwrap(), "waited");
    assert_eq!(soon(second).await.unwrap().unwrap(), "waited");
    assert_eq!(client.say("hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn an_overloaded_server_still_answers_health_checks() {
    let wire = Wire::with(&ServerSettings { max_calls_in_flight: 1, ..ServerSettings::default() });
    let client = wire.client().await;
    let _busy = client.saying("hang");
    wire.script.until_running(1).await;
    let mut health = HealthClient::with_origin(client.service(), Client::origin());
    soon(health.check(Request::new(HealthCheckRequest::default()))).await.unwrap();
}

#[tokio::test]
async fn a_stream_counts_as_a_call_until_its_caller_lets_go_of_it() {
    let wire = Wire::with(&ServerSettings { max_calls_in_flight: 1, ..ServerSettings::default() });
    let client = wire.client().await;
    let messages = client.tell("hang", None).await.unwrap();
    assert_eq!(client.say("hello").await.unwrap_err().code(), Code::ResourceExhausted);
    drop(messages);
    wire.script.until_running(0).await;
    assert_eq!(client.say("hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn a_connection_over_the_cap_is_closed_at_once_and_a_freed_place_is_taken() {
    let wire = Wire::with(&ServerSettings { max_connections: 1, ..ServerSettings::default() });
    let client = wire.client().await;
    client.say("hello").await.unwrap();
    let mut refused = wire.connect();
    assert_eq!(soon(refused.read(&mut [0])).await.unwrap(), 0, "closed without a word");

    let Client { connection, .. } = client;
    connection.abort();
    let next = async {
        loop {
            // The place is free as soon as the server has seen the end of the first.
            if let Ok(answer) = wire.client().await.say("hello").await {
                return answer;
            }
        }
    };
    assert_eq!(soon(next).await, "hello");
}

#[tokio::test]
async fn a_call_over_the_stream_cap_waits_for_another_to_end() {
    let wire = Wire::with(&ServerSettings { max_streams: 1, ..ServerSettings::default() });
    let client = wire.client().await;
    client.say("the settings have arrived").await.unwrap();
    let first = client.saying("wait");
    wire.script.until_running(1).await;
    let second = client.saying("hello");
    // Another connection's calls are not held up.
    assert_eq!(wire.client().await.say("hello").await.unwrap(), "hello");
    assert!(!second.is_finished());
    wire.script.open_the_gate();
    soon(first).await.unwrap().unwrap();
    assert_eq!(soon(second).await.unwrap().unwrap(), "hello");
}

#[tokio::test]
async fn headers_over_16_kib_are_refused_and_the_connection_lives_on() {
    let wire = Wire::new();
    let client = wire.client().await;
    let long = "x".repeat(17 * 1024);
    let answer = soon(client.send("/test.Script/Say", &[("x-long", &long)], b"\0\0\0\0\0")).await;
    // h2 may answer, or reset the stream: either way nobody handled the call.
    assert!(answer.is_err() || answer.unwrap().http_status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(client.say("hello").await.unwrap(), "hello");
}
