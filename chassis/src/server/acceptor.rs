//! Accepting connections and spreading them: each goes to the runtime that has the fewest.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream as StdStream};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener as AsyncListener, TcpStream};

use super::runtime::Runtime;
use crate::connections::{Seldom, on_a_runtime, pause_after_accept_error};
use crate::shutdown::Shutdown;

/// How long a connection may be silent before the other end is asked whether it is still there, so that what a crashed
/// machine left is gone in a minute. TCP asks, not HTTP/2: hyper would note the time of each frame for it, which costs every
/// call 760 instructions. A machine that lives but whose program hangs answers for it: its connection ends with its age, and
/// where that is 0 (`--max-connection-age-seconds`) nothing ends it.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(30);

/// How long after one unanswered probe the next is sent, and after how many the connection is given up.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_PROBES: u32 = 3;

/// How long what was sent may stay unacknowledged before the connection is given up. Linux sends no probes meanwhile, and by
/// itself sends the bytes again for a quarter of an hour.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration =
    KEEP_ALIVE_IDLE.saturating_add(KEEP_ALIVE_INTERVAL.saturating_mul(KEEP_ALIVE_PROBES));

/// A bound port and the small runtime that waits for connections on it.
pub(super) struct Acceptor {
    listener: AsyncListener,
    address: SocketAddr,
    // Last, so that the listener is dropped inside a living runtime.
    runtime: tokio::runtime::Runtime,
}

// === impl Acceptor ===

impl Acceptor {
    pub(super) fn new(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (listener, runtime) = on_a_runtime(listener)?;
        Ok(Self { listener, address, runtime })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `shutdown` starts.
    pub(super) fn accept_until(&self, shutdown: &Shutdown, runtimes: &[Runtime]) -> io::Result<()> {
        self.runtime.block_on(async {
            tokio::select! {
                () = shutdown.started() => Ok(()),
                // A runtime without connections ends as soon as the shutdown starts, perhaps before this is noticed.
                result = self.accept(runtimes) => if shutdown.is_started() { Ok(()) } else { result },
            }
        })
    }

    /// Accepts until a runtime is found dead.
    async fn accept(&self, runtimes: &[Runtime]) -> io::Result<()> {
        let mut accept_failed = Seldom::default();
        let mut queue_full = Seldom::default();
        loop {
            let connection = match self.listener.accept().await {
                Ok((stream, _)) => ready_to_serve(stream),
                Err(error) => {
                    pause_after_accept_error(&error, &mut accept_failed).await;
                    continue;
                }
            };
            // An error here is the one connection's: it was reset before it was looked at.
            let Ok(connection) = connection else { continue };
            if let Some(runtime) = runtimes.iter().min_by_key(|runtime| runtime.open_connections()) {
                runtime.hand_over(connection, &mut queue_full)?;
            }
        }
    }
}

/// A connection for another runtime.
fn ready_to_serve(stream: TcpStream) -> io::Result<StdStream> {
    // Small answers must not wait for the acknowledgement of the last one.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    let probes = TcpKeepalive::new().with_time(KEEP_ALIVE_IDLE).with_interval(KEEP_ALIVE_INTERVAL);
    socket.set_tcp_keepalive(&probes.with_retries(KEEP_ALIVE_PROBES))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    stream.into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_answers_wait_for_no_acknowledgement() {
        let listener = AsyncListener::bind(("127.0.0.1", 0)).await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert!(!accepted.nodelay().unwrap());
        assert!(ready_to_serve(accepted).unwrap().nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_silent_connection_is_asked_whether_the_other_end_is_still_there_and_given_up_in_a_minute() {
        let listener = AsyncListener::bind(("127.0.0.1", 0)).await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let accepted = ready_to_serve(accepted).unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE_IDLE);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(45)));
    }
}
