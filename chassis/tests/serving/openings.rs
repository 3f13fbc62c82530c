//! How connections begin: silence is cut short, other protocols are told, a failed accept is survived.

use std::io::ErrorKind;
use std::time::Duration;

use chassis::connections::PREFACE_TIMEOUT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::harness::{Wire, soon};

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_after_the_preface_timeout() {
    let wire = Wire::new();
    let mut silent = wire.connect();
    silent.write_all(b"PRI * HT").await.unwrap();
    let start = Instant::now();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "closed without a word");
    assert!((PREFACE_TIMEOUT..2 * PREFACE_TIMEOUT).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_does_not_hold_up_the_drain() {
    let wire = Wire::new();
    let _silent = wire.connect();
    let client = wire.client().await;
    client.say("hello").await.unwrap();
    let start = Instant::now();
    wire.end();
    wire.serving.await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_speaks_http_1_is_told_what_this_port_speaks() {
    let wire = Wire::new();
    let mut connection = wire.connect();
    connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: server.test\r\n\r\n").await.unwrap();
    connection.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(connection.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("This port speaks gRPC over HTTP/2"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_accept_is_followed_by_a_pause_and_the_next_connection_is_served() {
    let wire = Wire::new();
    wire.fail_an_accept(ErrorKind::OutOfMemory);
    let start = Instant::now();
    assert_eq!(wire.client().await.say("hello").await.unwrap(), "hello");
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
}
