//! HTTP/2 written by hand, as no client library would send it: a frame is nine bytes and what they announce.

/// What opens a connection, before the client's SETTINGS.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames, as RFC 9113 numbers them.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
/// No kind of frame: to be skipped by who does not know it.
pub const UNKNOWN: u8 = 0x42;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Adds a frame.
pub fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    to.extend_from_slice(&length[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}

/// The HPACK block of a gRPC call, without anything that later blocks could refer to.
pub fn call(path: &str) -> Vec<u8> {
    // POST and http by their numbers in the static table; :path (4), :authority (1) and content-type (31) by name.
    let mut block = vec![0x83, 0x86, 0x04];
    text(&mut block, path.as_bytes());
    block.push(0x01);
    text(&mut block, b"server.test");
    block.extend_from_slice(&[0x0f, 31 - 15]);
    text(&mut block, b"application/grpc");
    field(&mut block, b"te", b"trailers");
    block
}

/// Adds a header that is not to be remembered.
pub fn field(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0);
    text(block, name);
    text(block, value);
}

/// Adds a header that is to be remembered, and from then on is one byte.
pub fn field_to_remember(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0x40);
    text(block, name);
    text(block, value);
}

/// The newest entry of the dynamic table, which begins after the 61 of the static one.
pub const A_REMEMBERED_FIELD: u8 = 0x80 | 62;

/// A text without Huffman's code, its length as HPACK writes numbers.
fn text(block: &mut Vec<u8>, bytes: &[u8]) {
    const PREFIX_MAX: usize = 0x7f;
    if bytes.len() < PREFIX_MAX {
        block.push(u8::try_from(bytes.len()).expect("under 127"));
    } else {
        block.push(0x7f);
        let mut rest = bytes.len() - PREFIX_MAX;
        while rest >= 0x80 {
            block.push(u8::try_from(rest % 0x80).expect("under 128") | 0x80);
            rest /= 0x80;
        }
        block.push(u8::try_from(rest).expect("under 128"));
    }
    block.extend_from_slice(bytes);
}
