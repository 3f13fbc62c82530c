//! A closed loop: each answer lets the next call begin.

use std::io::{self, Read, Write};
use std::time::Instant;

use crate::tally::Tally;
use crate::{Share, closed_early};

const READ_BYTES: usize = 64 * 1024;

pub fn run(share: &Share) -> io::Result<Tally> {
    let (socket, mut connection) = share.connect()?;
    let mut socket = share.load.secured.around(socket)?;
    let mut bodies = share.bodies().peekable();
    let mut to_begin = share.calls();
    let mut buffer = vec![0; READ_BYTES];
    let mut tally = share.tally();
    let begun = Instant::now();
    loop {
        let now = Instant::now();
        if now - begun >= share.time() {
            to_begin = 0;
        }
        while to_begin > 0 && connection.in_flight() < share.load.streams {
            let Some(body) = bodies.next_if(|body| connection.has_room(body)) else { break };
            connection.call(body, now);
            to_begin -= 1;
        }
        socket.write_all(&connection.output)?;
        connection.output.clear();
        if to_begin == 0 && connection.in_flight() == 0 {
            break;
        }
        let read = socket.read(&mut buffer)?;
        if read == 0 {
            return Err(closed_early());
        }
        connection.receive(&buffer[..read], |end, took| tally.ended(end, took));
    }
    Ok(tally.finish(begun.elapsed(), connection.first_message))
}
