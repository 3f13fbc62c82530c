//! What ends of attempts mean, as tonic really tells of them: over sockets, against a server that misbehaves frame by frame.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use resilience::outcome::{Again, Evidence, Kind, Meaning, Pushback};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// What the server does with each call.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// GOAWAY with NO_ERROR, and the stream was never looked at.
    GoesAway,
    Refuses,
    /// As hyper does when a handler panics.
    Resets(h2::Reason),
    CutsTheConnection,
    Says(Code),
    SaysWithPushback(&'static str),
    Nothing,
}

async fn server(does: Does) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection, does));
        }
    });
    address
}

/// Says GOAWAY, with no error and no stream that it will process, to the first request. By hand, since h2's own server has
/// accepted a stream by the time anybody sees it.
async fn go_away(mut connection: TcpStream) -> std::io::Result<()> {
    const PREFACE_BYTES: usize = 24;
    const HEADERS: u8 = 1;
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    connection.read_exact(&mut [0; PREFACE_BYTES]).await?;
    connection.write_all(&SETTINGS).await?;
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        connection.read_exact(&mut vec![0; usize::try_from(length).unwrap()]).await?;
        if head[3] == HEADERS {
            connection.write_all(&GOAWAY).await?;
        }
    }
}

async fn serve(connection: TcpStream, does: Does) {
    if matches!(does, Does::GoesAway) {
        // It ends when the client hangs up.
        return drop(go_away(connection).await);
    }
    let mut connection = h2::server::handshake(connection).await.unwrap();
    let mut kept = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        match does {
            Does::Refuses => respond.send_reset(h2::Reason::REFUSED_STREAM),
            Does::Resets(reason) => respond.send_reset(reason),
            Does::CutsTheConnection => return,
            Does::Says(code) => answer(&mut respond, code, None),
            Does::SaysWithPushback(pushback) => answer(&mut respond, Code::Unavailable, Some(pushback)),
            Does::GoesAway | Does::Nothing => {}
        }
        kept.push((request, respond));
    }
}

fn answer(respond: &mut h2::server::SendResponse<Bytes>, code: Code, pushback: Option<&str>) {
    let mut head = Response::builder()
        .status(StatusCode::OK)
        .header("content-type", "application/grpc")
        .header("grpc-status", (code as i32).to_string());
    if let Some(pushback) = pushback {
        head = head.header("grpc-retry-pushback-ms", pushback);
    }
    respond.send_response(head.body(()).unwrap(), true).unwrap();
}

async fn ask(channel: Channel, timeout: Option<Duration>) -> Status {
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = Request::new(());
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    let path = http::uri::PathAndQuery::from_static("/x.Y/Z");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.unary(request, path, codec).await.unwrap_err()
}

async fn meaning(does: Does) -> Meaning {
    let address = server(does).await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    Meaning::of(&ask(channel, None).await)
}

async fn assert_means(does: Does, evidence: Evidence, again: Again, kind: Kind) {
    let meaning = meaning(does).await;
    assert_eq!((meaning.evidence, meaning.again, meaning.kind), (evidence, again, kind), "{does:?}");
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let channel = Endpoint::from_shared(format!("http://{nobody}")).unwrap().connect_lazy();
    let mut client = Grpc::new(channel);
    let status = match client.ready().await {
        Err(error) => Status::from_error(Box::new(error)),
        Ok(()) => {
            let path = http::uri::PathAndQuery::from_static("/x.Y/Z");
            let codec = tonic_prost::ProstCodec::<(), ()>::default();
            client.unary::<(), (), _>(Request::new(()), path, codec).await.unwrap_err()
        }
    };
    let meaning = Meaning::of(&status);
    assert_eq!((meaning.evidence, meaning.again), (Evidence::Failure, Again::Unsent), "{status:?}");
}

#[tokio::test]
async fn what_the_peer_never_looked_at_is_no_evidence_and_may_be_sent_again() {
    for does in [Does::GoesAway, Does::Refuses] {
        assert_means(does, Evidence::Neutral, Again::Unprocessed, Kind::NotProcessed).await;
    }
}

#[tokio::test]
async fn what_broke_on_the_way_is_a_failure_that_may_have_been_processed() {
    assert_means(Does::Resets(h2::Reason::CANCEL), Evidence::Failure, Again::Yes, Kind::Reset).await;
    assert_means(Does::Resets(h2::Reason::INTERNAL_ERROR), Evidence::Failure, Again::Yes, Kind::Reset).await;
    assert_means(Does::CutsTheConnection, Evidence::Failure, Again::Yes, Kind::ConnectionLost).await;
}

#[tokio::test]
async fn a_deadline_is_a_timeout_whoever_notices_it() {
    let address = server(Does::Nothing).await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let noticed_here = ask(channel, Some(Duration::from_millis(20))).await;
    assert_eq!(Meaning::of(&noticed_here), Meaning::TIMED_OUT, "{noticed_here:?}");
    for code in [Code::DeadlineExceeded, Code::Cancelled] {
        assert_eq!(meaning(Does::Says(code)).await, Meaning::TIMED_OUT, "{code:?}");
    }
}

#[tokio::test]
async fn every_code_of_the_peers_means_what_the_table_says() {
    use Code::{
        Aborted, AlreadyExists, DataLoss, FailedPrecondition, Internal, InvalidArgument, NotFound,
        OutOfRange, PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable, Unimplemented,
        Unknown,
    };
    for code in [NotFound, InvalidArgument, FailedPrecondition, AlreadyExists, OutOfRange, Aborted] {
        assert_means(Does::Says(code), Evidence::Success, Again::No, Kind::Answered).await;
    }
    for code in [Unauthenticated, PermissionDenied, Unimplemented] {
        assert_means(Does::Says(code), Evidence::Failure, Again::Elsewhere, Kind::RefusedByPeer).await;
    }
    for code in [Internal, Unknown, DataLoss] {
        assert_means(Does::Says(code), Evidence::Failure, Again::No, Kind::Failed).await;
    }
    assert_means(Does::Says(Unavailable), Evidence::Failure, Again::Yes, Kind::Unavailable).await;
    assert_means(Does::Says(ResourceExhausted), Evidence::FailsProbe, Again::No, Kind::Overloaded).await;
}

#[tokio::test]
async fn a_peer_says_when_it_may_be_asked_again_or_that_it_may_not() {
    let in_a_moment = meaning(Does::SaysWithPushback("120")).await;
    let order = Some(Pushback::Order(Duration::from_millis(120)));
    assert_eq!((in_a_moment.again, in_a_moment.pushback), (Again::Yes, order));
    for never in ["-1", "soon", ""] {
        assert_eq!(meaning(Does::SaysWithPushback(never)).await.again, Again::No, "{never:?}");
    }
}
