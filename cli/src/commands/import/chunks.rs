//! Lines gathered into chunks that Product takes whole, read on a thread of their own.

use std::io::{self, Read};

use prost::Message;
use proto::product::v1::{FieldError, ImportRow, RowError};
use tokio::sync::mpsc;

use super::lines::{Line, Lines};

/// Product's limit.
const MAX_ROWS: usize = 10_000;
/// Product takes 4 MiB in one message; the last row of a chunk may reach over this by its own size.
const MAX_BYTES: usize = 3 * 1024 * 1024;
/// What a message inside another costs beside itself: a tag and a length.
const FRAME_BYTES: usize = 5;
/// The reason of a line that is no row; Product's own reasons are beside it in the same report.
const MALFORMED_LINE: &str = "MALFORMED_LINE";

/// Rows to be sent together.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The rows; none if no line of this part of the file is one.
    pub rows: Vec<ImportRow>,
    /// Where they are from.
    pub place: Place,
}

/// Where the rows of a chunk stand in the file.
#[derive(Debug, Default)]
pub struct Place {
    /// The line of each row.
    pub lines: Vec<u64>,
    /// Lines between them that are no rows.
    pub bad: Vec<RowError>,
    /// Bytes read up to the last of them.
    pub bytes: u64,
}

/// Reads `input` to its end, or until nobody takes chunks any more.
pub fn read(input: impl Read, chunks: &mpsc::Sender<io::Result<Chunk>>) {
    let mut lines = Lines::new(input);
    loop {
        let chunk = match next(&mut lines) {
            Ok(Some(chunk)) => Ok(chunk),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let last = chunk.is_err();
        if chunks.blocking_send(chunk).is_err() || last {
            return;
        }
    }
}

fn next(lines: &mut Lines<impl Read>) -> io::Result<Option<Chunk>> {
    let mut chunk = Chunk::default();
    let mut bytes = 0;
    // Bad lines count as well: they are kept in memory until the chunk is reported.
    while chunk.rows.len() + chunk.place.bad.len() < MAX_ROWS && bytes < MAX_BYTES {
        let Some(Line { number, row }) = lines.next()? else { break };
        match row {
            Ok(row) => {
                bytes += row.encoded_len() + FRAME_BYTES;
                chunk.rows.push(row);
                chunk.place.lines.push(number);
            }
            Err(description) => chunk.place.bad.push(malformed(number, description)),
        }
    }
    chunk.place.bytes = lines.bytes();
    let is_empty = chunk.rows.is_empty() && chunk.place.bad.is_empty();
    Ok((!is_empty).then_some(chunk))
}

fn malformed(line: u64, description: String) -> RowError {
    let fields = vec![FieldError { field: String::new(), description }];
    RowError { row: line, object_id: String::new(), reason: MALFORMED_LINE.to_owned(), fields }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(input: &str) -> Vec<Chunk> {
        let mut lines = Lines::new(input.as_bytes());
        std::iter::from_fn(|| next(&mut lines).unwrap()).collect()
    }

    #[test]
    fn a_chunk_is_full_at_products_limit_of_rows() {
        let sizes: Vec<_> =
            chunks(&"{}\n".repeat(MAX_ROWS + 1)).iter().map(|chunk| chunk.rows.len()).collect();
        assert_eq!(sizes, [MAX_ROWS, 1]);
    }

    #[test]
    fn a_chunk_of_large_rows_is_full_before_products_limit_of_bytes() {
        const PRODUCTS_LIMIT_BYTES: usize = 4 * 1024 * 1024;
        let row = format!("{{\"product\":{{\"name\":\"{}\"}}}}\n", "x".repeat(60_000));
        let chunks = chunks(&row.repeat(150));
        assert_eq!(chunks.iter().map(|chunk| chunk.rows.len()).sum::<usize>(), 150);
        for chunk in chunks {
            let request =
                proto::product::v1::ImportCatalogueRequest { rows: chunk.rows, validate_only: true };
            assert!(request.encoded_len() < PRODUCTS_LIMIT_BYTES);
        }
    }

    #[test]
    fn bad_lines_are_kept_beside_the_rows_and_fill_chunks_too() {
        let chunks = chunks(&format!("{{}}\n\nbad\n{{}}\n{}", "bad\n".repeat(2 * MAX_ROWS)));
        assert_eq!(chunks[0].place.lines, [1, 4]);
        assert_eq!((chunks[0].place.bad[0].row, chunks[0].place.bad[0].reason.as_str()), (3, MALFORMED_LINE));
        assert_eq!(chunks[1].rows.len(), 0);
        assert_eq!(chunks.iter().map(|chunk| chunk.place.bad.len()).sum::<usize>(), 2 * MAX_ROWS + 1);
    }

    #[test]
    fn an_empty_file_is_no_chunk() {
        assert!(chunks("").is_empty());
        assert!(chunks("\n\n").is_empty());
    }
}
