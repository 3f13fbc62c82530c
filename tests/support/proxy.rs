//! A TCP proxy in front of a PostgreSQL, which can fall silent as a lost machine does: without a word, and for good.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Passes bytes on, or keeps them. Ends when dropped.
pub struct Proxy {
    url: String,
    silent: watch::Sender<bool>,
    accepting: AbortHandle,
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
        let silent = watch::Sender::new(false);
        let accepting = tokio::spawn(accept(listener, server, silent.subscribe())).abort_handle();
        Self { url: format!("{before}@{address}/{name}"), silent, accepting }
    }

    /// What `--database-url` takes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From here on nothing gets through, and no connection ends.
    pub fn fall_silent(&self) {
        self.silent.send_replace(true);
    }

    /// Passes on what new connections say. Those that were open, or opened since, stay silent.
    pub fn speak_again(&self) {
        self.silent.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, silent: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(pass_on(client, server, silent.clone()));
    }
}

async fn pass_on(mut client: TcpStream, server: SocketAddr, mut silent: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        // First, so that nothing slips through.
        biased;
        () = until(&mut silent) => std::future::pending().await,
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
    }
}

async fn until(silent: &mut watch::Receiver<bool>) {
    // An error means that the proxy is gone, and that is silence too.
    drop(silent.wait_for(|silent| *silent).await);
}
