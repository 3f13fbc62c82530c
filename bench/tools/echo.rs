//! A blocking TCP echo and its client with one message in flight: what a call costs before it is a call.
//!
//! `echo serve PORT` answers each 150 bytes with as many; `echo ask PORT COUNT` prints the median round trip in µs.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// What a CanDeliver is on the wire, frames included: about 100 bytes there and 170 back.
const MESSAGE_BYTES: usize = 150;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments.get(place).and_then(|text| text.parse::<u32>().ok());
    match (arguments.first().map(String::as_str), number(1).and_then(|port| port.try_into().ok()), number(2))
    {
        (Some("serve"), Some(port), None) => serve(port),
        (Some("ask"), Some(port), Some(count)) => ask(port, count),
        _ => Err(io::Error::other("usage: echo serve PORT | ask PORT COUNT")),
    }
}

fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    loop {
        let (mut socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        let mut message = [0; MESSAGE_BYTES];
        // Whoever only looks whether this serves sends nothing.
        while socket.read_exact(&mut message).is_ok() {
            socket.write_all(&message)?;
        }
    }
}

fn ask(port: u16, count: u32) -> io::Result<()> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut message = [7; MESSAGE_BYTES];
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        socket.write_all(&message)?;
        socket.read_exact(&mut message)?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    println!("{:.1}", took.get(took.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6);
    Ok(())
}
