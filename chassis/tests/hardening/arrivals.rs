//! More connections than there may be, and connections that say nothing.

use std::time::{Duration, Instant};

use chassis::connections::PREFACE_TIMEOUT;
use chassis::settings::ServerSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::attack::Attacker;
use crate::harness::{Process, soon};

const MAX_CONNECTIONS: usize = 16;
const ARRIVALS: usize = 100_000;
/// At once: fewer than the listener's queue takes.
const BATCH: usize = 100;
/// A tenth of what it takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

fn settings() -> ServerSettings {
    ServerSettings { max_connections: MAX_CONNECTIONS, threads: Some(1), ..ServerSettings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_connections_over_the_cap_are_closed_and_those_that_were_there_are_served() {
    let process = Process::start(settings());
    let client = process.client().await;
    client.say("hello").await.unwrap();
    let mut idle = Vec::new();
    while idle.len() < MAX_CONNECTIONS - 1 {
        idle.push(Attacker::connect(process.address).await.unwrap());
    }
    // Their openings are worked off in order: when this one's answer has come the others have their places.
    client.say("are they all there?").await.unwrap();

    let began = Instant::now();
    let mut closed = 0;
    while closed < ARRIVALS {
        let mut arrivals = JoinSet::new();
        for _ in 0..BATCH {
            arrivals.spawn(is_closed_at_once(process.address));
        }
        while let Some(arrived) = arrivals.join_next().await {
            closed += usize::from(arrived.unwrap());
        }
        assert_eq!(soon(client.say("still here?")).await.unwrap(), "still here?");
        assert!(began.elapsed() < PATIENCE, "{closed} arrivals took {:?}", began.elapsed());
    }

    drop(idle);
    let next = async {
        loop {
            // A place is free as soon as the server has seen the end of one.
            if let Some(answer) = try_to_say(&process, "hello").await {
                return answer;
            }
        }
    };
    assert_eq!(soon(next).await, "hello");
}

#[tokio::test]
async fn connections_that_say_nothing_hold_their_places_no_longer_than_the_preface_timeout() {
    let process = Process::start(settings());
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut connection = process.connect().await;
        // Half a preface is no more than nothing.
        connection.write_all(b"PRI * HTTP/2").await.unwrap();
        silent.push(connection);
    }
    for connection in &mut silent {
        assert_eq!(soon(connection.read(&mut [0])).await.unwrap_or(0), 0, "closed without a word");
    }
    assert!(began.elapsed() < 3 * PREFACE_TIMEOUT, "{:?}", began.elapsed());
    assert_eq!(soon(process.client().await.say("hello")).await.unwrap(), "hello");
}

/// Connects, and is told in one way or another that there is no place: true if it was.
async fn is_closed_at_once(address: std::net::SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let read = soon(stream.read(&mut [0])).await;
    // Ports that wait for what is under way would run out.
    let _ = stream.set_zero_linger();
    matches!(read, Ok(0) | Err(_))
}

async fn try_to_say(process: &Process, text: &str) -> Option<String> {
    let stream = process.connect().await;
    let http2 = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    );
    let (sender, connection) = http2.await.ok()?;
    let connection = tokio::spawn(async { drop(connection.await) });
    crate::harness::Client { sender, connection }.say(text).await.ok()
}
