//! A TCP proxy in front of one address that has a network's faults, one at a time, on open and on new connections alike.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::port::Port;

/// Most bytes that travel together.
const CHUNK_BYTES: usize = 4 * 1024;
/// Most chunks on the way, in each direction of a connection: what a delayed link holds. More wait in the sender's socket.
const CHUNKS: usize = 64;

/// What is wrong with the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// All that is said arrives so much later, in each direction.
    Delay(Duration),
    /// So many bytes a second arrive, in each direction of a connection.
    Throttle(u32),
    /// Connections are taken and kept, and nothing arrives. What was said arrives when this is over.
    BlackHole,
    /// Connections are taken, and reset at once.
    Reset,
    /// Connections are closed, and new ones refused.
    Cut,
}

/// Passes bytes on, as well as its fault allows. Ends when dropped.
pub struct Faults {
    /// Where it listens.
    pub address: SocketAddr,
    behind: Behind,
    fault: watch::Sender<Option<Fault>>,
    taken: Arc<AtomicUsize>,
    serving: AbortHandle,
}

/// Where new connections go.
type Behind = Arc<Mutex<SocketAddr>>;

/// What has been read and not yet passed on.
struct Chunk {
    bytes: Vec<u8>,
    read_at: Instant,
}

type Current = watch::Receiver<Option<Fault>>;

// === impl Faults ===

impl Faults {
    /// In front of an address, without a fault.
    pub fn in_front_of(behind: SocketAddr) -> Self {
        let port = Port::reserve();
        let address = port.address;
        let (fault, current) = watch::channel(None);
        let (taken, behind) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(behind)));
        // Before anybody can be told the address.
        let listener = port.listen();
        let serving = tokio::spawn(serve(port, listener, Arc::clone(&behind), current, Arc::clone(&taken)));
        Self { address, behind, fault, taken, serving: serving.abort_handle() }
    }

    /// From now on this is wrong, and nothing else.
    pub fn begin(&self, fault: Fault) {
        self.fault.send_replace(Some(fault));
    }

    /// From now on nothing is wrong. What is on its way goes on.
    pub fn heal(&self) {
        self.fault.send_replace(None);
    }

    /// From now on it stands in front of another address, as a Kubernetes Service does after a failover. Connections that
    /// are open stay where they are.
    pub fn point_at(&self, behind: SocketAddr) {
        *self.behind.lock().expect("nobody panics with it") = behind;
    }

    /// How many connections it has taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    port: Port,
    mut listener: TcpListener,
    behind: Behind,
    current: Current,
    taken: Arc<AtomicUsize>,
) {
    loop {
        tokio::select! {
            () = until(current.clone(), |fault| fault == Some(Fault::Cut)) => {}
            () = take(&listener, &behind, &current, &taken) => {}
        }
        drop(listener);
        until(current.clone(), |fault| fault != Some(Fault::Cut)).await;
        listener = port.listen();
    }
}

/// Takes connections. Dropping the future closes them.
async fn take(listener: &TcpListener, behind: &Behind, current: &Current, taken: &AtomicUsize) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                taken.fetch_add(1, Ordering::Relaxed);
                let behind = *behind.lock().expect("nobody panics with it");
                connections.spawn(connect(client, behind, current.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(mut client: TcpStream, behind: SocketAddr, current: Current) {
    let may_stay = tokio::select! {
        biased;
        () = until(current.clone(), |fault| fault == Some(Fault::Reset)) => false,
        may_stay = pass_on(&mut client, behind, &current) => may_stay,
    };
    if !may_stay {
        // Closed like this, a socket sends RST. One that does not work is closed already.
        drop(client.set_zero_linger());
    }
}

/// Whether the connection ended as connections do.
async fn pass_on(client: &mut TcpStream, behind: SocketAddr, current: &Current) -> bool {
    let Ok(mut server) = TcpStream::connect(behind).await else { return false };
    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_err() {
        return false;
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        () = pump(from_client, to_server, current.clone()) => {}
        () = pump(from_server, to_client, current.clone()) => {}
    }
    true
}

/// Ends when either end does, and all that was said before has arrived.
async fn pump(from: ReadHalf<'_>, to: WriteHalf<'_>, current: Current) {
    let (chunks, on_the_way) = mpsc::channel(CHUNKS);
    tokio::select! {
        () = async { read(from, chunks).await; std::future::pending().await } => {}
        () = write(on_the_way, to, current) => {}
    }
}

async fn read(mut from: ReadHalf<'_>, chunks: mpsc::Sender<Chunk>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let chunk = Chunk { bytes: buffer[..count].to_vec(), read_at: Instant::now() };
        if chunks.send(chunk).await.is_err() {
            return;
        }
    }
}

async fn write(mut chunks: mpsc::Receiver<Chunk>, mut to: WriteHalf<'_>, mut current: Current) {
    while let Some(chunk) = chunks.recv().await {
        hold(&chunk, &mut current).await;
        if to.write_all(&chunk.bytes).await.is_err() {
            return;
        }
    }
}

/// Waits for as long as the fault of the moment holds the bytes back.
async fn hold(chunk: &Chunk, current: &mut Current) {
    let turn = Instant::now();
    loop {
        let fault = *current.borrow_and_update();
        let until = match fault {
            None => return,
            Some(Fault::Delay(delay)) => Some(chunk.read_at + delay),
            Some(Fault::Throttle(per_second)) => {
                Some(turn + Duration::from_secs(1).mul_f64(chunk.bytes.len() as f64 / f64::from(per_second)))
            }
            Some(Fault::BlackHole | Fault::Reset | Fault::Cut) => None,
        };
        let wait = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => return,
            Ok(()) = current.changed() => {}
        }
    }
}

async fn until(mut current: Current, holds: impl Fn(Option<Fault>) -> bool) {
    if current.wait_for(|fault| holds(*fault)).await.is_err() {
        // The proxy is dropped, and this task with it.
        std::future::pending::<()>().await;
    }
}
