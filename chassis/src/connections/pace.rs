//! How fast one client may talk, so that what it sends without asking for anything takes nobody else's time.
//!
//! HTTP/2 knows many frames that cost the server work and bring no call forward: PING and SETTINGS want an answer, empty and
//! tiny DATA is handled like any other, a call may be reset as soon as it was made (CVE-2023-44487). h2 bounds what each of
//! them can pile up; none of its bounds is one in time. So the heads of frames are read here too, and who sends too many that
//! bring nothing is read no further for a while: the rest waits in the client's own socket. Nothing is
//! closed, since what a proxy sends on one connection is the calls of many.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much may be read for one unit of the 128 that tokio lets a task work before others have their turn: tokio itself counts
/// reads, and in one of 16 KiB a thousand frames may come. A call begun is two, so a turn is 16 KiB or 64 calls and what was
/// read with the last of them, which keeps others waiting for a fraction of a millisecond. Without this, what a few clients send
/// in one turn each fills the load limit with calls that have been reset already, and others are refused; and a turn's headers
/// could take 100 MiB when they are unpacked.
const BYTES_A_UNIT: usize = 128;
const CALL_UNITS: usize = 2;
/// So many bytes of headers are a further unit: a call has fewer once its connection's table knows what it sends each time, and
/// each byte may stand for a header of the table.
const HEADER_BYTES_A_UNIT: usize = 16;

/// The time in which a client may have sent so many more frames than its calls needed. 20,000 a second are what a client
/// sends for a stream that it reads at 300 MB/s (two WINDOW_UPDATEs for each 16 KiB). The time is short, so that what comes at
/// once keeps others waiting for less than a millisecond.
const WINDOW: Duration = Duration::from_millis(10);
const MAX_BALANCE: u32 = 200;
/// A pause is twice as long as the one before when the client used up its next window too, this many times: a flood comes to a
/// thirtieth of what it could be, and calls of others on the same connection wait for 0.3 s at most.
const MAX_DOUBLINGS: u32 = 5;

/// What a call may bring along: its message, small as it is, a PING to measure the line (as grpc-go sends), and the
/// WINDOW_UPDATEs for its answer.
const CALL_BRINGS: u32 = 8;
/// A call that is given up used what it brought, and costs more than a frame: it was begun and is ended. 10,000 a second stay
/// possible, and any number to a client whose other calls live: callers with short deadlines give up so many in good faith, and
/// what they share a connection with is not to wait for it.
const RESET_COSTS: u32 = CALL_BRINGS + 2;
/// Each may change the window of every open stream. A client sends two as it begins, its own and its consent to ours.
const SETTINGS_COST: u32 = 50;
/// DATA below this is hardly more than its head; h2 counts the same way.
const SMALL_DATA_BYTES: u32 = 256;

const HEAD_BYTES: usize = 9;

/// A connection behind its preface whose client is read no faster than it may talk.
#[derive(Debug)]
pub(super) struct Paced<IO> {
    io: IO,
    frames: Frames,
    sent: Sent,
    window_began: Instant,
    /// Windows in a row that were used up before their time.
    doublings: u32,
    /// Ends when the client is read again.
    pause: Option<Pin<Box<Sleep>>>,
}

/// What the frames of a client come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    /// So many frames more than its calls needed.
    balance: u32,
    /// What its calls take of a turn.
    units: usize,
}

/// Where in a frame the bytes are that come next.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; HEAD_BYTES],
    head_filled: usize,
    payload_left: usize,
}

// === impl Paced ===

impl<IO> Paced<IO> {
    pub(super) fn new(io: IO) -> Self {
        let window_began = Instant::now();
        let (frames, sent) = (Frames::default(), Sent::default());
        Self { io, frames, sent, window_began, doublings: 0, pause: None }
    }

    /// Notes what was read, and decides whether to go on; says what the calls that begin with it take of the turn.
    fn took(&mut self, bytes: &[u8]) -> usize {
        self.sent.units = 0;
        self.frames.add(bytes, &mut self.sent);
        if self.sent.balance >= MAX_BALANCE {
            self.end_window();
        }
        self.sent.units
    }

    fn end_window(&mut self) {
        // The clock is looked at only here: never for a client that behaves.
        let now = Instant::now();
        if now < self.window_began + WINDOW {
            self.pause = Some(Box::pin(sleep_until(self.window_began + WINDOW * (1 << self.doublings))));
            self.doublings = MAX_DOUBLINGS.min(self.doublings + 1);
        } else {
            self.doublings = 0;
            self.begin_window(now);
        }
    }

    fn begin_window(&mut self, now: Instant) {
        self.sent.balance = 0;
        self.window_began = now;
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Paced<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
            this.begin_window(Instant::now());
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        let bytes = &buffer.filled()[before..];
        use_up_turn(this.took(bytes) + bytes.len() / BYTES_A_UNIT, cx);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Paced<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}

/// Takes so many units from the task's turn; the read itself has cost one.
fn use_up_turn(units: usize, cx: &mut Context<'_>) {
    for _ in 0..units {
        if !coop::has_budget_remaining() {
            return;
        }
        if let Poll::Ready(unit) = coop::poll_proceed(cx) {
            unit.made_progress();
        }
    }
}

// === impl Frames ===

impl Frames {
    /// Adds further bytes to what was sent.
    fn add(&mut self, bytes: &[u8], sent: &mut Sent) {
        let mut rest = bytes;
        loop {
            let skipped = self.payload_left.min(rest.len());
            self.payload_left -= skipped;
            rest = &rest[skipped..];
            if rest.is_empty() {
                return;
            }
            let wanted = HEAD_BYTES - self.head_filled;
            let (part, after) = rest.split_at(wanted.min(rest.len()));
            self.head[self.head_filled..][..part.len()].copy_from_slice(part);
            self.head_filled += part.len();
            rest = after;
            if self.head_filled == HEAD_BYTES {
                self.head_filled = 0;
                let [high, middle, low, kind, flags, ..] = self.head;
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.payload_left = length as usize;
                sent.weigh(kind, flags, length);
            }
        }
    }
}

// === impl Sent ===

impl Sent {
    /// Adds one frame, by RFC 9113's numbers of kinds.
    fn weigh(&mut self, kind: u8, flags: u8, length: u32) {
        const DATA: u8 = 0;
        const HEADERS: u8 = 1;
        const RST_STREAM: u8 = 3;
        const SETTINGS: u8 = 4;
        const END_STREAM: u8 = 1;
        let cost = match kind {
            HEADERS => {
                self.units += CALL_UNITS + length as usize / HEADER_BYTES_A_UNIT;
                self.balance = self.balance.saturating_sub(CALL_BRINGS);
                return;
            }
            DATA if length >= SMALL_DATA_BYTES || flags & END_STREAM != 0 => 0,
            RST_STREAM => RESET_COSTS,
            SETTINGS => SETTINGS_COST,
            _ => 1,
        };
        self.balance = self.balance.saturating_add(cost);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    const CALL: [u8; 12] = [0, 0, 3, 1, 4, 0, 0, 0, 1, 0x83, 0x86, 0x84];
    const RESET: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    const MESSAGE: [u8; 10] = [0, 0, 1, 0, 0, 0, 0, 0, 1, 7];

    /// What bytes come to that are read in pieces.
    fn sent<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Sent {
        let (mut frames, mut sent) = (Frames::default(), Sent::default());
        pieces.into_iter().for_each(|piece| frames.add(piece, &mut sent));
        sent
    }

    /// How long it takes to read all of some bytes that are there from the beginning.
    async fn reading_takes(bytes: Vec<u8>) -> Duration {
        let (mut client, server) = tokio::io::duplex(bytes.len());
        client.write_all(&bytes).await.unwrap();
        drop(client);
        let start = Instant::now();
        let mut paced = Paced::new(server);
        let (mut read, mut some) = (Vec::new(), [0; 1_024]);
        while read.len() < bytes.len() {
            let count = paced.read(&mut some).await.unwrap();
            read.extend_from_slice(&some[..count]);
        }
        assert_eq!(read, bytes);
        start.elapsed()
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let bytes = [PING.as_slice(), &CALL, &MESSAGE, &RESET].concat();
        let whole = sent([bytes.as_slice()]);
        // The call takes away what the PING cost, and no more; its message and the reset come after it.
        let balance = 1 + RESET_COSTS;
        assert_eq!(whole, Sent { balance, units: CALL_UNITS });
        for at in 0..bytes.len() {
            let (before, after) = bytes.split_at(at);
            assert_eq!(sent([before, after]), whole, "cut at {at}");
        }
        assert_eq!(sent(bytes.chunks(1)), whole);
    }

    #[test]
    fn calls_pay_for_what_they_bring_and_resets_for_their_calls() {
        let calls = [CALL.as_slice(), &MESSAGE, &PING, &PING].concat().repeat(1_000);
        assert!(sent([calls.as_slice()]).balance < 10);
        let resets = |count| [CALL.as_slice(), &RESET].concat().repeat(count);
        assert!(sent([resets(100).as_slice()]).balance > MAX_BALANCE);
        // What sixteen callers give up in a window who wait for 5 ms each is far from it.
        assert!(sent([resets(32).as_slice()]).balance < MAX_BALANCE / 2);
    }

    #[tokio::test]
    async fn a_turn_has_an_end_however_much_could_be_read_at_once() {
        const PIECE: usize = 1_024;
        for bytes in [[CALL.as_slice(), &RESET].concat().repeat(10_000), vec![0; 1_000_000]] {
            let (mut client, server) = tokio::io::duplex(bytes.len());
            client.write_all(&bytes).await.unwrap();
            let mut paced = Paced::new(server);
            let turn = tokio::spawn(std::future::poll_fn(move |cx| {
                let mut read = Vec::new();
                loop {
                    let mut piece = [0; PIECE];
                    let mut piece = ReadBuf::new(&mut piece);
                    if Pin::new(&mut paced).poll_read(cx, &mut piece).is_pending() {
                        return Poll::Ready(read);
                    }
                    read.extend_from_slice(piece.filled());
                }
            }));
            let read = turn.await.unwrap();
            let units = sent([read.as_slice()]).units;
            assert!(units <= 128 + CALL_UNITS * PIECE / CALL.len(), "{units} units");
            assert!(read.len() <= 17 * PIECE, "{} bytes", read.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_frames_that_bring_nothing_is_read_at_a_bounded_rate() {
        // 1 KiB, which is read at once here, is 60 of them: so many windows, of which the last five are as long as they get.
        let windows = 10;
        let took = reading_takes(PING.repeat(windows * 4 * 1_024 / PING.len())).await;
        let pauses = WINDOW * (1 + 2 + 4 + 8 + 16 + 32 * 5);
        assert!((pauses - WINDOW * 32..=pauses).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_calls_is_never_held_up() {
        let calls = [CALL.as_slice(), &MESSAGE, &PING].concat().repeat(100_000);
        assert_eq!(reading_takes(calls).await, Duration::ZERO);
    }
}
