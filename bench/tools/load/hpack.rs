//! As much of HPACK as a load needs: one request's headers, and the status in an answer's.

/// `:path`, `:authority` and `content-type` in HPACK's static table; a header of those names refers to it.
const PATH: u8 = 4;
const AUTHORITY: u8 = 1;
const CONTENT_TYPE: u8 = 31;
/// A literal that the other end shall remember; its name's index follows in the same byte.
const REMEMBER: u8 = 0x40;
/// `:method: POST` and `:scheme: http`, whole, in the static table.
const POST_HTTP: [u8; 2] = [0x83, 0x86];
/// The four headers that were remembered last, the oldest first: the dynamic table begins at 62 with the newest.
const REMEMBERED: [u8; 4] = [0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62];

const STATUS: &str = "grpc-status";
/// Huffman codes of the symbols in "grpc-status" and of digits: symbol, code, bits.
const HUFFMAN: &[(u8, u32, u32)] = &[
    (b'-', 0x16, 6),
    (b'0', 0x0, 5),
    (b'1', 0x1, 5),
    (b'2', 0x2, 5),
    (b'3', 0x19, 6),
    (b'4', 0x1a, 6),
    (b'5', 0x1b, 6),
    (b'6', 0x1c, 6),
    (b'7', 0x1d, 6),
    (b'8', 0x1e, 6),
    (b'9', 0x1f, 6),
    (b'a', 0x3, 5),
    (b'c', 0x4, 5),
    (b'g', 0x26, 6),
    (b'p', 0x2b, 6),
    (b'r', 0x2c, 6),
    (b's', 0x8, 5),
    (b't', 0x9, 5),
    (b'u', 0x2d, 6),
];
/// gRPC's codes are 0 to 16.
const MAX_CODE: u8 = 16;

/// The headers of a connection's requests.
pub struct RequestHeaders {
    first: Vec<u8>,
    further: Vec<u8>,
}

/// Finds gRPC's status in the headers that end an answer. The other end must have been told to keep no table, so that each
/// header is written out.
pub struct StatusReader {
    /// Each way to write each status, with the code.
    written: Vec<(Vec<u8>, u8)>,
    /// The block that was read last: most are the same.
    last: Option<(Vec<u8>, u8)>,
}

// === impl RequestHeaders ===

impl RequestHeaders {
    pub fn new(authority: &str, path: &str, deadline_ms: Option<u64>) -> Self {
        let mut first = POST_HTTP.to_vec();
        for (name, value) in [(PATH, path), (AUTHORITY, authority), (CONTENT_TYPE, "application/grpc")] {
            first.push(REMEMBER | name);
            literal(&mut first, value);
        }
        first.push(REMEMBER);
        literal(&mut first, "te");
        literal(&mut first, "trailers");
        let mut further = [&POST_HTTP[..], &REMEMBERED].concat();
        if let Some(deadline_ms) = deadline_ms {
            for block in [&mut first, &mut further] {
                // Not remembered: it is a real client's only header that differs from call to call.
                block.push(0);
                literal(block, "grpc-timeout");
                literal(block, &format!("{deadline_ms}m"));
            }
        }
        Self { first, further }
    }

    /// The block of the connection's first request, which the further ones refer to; or of those.
    pub fn block(&self, is_first: bool) -> &[u8] {
        if is_first { &self.first } else { &self.further }
    }
}

// === impl StatusReader ===

impl StatusReader {
    pub fn new() -> Self {
        let mut written = Vec::new();
        for code in 0..=MAX_CODE {
            let digits = code.to_string();
            for name in [plain(STATUS), huffman(STATUS)] {
                for value in [plain(&digits), huffman(&digits)] {
                    written.push(([&name[..], &value].concat(), code));
                }
            }
        }
        Self { written, last: None }
    }

    pub fn read(&mut self, block: &[u8]) -> Option<u8> {
        if let Some((last, code)) = &self.last
            && last == block
        {
            return Some(*code);
        }
        let has = |text: &[u8]| block.windows(text.len()).any(|window| window == text);
        let code = self.written.iter().find(|(text, _)| has(text)).map(|(_, code)| *code)?;
        self.last = Some((block.to_vec(), code));
        Some(code)
    }
}

fn literal(block: &mut Vec<u8>, text: &str) {
    block.extend(plain(text));
}

/// A string as it is, with its length before it. None here is so long that its length needs a second byte.
fn plain(text: &str) -> Vec<u8> {
    assert!(text.len() < 127, "{text} is short");
    [&[u8::try_from(text.len()).unwrap_or_default()], text.as_bytes()].concat()
}

fn huffman(text: &str) -> Vec<u8> {
    let (mut bits, mut length) = (0_u128, 0);
    for symbol in text.bytes() {
        let (_, code, more) =
            HUFFMAN.iter().find(|(known, ..)| *known == symbol).copied().unwrap_or_default();
        (bits, length) = (bits << more | u128::from(code), length + more);
    }
    // The rest of the last byte is ones.
    while length % 8 != 0 {
        (bits, length) = (bits << 1 | 1, length + 1);
    }
    let bytes = bits.to_be_bytes();
    let coded = &bytes[bytes.len() - length as usize / 8..];
    [&[0x80 | u8::try_from(coded.len()).unwrap_or_default()], coded].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_however_it_is_written() {
        let mut reader = StatusReader::new();
        assert_eq!(reader.read(b"\x00\x0bgrpc-status\x010"), Some(0));
        assert_eq!(reader.read(b"\x20\x00\x0bgrpc-status\x0214\x00"), Some(14));
        // As the hpack crate and nghttp2 write it.
        let coded = [0x00, 0x88, 0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f, 0x01, 0x30];
        assert_eq!(reader.read(&coded), Some(0));
        assert_eq!(reader.read(b"\x88\x00\x04date"), None);
    }
}
