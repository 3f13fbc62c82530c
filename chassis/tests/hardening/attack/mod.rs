//! Clients that mean harm. The stories and the bench of floods use this file too.
#![allow(dead_code, missing_docs, reason = "each that includes this uses a part of it")]

pub mod floods;
pub mod frames;

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use frames::{PING, PREFACE, SETTINGS, frame};

/// A connection on which HTTP/2 has begun, and which then does as it is told.
pub struct Attacker {
    stream: TcpStream,
}

/// What a server said until it closed the connection.
#[derive(Debug)]
pub struct LastWords(Vec<u8>);

// === impl Attacker ===

impl Attacker {
    /// Connects, and sends what opens HTTP/2: the preface and empty SETTINGS. What the server says is never acknowledged.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut opening = PREFACE.to_vec();
        frame(&mut opening, SETTINGS, 0, 0, &[]);
        stream.write_all(&opening).await?;
        Ok(Self { stream })
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads until the server has acknowledged a PING.
    pub async fn until_acknowledged(&mut self, ping: &[u8; 8]) -> io::Result<()> {
        const ACK: u8 = 1;
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await?;
            let [high, middle, low, kind, flags, ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
            self.stream.read_exact(&mut payload).await?;
            if (kind, flags) == (PING, ACK) && payload == ping {
                return Ok(());
            }
        }
    }

    /// Reads until the server has closed the connection.
    pub async fn last_words(mut self) -> LastWords {
        let mut words = Vec::new();
        // A reset is an end too.
        let _ = self.stream.read_to_end(&mut words).await;
        LastWords(words)
    }

    /// Reads on another task and throws away what comes, so that the server is not held up by what it has to say.
    pub fn listening_to_nothing(self) -> (impl AsyncWriteExt + Unpin + Send, JoinHandle<()>) {
        let (mut reading, writing) = self.stream.into_split();
        let ignoring = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut reading, &mut tokio::io::sink()).await;
        });
        (writing, ignoring)
    }

    /// Says goodbye without the pause in which a socket waits for what is still under way: thousands of them would use up the
    /// ports of this machine.
    pub fn vanish(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }
}

// === impl LastWords ===

impl LastWords {
    /// The error code of the GOAWAY among them.
    pub fn goaway(&self) -> Option<u32> {
        let mut rest = self.0.as_slice();
        while let [high, middle, low, kind, _, _, _, _, _, after @ ..] = rest {
            let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            let payload = after.get(..length)?;
            if *kind == frames::GOAWAY {
                return Some(u32::from_be_bytes(payload[4..8].try_into().ok()?));
            }
            rest = &after[length..];
        }
        None
    }
}
