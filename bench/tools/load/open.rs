//! An open loop: calls begin at a rate, whatever becomes of those before; their time counts from when they were due.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::tally::Tally;
use crate::{Share, closed_early};

const READ_BYTES: usize = 64 * 1024;
/// How often the reader looks whether all is over: it would wait for ever for an answer that was the last.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long a call waits for room, its time running: a pause of the machine's must not lose calls, a server that stays
/// behind must.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(100);
/// How often it looks for room.
const LOOK_FOR_ROOM: Duration = Duration::from_micros(100);
/// How long after the last call answers may come.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

pub fn run(share: &Share) -> io::Result<Tally> {
    let (socket, connection) = share.connect()?;
    socket.set_read_timeout(Some(LOOK_AGAIN))?;
    let connection = Mutex::new(connection);
    let begun = Instant::now();
    let all_begun = AtomicBool::new(false);
    let (mut tally, last_good) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(share, &socket, &connection, begun, &all_begun));
        let unsent = write(share, &socket, &connection, begun)?;
        all_begun.store(true, Ordering::Release);
        let (mut tally, last_good) = reader.join().map_err(|_| io::Error::other("the reader panicked"))??;
        tally.unsent = unsent;
        io::Result::Ok((tally, last_good))
    })?;
    let connection = connection.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Those never answered are not counted as ended, and so not as good.
    tally.unsent += connection.in_flight();
    // Good answers that came after the last call are counted, so the time they took is too.
    Ok(tally.finish(share.time().max(last_good), connection.first_message))
}

/// Begins each call when it is due; those that found no room are counted and left out.
#[allow(clippy::disallowed_methods, reason = "the thread has nothing else to do")]
fn write(
    share: &Share,
    mut socket: &TcpStream,
    connection: &Mutex<Connection>,
    begun: Instant,
) -> io::Result<usize> {
    let rate = share.load.rate.unwrap_or(1.0) / share.load.connections as f64;
    let between = Duration::from_secs_f64(1.0 / rate);
    let (mut due, mut wake, mut unsent) = (begun, begun, 0);
    let mut bodies = share.bodies().peekable();
    while due - begun < share.time() {
        std::thread::sleep(wake.saturating_duration_since(Instant::now()));
        let mut connection = locked(connection);
        while due <= Instant::now() && due - begun < share.time() {
            let room = connection.in_flight() < share.load.streams;
            if let Some(body) = bodies.next_if(|body| room && connection.has_room(body)) {
                connection.call(body, due);
            } else if due.elapsed() < WAIT_FOR_ROOM {
                wake = Instant::now() + LOOK_FOR_ROOM;
                break;
            } else {
                unsent += 1;
            }
            due += between;
            wake = due;
        }
        socket.write_all(&connection.output)?;
        connection.output.clear();
    }
    Ok(unsent)
}

/// The ends, and when the last one came that was good.
fn read(
    share: &Share,
    mut socket: &TcpStream,
    connection: &Mutex<Connection>,
    begun: Instant,
    all_begun: &AtomicBool,
) -> io::Result<(Tally, Duration)> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut tally, mut last_good) = (share.tally(), Duration::ZERO);
    loop {
        let over = begun.elapsed().saturating_sub(share.time());
        // In this order: once all have begun none comes after the look at those in flight.
        if over > LAST_ANSWERS || all_begun.load(Ordering::Acquire) && locked(connection).in_flight() == 0 {
            return Ok((tally, last_good));
        }
        match socket.read(&mut buffer) {
            Ok(0) => return Err(closed_early()),
            Ok(read) => {
                let good = tally.good();
                locked(connection).receive(&buffer[..read], |end, took| tally.ended(end, took));
                if tally.good() > good {
                    last_good = begun.elapsed();
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
}

fn locked(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
