//! One HTTP/2 connection of a load, without its socket: what to write, and what was answered.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::hpack::{RequestHeaders, StatusReader};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER_BYTES: usize = 9;
/// What a frame may hold unless the other end allows more.
pub const MAX_BODY_BYTES: usize = 16_384;
const MAX_WINDOW: u32 = (1 << 31) - 1;
/// What either end may send before it is told more.
const FIRST_WINDOW: u32 = 65_535;
/// After so many bytes the other end is told that it may go on: seldom, and long before its window is used up.
const TELL_AFTER_BYTES: u32 = 1 << 29;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

const HEADER_TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// With a gRPC status.
    Code(u8),
    /// With a status that could not be read, or none.
    Unreadable,
    /// By a reset of its stream.
    Reset,
}

/// One connection.
pub struct Connection {
    headers: RequestHeaders,
    statuses: StatusReader,
    in_flight: HashMap<u32, Instant>,
    next_stream: u32,
    /// Bytes that may still be sent.
    window: i64,
    received: u32,
    unread: Vec<u8>,
    going_away: bool,
    /// What is to be written.
    pub output: Vec<u8>,
    /// The first answer's message, for whoever wants to look at it.
    pub first_message: Vec<u8>,
}

// === impl Connection ===

impl Connection {
    pub fn new(headers: RequestHeaders) -> Self {
        let mut output = PREFACE.to_vec();
        let mut settings = Vec::new();
        for (name, value) in [(HEADER_TABLE_SIZE, 0), (INITIAL_WINDOW_SIZE, MAX_WINDOW)] {
            settings.extend(name.to_be_bytes());
            settings.extend(u32::to_be_bytes(value));
        }
        frame(&mut output, SETTINGS, 0, 0, &settings);
        frame(&mut output, WINDOW_UPDATE, 0, 0, &(MAX_WINDOW - FIRST_WINDOW).to_be_bytes());
        Self {
            headers,
            statuses: StatusReader::new(),
            in_flight: HashMap::new(),
            next_stream: 1,
            window: i64::from(FIRST_WINDOW),
            received: 0,
            unread: Vec::new(),
            going_away: false,
            output,
            first_message: Vec::new(),
        }
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether a call with such a body can be begun now.
    pub fn has_room(&self, body: &[u8]) -> bool {
        !self.going_away && self.window >= i64::try_from(body.len()).unwrap_or(i64::MAX)
    }

    /// Begins a call; `begun` is what its time counts from.
    pub fn call(&mut self, body: &[u8], begun: Instant) {
        let stream = self.next_stream;
        self.next_stream += 2;
        frame(&mut self.output, HEADERS, END_HEADERS, stream, self.headers.block(stream == 1));
        frame(&mut self.output, DATA, END_STREAM, stream, body);
        self.window -= body.len() as i64;
        self.in_flight.insert(stream, begun);
    }

    /// Takes what was read, and tells of each call that it ended.
    pub fn receive(&mut self, bytes: &[u8], mut ended: impl FnMut(End, Duration)) {
        let now = Instant::now();
        let mut unread = std::mem::take(&mut self.unread);
        unread.extend_from_slice(bytes);
        let mut rest = &unread[..];
        while rest.len() >= FRAME_HEADER_BYTES {
            let (header, more) = rest.split_at(FRAME_HEADER_BYTES);
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
            let Some((payload, further)) = more.split_at_checked(length) else { break };
            rest = further;
            let stream = number(&header[5..9]);
            if let Some(end) = self.frame(header[3], header[4], stream, payload)
                && let Some(begun) = self.in_flight.remove(&stream)
            {
                ended(end, now.saturating_duration_since(begun));
            }
        }
        self.unread = rest.to_vec();
    }

    /// How the frame's call ended, if it did with this frame.
    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Option<End> {
        let ends = flags & END_STREAM != 0;
        match kind {
            DATA => {
                self.take(payload);
                ends.then_some(End::Unreadable)
            }
            HEADERS if ends => {
                let readable = flags & END_HEADERS != 0 && flags & (PADDED | PRIORITY) == 0;
                let code = readable.then(|| self.statuses.read(payload)).flatten();
                Some(code.map_or(End::Unreadable, End::Code))
            }
            RST_STREAM => Some(End::Reset),
            SETTINGS if flags & ACK == 0 => {
                frame(&mut self.output, SETTINGS, ACK, 0, &[]);
                None
            }
            PING if flags & ACK == 0 => {
                frame(&mut self.output, PING, ACK, 0, payload);
                None
            }
            WINDOW_UPDATE if stream == 0 => {
                self.window += i64::from(number(payload));
                None
            }
            GOAWAY => {
                self.going_away = true;
                None
            }
            _ => None,
        }
    }

    fn take(&mut self, data: &[u8]) {
        if self.first_message.is_empty() {
            self.first_message = data.to_vec();
        }
        self.received += u32::try_from(data.len()).unwrap_or_default();
        if self.received >= TELL_AFTER_BYTES {
            frame(&mut self.output, WINDOW_UPDATE, 0, 0, &self.received.to_be_bytes());
            self.received = 0;
        }
    }
}

fn frame(output: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    output.extend_from_slice(&length[1..]);
    output.extend_from_slice(&[kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
    output.extend_from_slice(payload);
}

/// The 31 bits that HTTP/2 writes numbers of streams and bytes in.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes) & MAX_WINDOW)
}
