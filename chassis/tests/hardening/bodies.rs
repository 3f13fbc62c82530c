//! Requests whose bodies come slowly, or never to their end.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use chassis::settings::ServerSettings;
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::task::yield_now;
use tokio::time::interval;
use tonic::body::Body;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::attack::Attacker;
use crate::attack::floods::{no_window, whole_call};
use crate::attack::frames::{DATA, END_HEADERS, HEADERS, call, frame};
use crate::harness::{Client, Process, connect, refusal, soon};

const PLACES: usize = 8;

fn settings() -> ServerSettings {
    ServerSettings {
        call_timeout_seconds: 1,
        max_calls_in_flight: PLACES,
        threads: Some(1),
        ..ServerSettings::default()
    }
}

/// A message of which a byte comes now and then.
fn dripping() -> Body {
    let head = [0, 0, 0, 3, 0xe0].into_iter();
    let bytes = head.chain(std::iter::repeat(b'\n'));
    let drops = stream::unfold((bytes, interval(Duration::from_millis(5))), |(mut bytes, mut ticks)| async {
        ticks.tick().await;
        let drop = Bytes::from(vec![bytes.next()?]);
        Some((Ok::<_, Infallible>(Frame::data(drop)), (bytes, ticks)))
    });
    Body::new(StreamBody::new(drops))
}

/// What a call with a dripping body comes to.
async fn drip(client: &Client) -> Status {
    let request = http::Request::post("http://server.test/test.Script/Say")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(dripping());
    let response = client.sender.clone().send_request(request.unwrap()).await.unwrap();
    Status::from_header_map(response.headers()).expect("it is refused in its head")
}

/// A message that says how long it is, and then does not come.
fn announced(length: u32) -> Body {
    let head = [&[0], length.to_be_bytes().as_slice()].concat();
    let head = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(head)))]);
    Body::new(StreamBody::new(head.chain(stream::pending())))
}

/// Waits until a question that says how long it is, and then does not come, is refused for its length.
async fn is_refused_for_its_length(client: &Client, path: &str, length: u32) {
    let request = http::Request::post(format!("http://server.test{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(announced(length));
    let response = client.sender.clone().send_request(request.unwrap()).await.unwrap();
    // Reflection begins to answer before it is asked, and ends its answer.
    if let Some(status) = Status::from_header_map(response.headers()) {
        assert_eq!(refusal(&status), (Code::OutOfRange, "MESSAGE_TOO_LARGE".to_owned()), "{path}");
    }
    response.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn questions_about_health_and_reflection_are_refused_that_say_they_are_longer_than_any() {
    const CHECK: &str = "/grpc.health.v1.Health/Check";
    let process = Process::start(ServerSettings { call_timeout_seconds: 60, ..settings() });
    let client = process.client().await;
    soon(is_refused_for_its_length(&client, CHECK, 1_025)).await;
    soon(is_refused_for_its_length(&client, "/grpc.health.v1.Health/Watch", 1_025)).await;
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        soon(is_refused_for_its_length(&client, &path, 4_097)).await;
    }
    let admin = Client::over(connect(process.admin).await).await;
    soon(is_refused_for_its_length(&admin, CHECK, 1_025)).await;
}

#[tokio::test]
async fn as_many_watch_health_as_there_may_be_connections_and_the_admin_port_has_places_of_its_own() {
    let process = Process::start(ServerSettings { max_connections: PLACES, ..settings() });
    let client = process.client().await;
    let mut health = HealthClient::with_origin(client.service(), Client::origin());
    let mut watches = Vec::new();
    for _ in 0..PLACES {
        watches.push(soon(health.watch(HealthCheckRequest::default())).await.unwrap());
    }
    let status = soon(health.watch(HealthCheckRequest::default())).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::ResourceExhausted, "OVERLOADED".to_owned()));
    assert_eq!(soon(client.say("hello")).await.unwrap(), "hello", "it is no load");
    let admin = Client::over(connect(process.admin).await).await;
    let mut kubelet = HealthClient::with_origin(admin.service(), Client::origin());
    soon(kubelet.check(HealthCheckRequest::default())).await.unwrap();

    drop(watches);
    let free = async { while health.check(HealthCheckRequest::default()).await.is_err() {} };
    soon(free).await;
}

#[tokio::test]
async fn a_body_that_drips_is_ended_by_the_deadline() {
    let process = Process::start(settings());
    let client = process.client().await;
    let status = soon(drip(&client)).await;
    assert_eq!(refusal(&status), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()));
    assert_eq!(client.say("hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn bodies_that_never_end_take_every_place_until_the_deadline_and_no_longer() {
    let process = Process::start(settings());
    let client = process.client().await;
    client.say("hello").await.unwrap();
    let mut attacker = Attacker::connect(process.address).await.unwrap();
    let mut calls = Vec::new();
    for number in 0..u32::try_from(PLACES).unwrap() {
        let stream = 2 * number + 1;
        frame(&mut calls, HEADERS, END_HEADERS, stream, &call("/test.Script/Say"));
        frame(&mut calls, DATA, 0, stream, &[0, 0, 0, 3, 0xe0, b'\n']);
    }
    attacker.send(&calls).await.unwrap();
    let full = async {
        loop {
            if let Err(status) = client.say("is there a place?").await {
                return refusal(&status);
            }
        }
    };
    assert_eq!(soon(full).await, (Code::ResourceExhausted, "OVERLOADED".to_owned()));
    let mut health = HealthClient::with_origin(client.service(), Client::origin());
    soon(health.check(Request::new(HealthCheckRequest::default()))).await.unwrap();

    let free = async {
        loop {
            if let Ok(answer) = client.say("and now?").await {
                return answer;
            }
        }
    };
    assert_eq!(soon(free).await, "and now?");
    drop(attacker);
}

#[tokio::test]
async fn answers_that_nobody_reads_hold_no_places() {
    let process = Process::start(settings());
    let client = process.client().await;
    let mut attacker = Attacker::connect(process.address).await.unwrap();
    let (mut bytes, call) = (Vec::new(), call("/test.Script/Say"));
    no_window(&mut bytes);
    for number in 0..u32::try_from(PLACES).unwrap() {
        whole_call(&mut bytes, &call, b"\x0a\x05hello", 2 * number + 1);
    }
    attacker.send(&bytes).await.unwrap();
    let said = async {
        while process.script.said.load(Ordering::Relaxed) < PLACES {
            yield_now().await;
        }
    };
    soon(said).await;
    // They were all said before this began, and on the thread that says this.
    assert_eq!(soon(client.say("hello")).await.unwrap(), "hello");
    drop(attacker);
}
