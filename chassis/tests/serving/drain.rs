//! The drain: what runs finishes, what lasts ends, what never ends is cut, and nothing new comes in.

use std::time::{Duration, Instant};

use chassis::settings::ServerSettings;
use chassis::shutdown::Shutdown;

use crate::harness::{Process, soon};

fn one_second() -> ServerSettings {
    ServerSettings { drain_seconds: 1, threads: Some(2), ..ServerSettings::default() }
}

#[tokio::test]
async fn running_calls_finish() {
    let process = Process::start(ServerSettings::default());
    let client = process.client().await;
    let waiting = client.saying("wait");
    process.script.until_running(1).await;
    process.end();
    // GOAWAY has come when the client refuses to begin another call here.
    let refused = async { while client.say("hello").await.is_ok() {} };
    soon(refused).await;
    process.script.open_the_gate();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), "waited");
    process.returned().await.unwrap();
}

#[tokio::test]
async fn streams_that_watch_the_shutdown_end_with_their_last_message() {
    let process = Process::start(ServerSettings::default());
    let client = process.client().await;
    let mut messages = client.tell("until shutdown", None).await.unwrap();
    assert_eq!(messages.message().await.unwrap().as_deref(), Some("first"));
    process.end();
    assert_eq!(soon(messages.message()).await.unwrap().as_deref(), Some("last"));
    assert_eq!(soon(messages.message()).await.unwrap(), None);
    process.returned().await.unwrap();
}

#[tokio::test]
async fn a_call_that_never_ends_is_cut_at_the_deadline() {
    let process = Process::start(one_second());
    let client = process.client().await;
    let hanging = client.saying("hang");
    let _stream = client.tell("hang", None).await.unwrap();
    let _silent = process.connect().await;
    process.script.until_running(2).await;
    let start = Instant::now();
    process.end();
    let script = process.script.clone();
    process.returned().await.unwrap();
    let took = start.elapsed();
    // The last part of the drain is kept for what comes after the calls.
    assert!((Duration::from_millis(500)..Duration::from_secs(2)).contains(&took), "{took:?}");
    assert!(soon(hanging).await.unwrap().is_err());
    script.until_running(0).await;
}

#[tokio::test]
async fn an_idle_server_ends_at_once_and_its_port_is_free() {
    let process = Process::start(ServerSettings::default());
    let client = process.client().await;
    client.say("hello").await.unwrap();
    let _silent = process.connect().await;
    let (address, start) = (process.address, Instant::now());
    process.end();
    process.returned().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    soon(client.connection).await.unwrap();
    std::net::TcpListener::bind(address).unwrap();
}

#[tokio::test]
async fn a_handler_that_holds_its_thread_does_not_hold_up_the_end() {
    let process = Process::start(one_second());
    let client = process.client().await;
    let _blocking = client.saying("block");
    process.script.until_running(1).await;
    let start = Instant::now();
    process.end();
    process.returned().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_drain_starts_with_sigterm() {
    let shutdown = Shutdown::on_signals(false).unwrap();
    assert!(!shutdown.is_started());
    let own_id = std::process::id().to_string();
    let sent = std::process::Command::new("kill").args(["-TERM", &own_id]).status().unwrap();
    assert!(sent.success());
    soon(shutdown.started()).await;
}
