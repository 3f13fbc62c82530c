//! An address that stays a story's own: while nobody listens there, connections are refused and nobody else gets it.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;

/// A bound port on which nothing listens. Who binds it too, with SO_REUSEADDR as servers do, can.
pub struct Port {
    _bound: TcpSocket,
    /// What is reserved.
    pub address: SocketAddr,
}

// === impl Port ===

impl Port {
    /// A free one on loopback.
    pub fn reserve() -> Self {
        let bound = bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = bound.local_addr().expect("a bound socket has an address");
        Self { _bound: bound, address }
    }

    /// One port on so many addresses of loopback, as pods have it.
    pub fn reserve_on_each(addresses: u8) -> Vec<Self> {
        let first = Self::reserve();
        let on = |host| SocketAddr::from(([127, 0, 0, host], first.address.port()));
        let further: Vec<_> =
            (2..=addresses).map(on).map(|address| Self { _bound: bind(address), address }).collect();
        std::iter::once(first).chain(further).collect()
    }

    /// Takes connections, until the listener is dropped.
    pub fn listen(&self) -> TcpListener {
        bind(self.address).listen(BACKLOG).expect("the port is this story's own")
    }
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a new socket can be told so");
    socket.bind(address).expect("the port is free, or this story's own");
    socket
}
