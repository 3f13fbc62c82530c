//! The admin port: what it answers, and that neither a busy service nor a rude client keeps it, or the end, waiting.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use chassis::admin;
use chassis::health::Health;
use chassis::metrics::{self, Collector, DescriptorEncoder, gauge};
use chassis::settings::ServerSettings;
use chassis::shutdown::{Shutdown, Trigger};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{Client, Process, ask, ask_for, connect, page, soon};

/// More than the port serves at once.
const MANY: usize = 64;

/// The port alone.
struct Admin {
    address: SocketAddr,
    trigger: Trigger,
    thread: JoinHandle<()>,
}

/// Many figures, for a page that does not fit into one packet.
#[derive(Debug)]
struct Figures(u32);

impl Admin {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut registry = metrics::registry();
        registry.sub_registry_with_prefix("test").register_collector(Box::new(Figures(10_000)));
        let (trigger, shutdown) = Shutdown::new();
        let thread = admin::serve(listener, registry, Health::new(&["test.Script"]), shutdown).unwrap();
        Self { address, trigger, thread }
    }

    /// Waits for the end of the thread, which must be soon.
    async fn ended(self) {
        soon(tokio::task::spawn_blocking(|| self.thread.join())).await.unwrap().unwrap();
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (0..self.0).try_for_each(|n| gauge(&mut encoder, &format!("figure_{n}"), "A figure", n))
    }
}

#[tokio::test]
async fn the_page_is_whole_and_says_what_format_it_is_in() {
    let admin = Admin::start();
    let answer = page(admin.address).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let format = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.contains(format) && head.contains(&format!("content-length: {}", body.len())), "{head}");
    assert!(body.contains("# TYPE candeliver_test_figure_9999 gauge\ncandeliver_test_figure_9999 9999\n"));
    assert!(body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn who_reads_only_the_older_format_gets_it_and_who_reads_both_the_newer() {
    let admin = Admin::start();
    let older =
        ask_for(admin.address, "GET", "/metrics", "text/plain;version=0.0.4;q=1,*/*;q=0.1").await.unwrap();
    assert!(older.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{older}");
    assert!(older.contains("\ncandeliver_test_figure_9999 9999\n") && !older.contains("# EOF"), "{older}");
    let both = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5";
    let newer = ask_for(admin.address, "GET", "/metrics", both).await.unwrap();
    assert!(newer.ends_with("# EOF\n"));
}

#[tokio::test]
async fn other_paths_are_not_found_and_other_methods_not_allowed() {
    let admin = Admin::start();
    for path in ["/", "/metrics/", "/metricsx", "/healthz", "*"] {
        let answer = ask(admin.address, "GET", path).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        let answer = ask(admin.address, method, "/metrics").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET\r\n"), "{answer}");
    }
    assert!(ask(admin.address, "GET", "/metrics?name=x").await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let admin = Admin::start();
    let answer = ask(admin.address, "GET", &format!("/{}", "x".repeat(64 * 1024))).await;
    // The answer may be lost with the connection, which is closed on what was still to come.
    assert!(answer.as_ref().map_or(true, |answer| answer.starts_with("HTTP/1.1 4")), "{answer:?}");
    assert!(page(admin.address).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn silent_connections_do_not_hold_up_the_end() {
    let admin = Admin::start();
    let mut silent = connect(admin.address).await;
    // Connections are taken in the order in which they come: the silent one has been.
    page(admin.address).await;
    admin.trigger.start();
    admin.ended().await;
    assert_eq!(soon(silent.read(&mut [0])).await.unwrap(), 0, "closed without a word");
}

#[tokio::test]
async fn a_connection_over_the_cap_is_closed_at_once_and_a_freed_place_is_taken() {
    let admin = Admin::start();
    let mut silent = Vec::new();
    for _ in 0..MANY {
        silent.push(connect(admin.address).await);
    }
    assert_eq!(soon(connect(admin.address).await.read(&mut [0])).await.unwrap(), 0, "closed without a word");
    silent.pop();
    let answered = async {
        loop {
            // The place is free as soon as the server has seen the end of the other.
            if let Ok(answer) = ask(admin.address, "GET", "/metrics").await
                && answer.starts_with("HTTP/1.1 200 ")
            {
                return;
            }
        }
    };
    soon(answered).await;
}

#[tokio::test]
async fn a_process_tells_of_its_calls_and_connections() {
    let settings = ServerSettings { max_calls_in_flight: 1, threads: Some(1), ..ServerSettings::default() };
    let process = Process::start(settings);
    let client = process.client().await;
    let waiting = client.saying("wait");
    process.script.until_running(1).await;
    client.say("one too many").await.unwrap_err();
    let body = page(process.admin).await;
    for line in [
        "candeliver_server_calls_in_flight 1",
        "candeliver_server_calls_in_flight_limit 1",
        "candeliver_server_calls_refused_total 1",
        "candeliver_server_connections 1",
        "candeliver_server_connections_limit 10000",
        r#"candeliver_server_method_calls_in_flight{service="test.Script",method="other"} 1"#,
    ] {
        assert!(body.lines().any(|found| found == line), "{line} in {body}");
    }
    process.script.open_the_gate();
    soon(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_process_tells_what_its_calls_came_to_and_how_long_they_took_whichever_thread_served_them() {
    let process = Process::start(ServerSettings { threads: Some(2), ..ServerSettings::default() });
    let (first, second) = (process.client().await, process.client().await);
    first.say("hello").await.unwrap();
    second.say("hello").await.unwrap();
    second.say("leak").await.unwrap_err();
    second.send("/test.Script/Invented", &[], b"\0\0\0\0\0").await.unwrap();
    let stream = first.tell("hang", None).await.unwrap();
    drop(stream);
    process.script.until_running(0).await;
    let labels = r#"service="test.Script",method="Say""#;
    let lines = [
        format!("candeliver_server_calls_total{{{labels},code=\"OK\"}} 2"),
        format!("candeliver_server_calls_total{{{labels},code=\"INTERNAL\"}} 1"),
        r#"candeliver_server_calls_total{service="test.Script",method="Tell",code="CANCELLED"} 1"#.to_owned(),
        r#"candeliver_server_calls_total{service="test.Script",method="other",code="UNIMPLEMENTED"} 1"#
            .to_owned(),
        format!("candeliver_server_call_duration_seconds_count{{{labels}}} 3"),
        format!("candeliver_server_call_duration_seconds_bucket{{le=\"+Inf\",{labels}}} 3"),
    ];
    until_told(process.admin, &lines).await;
}

/// Waits until the page holds all of some lines: a call is counted when its answer has left, which its caller may see first.
async fn until_told(admin: SocketAddr, lines: &[String]) {
    let told = async {
        loop {
            let body = page(admin).await;
            if lines.iter().all(|line| body.lines().any(|found| found == line)) {
                return;
            }
        }
    };
    soon(told).await;
}

#[tokio::test]
async fn names_that_callers_make_up_are_not_told_apart_whatever_ends_their_calls() {
    const NAMES: usize = 40;
    let settings = ServerSettings { max_calls_in_flight: 1, threads: Some(1), ..ServerSettings::default() };
    let process = Process::start(settings);
    let client = process.client().await;
    let make_up = async |kind: &str, headers: &[(&str, &str)]| {
        for n in 0..NAMES {
            client.send(&format!("/test.Script/{kind}{n}"), headers, b"\0\0\0\0\0").await.unwrap();
        }
    };
    make_up("Late", &[("grpc-timeout", "0m")]).await;
    make_up("Wrong", &[("grpc-timeout", "soon")]).await;
    make_up("Unknown", &[]).await;
    let waiting = client.saying("wait");
    process.script.until_running(1).await;
    make_up("Shed", &[]).await;
    waiting.abort();
    process.script.until_running(0).await;
    client.say("hello").await.unwrap();

    let counted = |method, code, count| {
        let labels = format!("service=\"test.Script\",method=\"{method}\",code=\"{code}\"");
        format!("candeliver_server_calls_total{{{labels}}} {count}")
    };
    let lines = [
        counted("other", "DEADLINE_EXCEEDED", NAMES),
        counted("other", "INVALID_ARGUMENT", NAMES),
        counted("other", "UNIMPLEMENTED", NAMES),
        counted("other", "RESOURCE_EXHAUSTED", NAMES),
        counted("other", "CANCELLED", 1),
        counted("Say", "OK", 1),
    ];
    until_told(process.admin, &lines).await;
}

#[tokio::test]
async fn a_process_whose_threads_are_all_held_tells_of_itself_through_its_drain() {
    let settings = ServerSettings { drain_seconds: 2, threads: Some(1), ..ServerSettings::default() };
    let process = Process::start(settings);
    let client = process.client().await;
    let _blocking = client.saying("block");
    process.script.until_running(1).await;
    assert!(page(process.admin).await.contains("\ncandeliver_server_calls_in_flight 1\n"));
    let (address, admin) = (process.address, process.admin);
    process.end();
    // The drain has started when calls find nobody any more.
    soon(async { while TcpStream::connect(address).await.is_ok() {} }).await;
    assert!(page(admin).await.contains("\ncandeliver_server_calls_in_flight 1\n"));
    process.returned().await.unwrap();
    soon(async { while TcpStream::connect(admin).await.is_ok() {} }).await;
}

#[tokio::test]
async fn health_is_answered_beside_the_page_whatever_the_main_port_speaks() {
    let admin = Admin::start();
    let client = Client::over(connect(admin.address).await).await;
    let mut health = HealthClient::with_origin(client.service(), Client::origin());
    let mut check = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        soon(health.check(request)).await.map(|answer| answer.get_ref().status())
    };
    assert_eq!(check(chassis::health::LIVENESS).await.unwrap(), ServingStatus::Serving);
    assert_eq!(check("test.Script").await.unwrap(), ServingStatus::NotServing);
    assert_eq!(check("test.Other").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client.say("hello").await.unwrap_err().code(), Code::Unimplemented);
    assert!(page(admin.address).await.starts_with("HTTP/1.1 200 "));
}
