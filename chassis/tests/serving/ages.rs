//! The age of connections: clients go elsewhere in time, and no call is lost on the way.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chassis::settings::ServerSettings;
use tokio::sync::RwLock;
use tokio::time::sleep;
use tonic::{Code, Status};

use crate::harness::{Client, Wire, refusal, soon};

const MINUTE: Duration = Duration::from_secs(60);

fn a_minute() -> ServerSettings {
    ServerSettings {
        max_connection_age_seconds: 60,
        call_timeout_seconds: 3_600,
        ..ServerSettings::default()
    }
}

/// Calls until the client refuses to begin another call on its connection, which is what GOAWAY makes it do.
async fn until_sent_away(client: &Client) {
    while client.say("hello").await.is_ok() {
        sleep(MINUTE / 60).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_age_is_sent_away_and_its_calls_finish() {
    let wire = Wire::with(&a_minute());
    let client = wire.client().await;
    let waiting = client.saying("wait");
    wire.script.until_running(1).await;
    tokio::time::timeout(2 * MINUTE, until_sent_away(&client)).await.unwrap();
    assert_eq!(wire.client().await.say("hello").await.unwrap(), "hello");

    wire.script.open_the_gate();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), "waited");
    soon(client.connection).await.unwrap();
}

/// Whether a failed call was certainly not handled: it was not sent, or the GOAWAY said so.
fn was_not_handled(status: &Status) -> bool {
    let mut next = status.source();
    while let Some(error) = next {
        let not_sent = |error: &hyper::Error| error.is_canceled() || error.is_closed();
        let sent_away = |error: &h2::Error| error.is_go_away() && error.is_remote();
        if error.downcast_ref().is_some_and(not_sent) || error.downcast_ref().is_some_and(sent_away) {
            return true;
        }
        next = error.source();
    }
    false
}

#[tokio::test(start_paused = true)]
async fn callers_whose_connections_keep_coming_of_age_are_each_answered_once() {
    const CALLERS: usize = 16;
    const CALLS: usize = 500;
    let wire = Arc::new(Wire::with(&ServerSettings { max_connection_age_seconds: 1, ..a_minute() }));
    let client = Arc::new(RwLock::new((0, wire.client().await)));
    let callers = (0..CALLERS).map(|_| {
        let (wire, client) = (Arc::clone(&wire), Arc::clone(&client));
        tokio::spawn(async move {
            for _ in 0..CALLS {
                loop {
                    let (number, result) = {
                        let client = client.read().await;
                        (client.0, client.1.say("hello").await)
                    };
                    let Err(status) = result else { break };
                    assert!(was_not_handled(&status), "{status:?}");
                    let mut client = client.write().await;
                    if client.0 == number {
                        *client = (number + 1, wire.client().await);
                    }
                }
                sleep(MINUTE / 6_000).await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!(wire.script.said.load(Ordering::Relaxed), CALLERS * CALLS);
    // 500 calls, one each 10 ms, and a connection lasts for a second at most.
    assert!(client.read().await.0 >= 5, "{}", client.read().await.0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_its_connections_age_by_ten_minutes_and_ends_with_a_reason() {
    let wire = Wire::with(&a_minute());
    let client = wire.client().await;
    let mut messages = client.tell("hang", None).await.unwrap();
    assert_eq!(messages.message().await.unwrap().as_deref(), Some("first"));
    sleep(10 * MINUTE).await;
    wire.script.until_running(1).await;
    let status = tokio::time::timeout(2 * MINUTE, messages.message()).await.unwrap().unwrap_err();
    assert_eq!(refusal(&status), (Code::Unavailable, "CONNECTION_AGE".to_owned()));
    soon(client.connection).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_left_long_after_the_age_is_cut() {
    let wire = Wire::with(&a_minute());
    let client = wire.client().await;
    let hanging = client.saying("hang");
    wire.script.until_running(1).await;
    tokio::time::timeout(13 * MINUTE, hanging).await.unwrap().unwrap().unwrap_err();
    wire.script.until_running(0).await;
}

#[tokio::test(start_paused = true)]
async fn without_an_age_connections_stay() {
    let wire = Wire::with(&ServerSettings { max_connection_age_seconds: 0, ..ServerSettings::default() });
    let client = wire.client().await;
    for _ in 0..100 {
        sleep(60 * MINUTE).await;
        assert_eq!(client.say("hello").await.unwrap(), "hello");
    }
}
