//! A client that does not keep to the number of streams it was told, and one that takes all it may.

use chassis::settings::ServerSettings;

use crate::attack::Attacker;
use crate::attack::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, PING, call, frame};
use crate::harness::{Process, soon};

const MAX_STREAMS: u32 = 10;
const OPENED: u32 = 100;

#[tokio::test]
async fn streams_over_the_cap_reach_no_handler_and_other_clients_are_served() {
    let settings = ServerSettings { max_streams: MAX_STREAMS, threads: Some(1), ..ServerSettings::default() };
    let process = Process::start(settings);
    let client = process.client().await;
    client.say("hello").await.unwrap();
    let mut attacker = Attacker::connect(process.address).await.unwrap();
    let mut calls = Vec::new();
    for number in 0..OPENED {
        let stream = 2 * number + 1;
        frame(&mut calls, HEADERS, END_HEADERS, stream, &call("/test.Script/Say"));
        frame(&mut calls, DATA, END_STREAM, stream, &[0, 0, 0, 0, 6, 0x0a, 4, b'w', b'a', b'i', b't']);
    }
    // Answered in order: when this has come all that was asked before it has been looked at.
    frame(&mut calls, PING, 0, 0, b"the last");
    attacker.send(&calls).await.unwrap();
    soon(attacker.until_acknowledged(b"the last")).await.unwrap();
    assert_eq!(soon(client.say("hello")).await.unwrap(), "hello");
    assert_eq!(*process.script.running.borrow(), MAX_STREAMS as usize);
    process.script.open_the_gate();
    process.script.until_running(0).await;
    let said = process.script.said.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(said, MAX_STREAMS as usize + 2, "and none of the others began");
    drop(attacker);
}
