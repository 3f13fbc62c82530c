//! The lines of an import, one at a time, each a row or the reason why it is none.

use std::io::{self, BufRead, BufReader, Read};

use proto::product::v1::ImportRow;

use crate::json;

/// The longest line that can be a row: the largest rule or location has a few kilobytes, also with every letter escaped.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// Read at once: far more than a line, far less than a chunk.
const BUFFER_BYTES: usize = 256 * 1024;

/// Reads lines.
pub struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

/// A line that is not blank.
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// The row, or what is wrong with the line.
    pub row: Result<ImportRow, String>,
}

// === impl Lines ===

impl<R: Read> Lines<R> {
    /// Reads from the start of `input`.
    pub fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(BUFFER_BYTES, input), line: Vec::new(), number: 0, bytes: 0 }
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line that is not blank; None at the end.
    ///
    /// # Errors
    /// The input can't be read.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            self.line.clear();
            let mut input = (&mut self.input).take(MAX_LINE_BYTES as u64 + 1);
            let read = input.read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            self.bytes += read as u64;
            self.number += 1;
            let number = self.number;
            if read > MAX_LINE_BYTES && !self.line.ends_with(b"\n") {
                self.bytes += self.input.skip_until(b'\n')? as u64;
                return Ok(Some(Line { number, row: Err(format!("is longer than {MAX_LINE_BYTES} bytes")) }));
            }
            let text = self.line.trim_ascii();
            // Editors on Windows begin files with a byte order mark.
            let text = if number == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
            if !text.is_empty() {
                return Ok(Some(Line { number, row: json::parse_row(text) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<(u64, Result<(), String>)> {
        let mut lines = Lines::new(input);
        std::iter::from_fn(|| lines.next().unwrap()).map(|line| (line.number, line.row.map(drop))).collect()
    }

    #[test]
    fn blank_lines_count_and_are_no_rows() {
        let read = lines(b"\xef\xbb\xbf{\"rule\":{}}\r\n\n  \n{}");
        assert_eq!(read, [(1, Ok(())), (4, Ok(()))]);
    }

    #[test]
    fn a_line_that_never_ends_is_one_bad_line() {
        let endless = [b"{}\n".as_slice(), &vec![b'x'; 3 * MAX_LINE_BYTES], b"\n{}\n"].concat();
        let read = lines(&endless);
        assert_eq!(read, [(1, Ok(())), (2, Err("is longer than 65536 bytes".to_owned())), (3, Ok(()))]);
    }

    #[test]
    fn every_byte_is_counted() {
        let input = [b"{}\n\n".as_slice(), &vec![b'x'; 2 * MAX_LINE_BYTES], b"\nno"].concat();
        let mut lines = Lines::new(input.as_slice());
        while lines.next().unwrap().is_some() {}
        assert_eq!(lines.bytes(), input.len() as u64);
    }

    #[test]
    fn every_file_that_fuzzing_kept_is_read_to_its_end() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/import_rows");
        let mut files = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            lines(&std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files >= 4, "the corpus is there");
    }
}
