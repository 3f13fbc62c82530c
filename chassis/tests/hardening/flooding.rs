//! Floods of frames: others are served meanwhile by the same thread, and all is well when they are over.

use std::time::Duration;

use chassis::settings::ServerSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::attack::Attacker;
use crate::attack::floods::{FLOODS, Flood, SHORT_BODIES_THAT_STOP, Target, provoked_reset, whole_call};
use crate::attack::frames::{
    A_REMEMBERED_FIELD, CONTINUATION, DATA, END_HEADERS, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, call,
    field_to_remember, frame,
};
use crate::harness::{Process, Wire, soon};

/// Calls of another client while it lasts.
const CALLS: usize = 100;
const SAY: &str = "/test.Script/Say";
/// As Say takes it.
const HELLO: &[u8] = b"\x0a\x05hello";
/// RFC 9113's code for a client that is too much.
const ENHANCE_YOUR_CALM: u32 = 0xb;

fn one_thread() -> Process {
    Process::start(ServerSettings { threads: Some(1), ..ServerSettings::default() })
}

/// Serves a client through the floods whose names begin so, one after the other.
async fn are_survived(name: &str) {
    are_survived_by(&one_thread(), name).await;
}

async fn are_survived_by(process: &Process, name: &str) {
    let floods: Vec<_> = FLOODS.iter().filter(|flood| flood.name.starts_with(name)).collect();
    assert!(!floods.is_empty(), "there is a flood of {name}");
    for flood in floods {
        is_survived(*flood, &target(SAY), process).await;
    }
}

fn target(path: &str) -> Target {
    Target { path: path.to_owned(), message: HELLO.to_vec() }
}

async fn is_survived(flood: Flood, target: &Target, process: &Process) {
    let client = process.client().await;
    client.say("hello").await.unwrap();
    let raging: Vec<_> =
        (0..flood.attackers).map(|_| tokio::spawn(flood.rage(process.address, target.clone()))).collect();
    for _ in 0..CALLS {
        assert_eq!(soon(client.say("hello")).await.unwrap(), "hello", "through {}", flood.name);
    }
    let newcomer = soon(process.client()).await;
    assert_eq!(soon(newcomer.say("hello")).await.unwrap(), "hello", "through {}", flood.name);

    raging.iter().for_each(tokio::task::JoinHandle::abort);
    process.script.until_running(0).await;
    assert_eq!(soon(client.say("hello")).await.unwrap(), "hello", "after {}", flood.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_pings_keeps_nobody_else_from_being_served() {
    are_survived("pings").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_settings_keeps_nobody_else_from_being_served() {
    are_survived("settings").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_priorities_and_window_updates_keep_nobody_else_from_being_served() {
    are_survived("priorities").await;
    are_survived("window updates").await;
    are_survived("unknown frames").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_keep_nobody_else_from_being_served() {
    are_survived("rapid reset").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_that_a_client_makes_the_server_send_keep_nobody_else_from_being_served() {
    are_survived("made you reset").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_answers_are_not_read_keep_nobody_else_from_being_served() {
    // Fewer than the two attackers call.
    let max_calls_in_flight = 1_500;
    let settings = ServerSettings { max_calls_in_flight, threads: Some(1), ..ServerSettings::default() };
    are_survived_by(&Process::start(settings), "calls whose answers are not read").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_continuations_keeps_nobody_else_from_being_served() {
    are_survived("continuations").await;
    are_survived("empty continuations").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_empty_and_tiny_data_keep_nobody_else_from_being_served() {
    are_survived("empty data").await;
    are_survived("data of one byte").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_with_many_headers_keep_nobody_else_from_being_served() {
    are_survived("calls with many headers").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_bodies_that_stop_before_their_end_keep_nobody_else_from_being_served() {
    are_survived("bodies that stop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_stop_of_questions_about_health_and_reflection_keep_nobody_else_from_being_served() {
    let process = one_thread();
    for path in ["/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
    {
        is_survived(SHORT_BODIES_THAT_STOP, &target(path), &process).await;
    }
}

/// The code with which the server ends a connection on which this is said.
async fn ended_with(bytes: &[u8]) -> Option<u32> {
    let process = one_thread();
    let mut attacker = Attacker::connect(process.address).await.unwrap();
    // It may be closed before all is said.
    let _ = attacker.send(bytes).await;
    soon(attacker.last_words()).await.goaway()
}

#[tokio::test]
async fn headers_that_go_on_without_end_end_the_connection() {
    let mut bytes = Vec::new();
    frame(&mut bytes, HEADERS, 0, 1, &call(SAY));
    // Little in each, so that it is their number that is too much; and not more than will be read, or the socket's reset takes
    // away the last words.
    (0..6).for_each(|_| frame(&mut bytes, CONTINUATION, 0, 1, &[]));
    assert_eq!(ended_with(&bytes).await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn headers_that_swell_when_they_are_unpacked_end_the_connection() {
    let mut block = call(SAY);
    // 4 KB once, and then a byte each time.
    field_to_remember(&mut block, b"x-large", &[b'x'; 4_000]);
    block.extend([A_REMEMBERED_FIELD; 100]);
    let mut bytes = Vec::new();
    frame(&mut bytes, HEADERS, END_HEADERS, 1, &block);
    assert_eq!(ended_with(&bytes).await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn data_without_a_byte_again_and_again_ends_the_connection() {
    let mut bytes = Vec::new();
    frame(&mut bytes, HEADERS, END_HEADERS, 1, &call(SAY));
    (0..101).for_each(|_| frame(&mut bytes, DATA, 0, 1, &[]));
    assert_eq!(ended_with(&bytes).await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn resets_that_a_client_makes_the_server_send_end_the_connection_when_they_are_too_many() {
    // `MAX_LOCAL_ERROR_RESET_STREAMS`, and one.
    const RESETS: u32 = 4_097;
    let (mut bytes, call) = (Vec::new(), call(SAY));
    (0..RESETS).for_each(|number| provoked_reset(&mut bytes, &call, 2 * number + 1));
    assert_eq!(ended_with(&bytes).await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn data_after_the_end_of_a_call_ends_the_connection() {
    const PROTOCOL_ERROR: u32 = 1;
    let (mut bytes, call) = (Vec::new(), call(SAY));
    whole_call(&mut bytes, &call, b"\x0a\x04wait", 1);
    frame(&mut bytes, DATA, 0, 1, b"more");
    assert_eq!(ended_with(&bytes).await, Some(PROTOCOL_ERROR));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_only_pings_is_read_no_faster_than_it_may_talk() {
    const PINGS: usize = 100_000;
    /// A pause is up to 0.32 s, and before each a read of some hundred may come.
    const MOST_IN_A_SECOND: usize = PINGS / 5;
    let wire = Wire::new();
    let (mut reading, mut writing) = tokio::io::split(wire.connect());
    let mut bytes = PREFACE.to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &[]);
    let before = bytes.len();
    (0..PINGS).for_each(|_| frame(&mut bytes, PING, 0, 0, b"in vain!"));
    let ping_bytes = (bytes.len() - before) / PINGS;
    let pinging = tokio::spawn(async move { writing.write_all(&bytes).await });

    let (end, mut answered, mut some) = (Instant::now() + Duration::from_secs(1), 0, [0; 1_024]);
    while let Ok(read) = timeout_at(end, reading.read(&mut some)).await {
        let read = read.unwrap();
        assert!(read > 0, "nothing is closed");
        answered += read;
    }
    let answered = answered / ping_bytes;
    assert!((1..MOST_IN_A_SECOND).contains(&answered), "{answered} of {PINGS}");
    assert!(!pinging.is_finished(), "what it says more is not read");
}

#[tokio::test]
async fn an_acknowledgement_of_nothing_ends_the_connection() {
    const ACK: u8 = 1;
    const PROTOCOL_ERROR: u32 = 1;
    let mut bytes = Vec::new();
    // The server has sent one SETTINGS.
    (0..2).for_each(|_| frame(&mut bytes, SETTINGS, ACK, 0, &[]));
    assert_eq!(ended_with(&bytes).await, Some(PROTOCOL_ERROR));
}

#[tokio::test]
async fn calls_that_are_reset_at_once_are_given_up_and_the_connection_lives_on() {
    // As many as a client may send that has short deadlines in earnest: other calls on its connection are not to be lost.
    const RESETS: u32 = 2_000;
    let process = one_thread();
    let mut attacker = Attacker::connect(process.address).await.unwrap();
    let mut bytes = Vec::new();
    let stream = |number| 2 * number + 1;
    for number in 0..RESETS {
        frame(&mut bytes, HEADERS, END_HEADERS, stream(number), &call(SAY));
        frame(&mut bytes, RST_STREAM, 0, stream(number), &[0, 0, 0, 8]);
    }
    frame(&mut bytes, HEADERS, END_HEADERS, stream(RESETS), &call(SAY));
    frame(&mut bytes, DATA, 1, stream(RESETS), &[0, 0, 0, 0, 6, 0x0a, 4, b'w', b'a', b'i', b't']);
    frame(&mut bytes, PING, 0, 0, b"still on");
    attacker.send(&bytes).await.unwrap();
    process.script.until_running(1).await;
    process.script.open_the_gate();
    process.script.until_running(0).await;
    assert_eq!(
        process.script.said.load(std::sync::atomic::Ordering::Relaxed),
        1,
        "only what was asked whole"
    );
}
