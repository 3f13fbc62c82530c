//! What it costs to make one block durable: `fdatasync FILE COUNT` prints the median in µs.
//!
//! As a database's log does it: a block of 8 KiB over what is there already, then fdatasync.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::time::Instant;

const BLOCK: [u8; 8_192] = [7; 8_192];
/// As long as a segment of PostgreSQL's log.
const BLOCKS: u64 = 2_048;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(count)) =
        (arguments.next(), arguments.next().and_then(|count| count.parse::<u64>().ok()))
    else {
        return Err(io::Error::other("usage: fdatasync FILE COUNT"));
    };
    let mut file = File::create(&path)?;
    for _ in 0..BLOCKS {
        file.write_all(&BLOCK)?;
    }
    file.sync_all()?;
    let mut took = Vec::new();
    for number in 0..count {
        file.seek(SeekFrom::Start(number % BLOCKS * BLOCK.len() as u64))?;
        let begun = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    println!("{:.1}", took.get(took.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6);
    std::fs::remove_file(path)
}
