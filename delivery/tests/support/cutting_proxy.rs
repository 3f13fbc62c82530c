//! A TCP proxy in front of a PostgreSQL that cuts or silences one connection at a given word, before the server reads it or
//! before the client does, and may refuse those that come after.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const BUFFER_BYTES: usize = 64 * 1024;

/// Where a word comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The client, so that the server does not hear it.
    Client,
    /// The server, so that what it speaks of is done.
    Server,
}

/// What becomes of a connection at its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It ends.
    Cut,
    /// It stays, and nothing is heard on it any more.
    Silence,
}

/// Passes bytes on, but for the one cut that it is told to make.
pub struct CuttingProxy {
    url: String,
    cut: Cut,
    is_open: Arc<AtomicBool>,
}

/// Shared with every connection; taken by the one that is cut.
type Cut = Arc<Mutex<Option<(From, &'static [u8], End)>>>;

// === impl CuttingProxy ===

impl CuttingProxy {
    /// A proxy in front of the server that a database's URL names.
    pub async fn start(database_url: &str) -> Self {
        let (before, rest) = database_url.split_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let server: SocketAddr = server.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{before}@{}/{name}", listener.local_addr().unwrap());
        let (cut, is_open) = (Cut::default(), Arc::new(AtomicBool::new(true)));
        tokio::spawn(accept(listener, server, Arc::clone(&cut), Arc::clone(&is_open)));
        Self { url, cut, is_open }
    }

    /// What `Database::connect` takes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends the next connection on which this word is said, in its place.
    pub fn cut_at(&self, from: From, word: &'static [u8]) {
        *self.cut.lock().unwrap() = Some((from, word, End::Cut));
    }

    /// Passes nothing on any more from where this word is said next, on the connection on which it is.
    pub fn silence_at(&self, from: From, word: &'static [u8]) {
        *self.cut.lock().unwrap() = Some((from, word, End::Silence));
    }

    /// Whether connections that come from now on are passed on, or end at once.
    pub fn open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::SeqCst);
    }

    /// Whether the cut was made, or the connection silenced.
    pub fn has_cut(&self) -> bool {
        self.cut.lock().unwrap().is_none()
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, cut: Cut, is_open: Arc<AtomicBool>) {
    while let Ok((client, _)) = listener.accept().await {
        if !is_open.load(Ordering::SeqCst) {
            continue;
        }
        let cut = Arc::clone(&cut);
        tokio::spawn(async move {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
            // Whichever ends first takes the other with it.
            tokio::select! {
                () = pump(from_client, to_server, From::Client, &cut) => {}
                () = pump(from_server, to_client, From::Server, &cut) => {}
            }
        });
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, side: From, cut: &Cut) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let words = &buffer[..count];
        let is_said = |&mut (from, word, _): &mut (From, &[u8], End)| {
            from == side && words.windows(word.len()).any(|said| said == word)
        };
        let end = cut.lock().unwrap().take_if(is_said).map(|(_, _, end)| end);
        match end {
            Some(End::Cut) => return,
            Some(End::Silence) => std::future::pending().await,
            None if to.write_all(words).await.is_err() => return,
            None => {}
        }
    }
}
