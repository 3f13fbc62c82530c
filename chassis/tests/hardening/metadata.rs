//! Headers that are too many, too long, or no headers at all.

use std::sync::atomic::Ordering;

use chassis::settings::ServerSettings;
use http::StatusCode;
use tonic::Code;

use crate::attack::Attacker;
use crate::attack::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, call, field, frame};
use crate::harness::{Client, Process, soon};

const SAY: &str = "/test.Script/Say";
/// An empty message.
const EMPTY: &[u8] = &[0; 5];

fn process() -> Process {
    Process::start(ServerSettings { threads: Some(1), ..ServerSettings::default() })
}

/// The HTTP status of a call with so many more header fields; None where it was reset.
async fn status_with(client: &Client, count: usize) -> Option<StatusCode> {
    let names: Vec<_> = (0..count).map(|number| format!("x-{number}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    soon(client.send(SAY, &headers, EMPTY)).await.ok().map(|answer| answer.http_status)
}

#[tokio::test]
async fn more_header_fields_than_anybody_needs_are_refused_and_the_connection_lives_on() {
    let process = process();
    let client = process.client().await;
    assert_eq!(status_with(&client, 90).await, Some(StatusCode::OK));
    assert_eq!(status_with(&client, 110).await, Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    let beyond = status_with(&client, 5_000).await;
    assert!(matches!(beyond, None | Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)), "{beyond:?}");
    assert_eq!(soon(process.client().await.say("hello")).await.unwrap(), "hello");
}

#[tokio::test]
async fn values_that_are_not_what_their_names_promise_are_let_through_or_refused_with_a_reason() {
    let process = process();
    let client = process.client().await;
    let long = "x".repeat(15_000);
    let strange = [
        ("x-bytes-bin", "not base64!"),
        ("x-bytes-bin", "====,,==="),
        ("grpc-trace-bin", "%%%"),
        ("grpc-status-details-bin", "\u{1F69A}"),
        ("grpc-message", "%zz%0"),
        ("grpc-message", "%00%ff%fe"),
        ("grpc-timeout", "%31S"),
        ("grpc-encoding", "gzip,,\u{7}identity".trim_matches('\u{7}')),
        ("x-long", long.as_str()),
        ("x-sql", "'; DROP TABLE products; --"),
        ("x-format", "%s%n{0}${jndi:ldap://x}"),
        ("te", "trailers, deflate;q=NaN"),
        ("traceparent", "00-00000000000000000000000000000000-0000000000000000-zz"),
    ];
    for (name, value) in strange {
        let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) else { continue };
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let answer = soon(client.send(SAY, &[(name, &value)], EMPTY)).await.unwrap();
        assert_eq!(answer.http_status, StatusCode::OK, "{name}: {value}");
        let status = answer.status();
        assert!(!matches!(status.code(), Code::Internal | Code::Unknown), "{name}: {value}: {status:?}");
        let is_told = status.code() == Code::Ok || chassis::status::reason(&status).is_some();
        assert!(is_told, "{name}: {value}: {status:?}");
    }
}

/// Blocks of headers that HTTP/2 does not allow, each with what is wrong.
fn malformed_blocks() -> Vec<(&'static str, Vec<u8>)> {
    let with = |name: &[u8], value: &[u8]| {
        let mut block = call(SAY);
        field(&mut block, name, value);
        block
    };
    let without_path: &[u8] = &[0x83, 0x86];
    vec![
        ("a name in capitals", with(b"X-Upper", b"1")),
        ("a name with a space", with(b"x y", b"1")),
        ("a name without a letter", with(b"", b"1")),
        ("a name with a line's end", with(b"x\r\ny", b"1")),
        ("a name of no text", with(b"\xff\xfe", b"1")),
        ("a value with a line's end", with(b"x", b"1\r\nx-injected: 1")),
        ("a value with a zero byte", with(b"x", b"1\0")),
        ("a connection's header", with(b"connection", b"close")),
        ("transfer-encoding", with(b"transfer-encoding", b"chunked")),
        ("a pseudo header that nobody knows", with(b":sql", b"1")),
        ("a pseudo header after others", with(b":path", b"/")),
        ("a status in a request", with(b":status", b"200")),
        ("no path", without_path.to_vec()),
        ("a path of no path", {
            let mut block = vec![0x83, 0x86, 0x04, 5];
            block.extend_from_slice(b"\0\x01 \xff\"");
            block
        }),
        ("two lengths that differ", {
            let mut block = with(b"content-length", b"5");
            field(&mut block, b"content-length", b"6");
            block
        }),
        ("nothing", Vec::new()),
    ]
}

/// Blocks that are no HPACK.
fn undecodable_blocks() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("an index beyond the table", vec![0xff, 0xff, 0x7f]),
        ("a number without end", vec![0xff; 64]),
        ("the index zero", vec![0x80]),
        ("a text longer than its block", vec![0x00, 0x7f, 0xff, 0x7f]),
        ("Huffman's code cut off", vec![0x00, 0x81, 0xff, 0x81, 0xff]),
        ("a table larger than was offered", vec![0x3f, 0xff, 0xff, 0xff, 0x7f]),
    ]
}

#[tokio::test]
async fn malformed_headers_reach_no_handler_and_disturb_no_other_client() {
    let process = process();
    let client = process.client().await;
    let mut answered = 0;
    for (what, block) in malformed_blocks().into_iter().chain(undecodable_blocks()) {
        let mut attacker = Attacker::connect(process.address).await.unwrap();
        let mut bytes = Vec::new();
        frame(&mut bytes, HEADERS, END_HEADERS, 1, &block);
        frame(&mut bytes, DATA, END_STREAM, 1, EMPTY);
        attacker.send(&bytes).await.unwrap();
        assert_eq!(soon(client.say("hello")).await.unwrap(), "hello", "beside {what}");
        answered += 1;
        assert_eq!(process.script.said.load(Ordering::Relaxed), answered, "{what}");
        attacker.vanish().unwrap();
    }
}

#[tokio::test]
async fn headers_that_are_no_hpack_end_their_connection() {
    let process = process();
    for (what, block) in undecodable_blocks() {
        let mut attacker = Attacker::connect(process.address).await.unwrap();
        let mut bytes = Vec::new();
        frame(&mut bytes, HEADERS, END_HEADERS, 1, &block);
        attacker.send(&bytes).await.unwrap();
        let code = soon(attacker.last_words()).await.goaway();
        assert!(code.is_some_and(|code| code != 0), "{what}: {code:?}");
    }
}
