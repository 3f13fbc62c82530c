//! A TCP proxy in front of a PostgreSQL, which can fall silent as a lost machine does: without a word, and for good.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What begins each of a service's reads of more than one statement.
const BEGIN: &[u8] = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const BUFFER_BYTES: usize = 16 * 1024;

/// Passes bytes on, or keeps them. Ends when dropped.
pub struct Proxy {
    url: String,
    mood: watch::Sender<Mood>,
    accepting: AbortHandle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Speaking,
    /// Until a transaction begins: nobody gets an answer from then on.
    SpeakingUntilBegin,
    Silent,
}

// === impl Proxy ===

impl Proxy {
    /// A proxy in front of the server that a database's URL names.
    pub async fn start(database_url: String) -> Self {
        let (before, rest) = database_url.split_once('@').expect("a URL with a user");
        let (server, name) = rest.split_once('/').expect("a URL with a database");
        let server: SocketAddr = server.parse().expect("the tests' PostgreSQL is named by its address");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mood = watch::Sender::new(Mood::Speaking);
        let accepting = tokio::spawn(accept(listener, server, mood.clone())).abort_handle();
        Self { url: format!("{before}@{address}/{name}"), mood, accepting }
    }

    /// What `--database-url` takes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From here on nothing gets through, and no connection ends.
    pub fn fall_silent(&self) {
        self.mood.send_replace(Mood::Silent);
    }

    /// The same from the next moment on in which somebody has begun to read and waits for the answer.
    pub async fn fall_silent_within_a_read(&self) {
        self.mood.send_replace(Mood::SpeakingUntilBegin);
        until_silent(&self.mood).await;
    }

    /// Passes on what new connections say. Those that were open, or opened since, stay silent.
    pub fn speak_again(&self) {
        self.mood.send_replace(Mood::Speaking);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, mood: watch::Sender<Mood>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(pass_on(client, server, mood.clone()));
    }
}

async fn pass_on(mut client: TcpStream, server: SocketAddr, mood: watch::Sender<Mood>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        // First, so that nothing slips through. The sockets stay open: nobody is told.
        biased;
        () = until_silent(&mood) => std::future::pending().await,
        () = pump(&mut from_client, &mut to_server, &mood) => {}
        () = pump(&mut from_server, &mut to_client, &mood) => {}
    }
}

async fn pump(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, mood: &watch::Sender<Mood>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let words = &buffer[..count];
        let begins = || words.windows(BEGIN.len()).any(|window| window == BEGIN);
        if *mood.borrow() == Mood::SpeakingUntilBegin && begins() {
            mood.send_replace(Mood::Silent);
            return std::future::pending().await;
        }
        if to.write_all(words).await.is_err() {
            return;
        }
    }
}

async fn until_silent(mood: &watch::Sender<Mood>) {
    // An error means that the proxy is gone, and that is silence too.
    drop(mood.subscribe().wait_for(|mood| *mood == Mood::Silent).await);
}
