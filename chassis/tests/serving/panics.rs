//! A panic ends one call: it answers INTERNAL, and everything else goes on.

use tonic::Code;

use crate::harness::{Wire, refusal, soon};

#[tokio::test]
async fn a_panic_answers_internal_and_other_calls_on_the_connection_go_on() {
    let wire = Wire::new();
    let client = wire.client().await;
    let waiting = client.saying("wait");
    wire.script.until_running(1).await;

    let status = client.say("panic").await.unwrap_err();
    assert_eq!(refusal(&status), (Code::Internal, "PANIC".to_owned()));
    assert!(!status.message().contains("script"), "what panicked stays inside: {}", status.message());

    assert_eq!(client.say("hello").await.unwrap(), "hello");
    wire.script.open_the_gate();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), "waited");
    assert_eq!(wire.calls.in_flight(), 0);
}

#[tokio::test]
async fn a_panic_in_a_stream_ends_it_with_internal() {
    let wire = Wire::new();
    let client = wire.client().await;
    let mut messages = client.tell("panic", None).await.unwrap();
    let status = loop {
        match soon(messages.message()).await {
            Ok(message) => assert!(message.is_some(), "the stream must not end as if all were well"),
            Err(status) => break status,
        }
    };
    assert_eq!(refusal(&status), (Code::Internal, "PANIC".to_owned()));
    assert_eq!(client.say("hello").await.unwrap(), "hello");
}
