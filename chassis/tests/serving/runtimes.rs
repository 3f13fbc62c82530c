//! The runtimes of a process: each has its share, and a process that can't have them all does not serve.

use std::collections::HashMap;
use std::net::TcpListener;

use chassis::health::Health;
use chassis::metrics;
use chassis::server;
use chassis::services::Services;
use chassis::settings::ServerSettings;
use chassis::shutdown::Shutdown;

use crate::harness::{Process, soon};

#[tokio::test]
async fn connections_are_spread_evenly_over_the_runtimes() {
    let process = Process::start(ServerSettings { threads: Some(3), ..ServerSettings::default() });
    let mut clients = Vec::new();
    let mut connections = HashMap::<String, usize>::new();
    for _ in 0..9 {
        let client = process.client().await;
        *connections.entry(client.say("thread").await.unwrap()).or_default() += 1;
        clients.push(client);
    }
    let mut connections: Vec<_> = connections.into_iter().collect();
    connections.sort();
    let expected = ["serving-0", "serving-1", "serving-2"].map(|name| (name.to_owned(), 3));
    assert_eq!(connections, expected);
    process.end();
    process.returned().await.unwrap();
}

fn polling_busily() -> ServerSettings {
    ServerSettings { busy_poll_us: 1_000, threads: Some(2), ..ServerSettings::default() }
}

#[tokio::test]
async fn runtimes_that_poll_busily_answer_on_each_of_their_connections() {
    let process = Process::start(polling_busily());
    let (first, second) = (process.client().await, process.client().await);
    for _ in 0..100 {
        assert_eq!(soon(first.say("hello")).await.unwrap(), "hello");
        assert_eq!(soon(second.say("hello")).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn runtimes_that_poll_busily_finish_their_calls_and_end() {
    let process = Process::start(polling_busily());
    let client = process.client().await;
    let waiting = client.saying("wait");
    process.script.until_running(1).await;
    process.end();
    let refused = async { while client.say("hello").await.is_ok() {} };
    soon(refused).await;
    process.script.open_the_gate();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), "waited");
    process.returned().await.unwrap();
}

#[tokio::test]
async fn a_runtime_whose_services_cannot_be_made_is_an_error_not_a_hang() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (_trigger, shutdown) = Shutdown::new();
    let running = tokio::task::spawn_blocking(move || {
        let make_services = || -> Services { panic!("no client for you") };
        let (settings, health) = (ServerSettings::default(), Health::new(&[]));
        server::run(listener.into(), &settings, make_services, health, metrics::registry(), shutdown)
    });
    let error = soon(running).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("ended before it served"), "{error}");
}
