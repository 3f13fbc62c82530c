//! A load on a gRPC method: calls it so many at once, or so often a second, and prints as one line of JSON what came of it.
//!
//! h2load can't do what this does: vary the message, read each answer's grpc-status, tell quantiles, keep a rate. A thread
//! for each connection reads and writes its socket as a blocking program does, so what is measured is the server.

mod closed;
mod connection;
mod hpack;
mod open;
mod secured;
mod tally;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use connection::{Connection, MAX_BODY_BYTES};
use hpack::RequestHeaders;
use secured::Secured;
use tally::Tally;

/// An answer that has not come by then never will.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// gRPC puts a byte (not compressed) and four of length before a message.
const PREFIX_BYTES: usize = 5;

/// Calls a gRPC method, and prints what came of it.
#[derive(Parser, Clone, Debug)]
struct Load {
    /// Where the server listens.
    #[arg(long)]
    address: SocketAddr,
    /// The method, such as /candeliver.product.v1.ProductService/CanDeliver.
    #[arg(long)]
    path: String,
    /// The messages, one after the other, each with gRPC's prefix; sent in turn.
    #[arg(long)]
    bodies: PathBuf,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Calls in flight on each connection; with --rate the most.
    #[arg(long, default_value_t = 1)]
    streams: usize,
    /// At most so many calls.
    #[arg(long, default_value_t = usize::MAX)]
    calls: usize,
    /// No call is begun after this time.
    #[arg(long)]
    seconds: f64,
    /// Begins so many calls a second, whatever becomes of them, instead of one for each answer.
    #[arg(long)]
    rate: Option<f64>,
    /// The calls' own deadline. Answers that come after it are late, not good: the time counts from when a call was due.
    #[arg(long)]
    deadline_ms: Option<u64>,
    #[command(flatten)]
    secured: Secured,
}

/// What a connection has to do.
struct Share {
    number: usize,
    load: Load,
    bodies: Arc<[Vec<u8>]>,
}

fn main() -> io::Result<()> {
    let load = Load::parse();
    let bodies: Arc<[Vec<u8>]> = split(&std::fs::read(&load.bodies)?)?.into();
    let threads: Vec<_> = (0..load.connections)
        .map(|number| {
            let share = Share { number, load: load.clone(), bodies: Arc::clone(&bodies) };
            std::thread::spawn(move || {
                if share.load.rate.is_some() { open::run(&share) } else { closed::run(&share) }
            })
        })
        .collect();
    let mut all = Tally::default();
    for thread in threads {
        all.add(thread.join().map_err(|_| io::Error::other("a connection's thread panicked"))??);
    }
    println!("{}", all.json());
    Ok(())
}

fn split(mut bytes: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let bad = |why: &str| io::Error::new(ErrorKind::InvalidData, format!("--bodies: {why}"));
    let mut bodies = Vec::new();
    while let Some(prefix) = bytes.first_chunk::<PREFIX_BYTES>() {
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        let (body, rest) =
            bytes.split_at_checked(PREFIX_BYTES + length).ok_or_else(|| bad("ends too early"))?;
        if body.len() > MAX_BODY_BYTES {
            return Err(bad("a message is longer than a frame"));
        }
        bodies.push(body.to_vec());
        bytes = rest;
    }
    if bodies.is_empty() { Err(bad("holds no message")) } else { Ok(bodies) }
}

// === impl Share ===

impl Share {
    fn connect(&self) -> io::Result<(TcpStream, Connection)> {
        let socket = TcpStream::connect(self.load.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let headers =
            RequestHeaders::new(&self.load.address.to_string(), &self.load.path, self.load.deadline_ms);
        Ok((socket, Connection::new(headers)))
    }

    /// The messages in turn, each connection beginning elsewhere.
    fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        let skip = self.bodies.len() * self.number / self.load.connections;
        self.bodies.iter().map(Vec::as_slice).cycle().skip(skip)
    }

    fn calls(&self) -> usize {
        let (all, connections) = (self.load.calls, self.load.connections);
        all / connections + usize::from(self.number < all % connections)
    }

    fn tally(&self) -> Tally {
        Tally::new(self.load.deadline_ms.map(Duration::from_millis))
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.load.seconds)
    }
}

/// What a read that brought nothing means.
fn closed_early() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")
}
