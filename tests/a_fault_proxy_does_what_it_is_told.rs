//! The proxy that other stories make faults with has each of them, on open and on new connections, and none when healed.

use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::eventually;
use crate::support::faults::{Fault, Faults};

const WORDS: &[u8] = b"can this be delivered?";
const DELAY: Duration = Duration::from_millis(60);
/// At which rate the words take a tenth of a second.
const TRICKLE_BYTES_PER_SECOND: u32 = 220;
/// How long nothing is heard before it counts as silence.
const SILENCE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn words_take_their_time() {
    let faults = Faults::in_front_of(echo().await);
    let mut open = TcpStream::connect(faults.address).await.expect("it is taken");
    for fault in [Fault::Delay(DELAY), Fault::Throttle(TRICKLE_BYTES_PER_SECOND)] {
        faults.begin(fault);
        let mut new = TcpStream::connect(faults.address).await.expect("it is taken");
        for connection in [&mut open, &mut new] {
            let asked = Instant::now();
            answered(connection).await.expect("an answer");
            assert!(asked.elapsed() >= 2 * DELAY, "{fault:?}: {:?}", asked.elapsed());
        }
        faults.heal();
        answered(&mut open).await.expect("an answer");
    }
    assert_eq!(faults.taken(), 3);
}

#[tokio::test]
async fn words_that_a_black_hole_took_arrive_when_it_is_gone() {
    let faults = Faults::in_front_of(echo().await);
    let mut open = TcpStream::connect(faults.address).await.expect("it is taken");
    answered(&mut open).await.expect("an answer");

    faults.begin(Fault::BlackHole);
    let mut new = TcpStream::connect(faults.address).await.expect("it is taken all the same");
    for connection in [&mut open, &mut new] {
        let silence = timeout(SILENCE, answered(connection)).await;
        assert!(silence.is_err(), "{silence:?}");
    }

    faults.heal();
    for connection in [&mut open, &mut new] {
        heard(connection).await.expect("the answer to what was asked before");
    }
}

#[tokio::test]
async fn connections_are_reset() {
    let faults = Faults::in_front_of(echo().await);
    let mut open = TcpStream::connect(faults.address).await.expect("it is taken");
    answered(&mut open).await.expect("an answer");

    faults.begin(Fault::Reset);
    let reset = heard(&mut open).await.expect_err("the open one ends");
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    let mut new = TcpStream::connect(faults.address).await.expect("it is taken");
    let reset = heard(&mut new).await.expect_err("and ended");
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);

    faults.heal();
    comes_through(&faults).await;
}

#[tokio::test]
async fn connections_are_cut_and_refused() {
    let faults = Faults::in_front_of(echo().await);
    let mut open = TcpStream::connect(faults.address).await.expect("it is taken");
    answered(&mut open).await.expect("an answer");

    faults.begin(Fault::Cut);
    let closed = heard(&mut open).await.expect_err("the open one ends");
    assert_eq!(closed.kind(), ErrorKind::UnexpectedEof);
    let refused = TcpStream::connect(faults.address).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    faults.heal();
    comes_through(&faults).await;
}

/// Says back what it is told.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn answered(connection: &mut TcpStream) -> Result<()> {
    connection.write_all(WORDS).await?;
    heard(connection).await
}

async fn heard(connection: &mut TcpStream) -> Result<()> {
    let mut heard = vec![0; WORDS.len()];
    connection.read_exact(&mut heard).await?;
    assert_eq!(heard, WORDS);
    Ok(())
}

async fn comes_through(faults: &Faults) {
    eventually("a new connection comes through", async || {
        answered(&mut TcpStream::connect(faults.address).await?).await
    })
    .await;
}
