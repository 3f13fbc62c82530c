//! Deadlines: a late answer is DEADLINE_EXCEEDED, never CANCELLED, and nobody works for a caller who has gone.

use std::time::Duration;

use chassis::settings::ServerSettings;
use tokio::time::Instant;
use tonic::Code;

use crate::harness::{Wire, refusal};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_deadline_exceeded_and_the_handler_is_dropped() {
    let wire = Wire::new();
    let client = wire.client().await;
    let start = Instant::now();
    let status = client.say_within("hang", SECOND).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()));
    assert!(start.elapsed() < 2 * SECOND, "{:?}", start.elapsed());
    wire.script.until_running(0).await;
    assert_eq!(wire.calls.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_deadline_gets_the_call_timeout() {
    let wire = Wire::with(&ServerSettings { call_timeout_seconds: 7, ..ServerSettings::default() });
    let client = wire.client().await;
    assert_eq!(client.say("deadline").await.unwrap(), "7000");
    let start = Instant::now();
    let status = client.say("hang").await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!((7 * SECOND..8 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handler_can_read_its_callers_deadline() {
    let wire = Wire::new();
    let client = wire.client().await;
    assert_eq!(client.say_within("deadline", 100 * SECOND).await.unwrap(), "100000");
}

#[tokio::test(start_paused = true)]
async fn a_callers_deadline_ends_a_stream_with_deadline_exceeded() {
    let wire = Wire::new();
    let client = wire.client().await;
    let mut messages = client.tell("hang", Some(SECOND)).await.unwrap();
    assert_eq!(messages.message().await.unwrap().as_deref(), Some("first"));
    let status = messages.message().await.unwrap_err();
    assert_eq!(refusal(&status), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()));
    wire.script.until_running(0).await;
    assert_eq!(wire.calls.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_deadline_outlives_the_call_timeout() {
    let wire = Wire::with(&ServerSettings { call_timeout_seconds: 1, ..ServerSettings::default() });
    let client = wire.client().await;
    let mut messages = client.tell("until shutdown", None).await.unwrap();
    assert_eq!(messages.message().await.unwrap().as_deref(), Some("first"));
    tokio::time::advance(100 * SECOND).await;
    wire.end();
    assert_eq!(messages.message().await.unwrap().as_deref(), Some("last"));
}

#[tokio::test]
async fn a_timeout_that_the_protocol_does_not_know_is_named() {
    let wire = Wire::new();
    let client = wire.client().await;
    for timeout in ["soon", "5", "123456789S", "5x"] {
        let answer =
            client.send("/test.Script/Say", &[("grpc-timeout", timeout)], b"\0\0\0\0\0").await.unwrap();
        let status = answer.status();
        assert_eq!(refusal(&status), (Code::InvalidArgument, "INVALID_FIELD".to_owned()), "{timeout}");
        assert_eq!(chassis::status::violations(&status)[0].field, "grpc-timeout");
    }
}

#[tokio::test]
async fn a_deadline_that_has_passed_on_arrival_does_not_reach_the_handler() {
    let wire = Wire::new();
    let client = wire.client().await;
    // The handler would panic, and the answer would be INTERNAL.
    let answer = client
        .send("/test.Script/Say", &[("grpc-timeout", "0m")], b"\0\0\0\0\x07\x0a\x05panic")
        .await
        .unwrap();
    assert_eq!(answer.status().code(), Code::DeadlineExceeded);
}
