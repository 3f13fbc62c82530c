//! Whole requests: a message, or what was to be one, in its frame, or in none, under headers, or odd ones.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use super::{Choices, Known, message};
use crate::support::raw::framed;

/// An rpc of the contract.
#[derive(Clone, Debug)]
pub struct Method {
    /// `/package.Service/Method`.
    pub path: String,
    /// Whether it answers with a stream of its own accord, which may have no end.
    pub is_stream: bool,
    takes_stream: bool,
    pub(super) input: MessageDescriptor,
    /// What it answers with.
    pub output: MessageDescriptor,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Strange {
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    /// What was done to the messages, or put in their place.
    what: &'static str,
    messages: Vec<DynamicMessage>,
}

/// Choices of what to send that make no message.
const RANDOM_BYTES: std::ops::Range<u8> = 208..240;
/// More than any rpc takes in one message.
const TOO_LONG_MESSAGE_BYTES: usize = 5 * 1024 * 1024;
/// What is shown of a request that goes wrong.
const SHOWN_CHARS: usize = 4_000;
/// As long as anything here may take: some wait for revisions that never come.
const DEADLINE: (&str, &str) = ("grpc-timeout", "1S");
const LONG_TEXT_BYTES: usize = 8_000;
/// Over the limit of all headers together.
const TOO_LONG_TEXT_BYTES: usize = 20_000;

/// Headers that clients send by mistake, by age, or by malice.
const HEADERS: &[(&str, &[u8])] = &[
    ("grpc-timeout", b"abc"),
    ("grpc-timeout", b"1x"),
    ("grpc-timeout", b"-5S"),
    ("grpc-timeout", b"99999999999H"),
    ("grpc-timeout", b"99999999H"),
    ("grpc-timeout", b"NaN"),
    ("grpc-timeout", b""),
    ("grpc-timeout", b"S"),
    ("grpc-timeout", b"0n"),
    ("grpc-timeout", b"1n"),
    ("grpc-timeout", b"\xff\xfe1S"),
    ("grpc-encoding", b"gzip"),
    ("grpc-encoding", b"identity"),
    ("grpc-encoding", b""),
    ("grpc-encoding", b"\xff"),
    ("grpc-accept-encoding", b"gzip;q=NaN,,\xff"),
    ("content-type", b"application/grpc+proto"),
    ("content-type", b"application/grpc+json"),
    ("content-type", b"application/grpc-web"),
    ("content-type", b"text/plain"),
    ("content-type", b""),
    ("te", b""),
    ("traceparent", b"00-zz-1-\xff"),
    ("tracestate", b"=,=,="),
    ("grpc-trace-bin", b"not base64!"),
    ("grpc-tags-bin", b"\xff\xff"),
    ("grpc-status", b"13"),
    ("grpc-message", b"%00%zz"),
    ("grpc-previous-rpc-attempts", b"-1"),
    ("authorization", b"Bearer \xf0\x9f\x9a\x9a"),
    ("cookie", b"a=b; c"),
    ("x-forwarded-for", b"999.999.999.999"),
];

// === impl Strange ===

impl Strange {
    /// For people: what was meant.
    pub fn told(&self) -> String {
        let json =
            |message| serde_json::to_string(message).unwrap_or_else(|error| format!("no JSON: {error}"));
        let messages: Vec<_> = self.messages.iter().map(json).collect();
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        let told = format!("{}: {}\n{}\n{:?}", self.what, messages.join("\n"), headers.join(", "), self.body);
        told.chars().take(SHOWN_CHARS).collect()
    }
}

/// The rpcs of the services in an encoded FileDescriptorSet.
pub fn methods(descriptors: &[u8]) -> Vec<Method> {
    let pool = DescriptorPool::decode(descriptors).expect("the contract describes itself");
    let ours = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let methods = ours.map(|method| Method {
        path: format!("/{}/{}", method.parent_service().full_name(), method.name()),
        is_stream: method.is_server_streaming() && !method.is_client_streaming(),
        takes_stream: method.is_client_streaming(),
        input: method.input(),
        output: method.output(),
    });
    methods.collect()
}

/// A request to a method, made from random bytes; no bytes make a plain good one.
pub fn request(method: &Method, known: &Known, bytes: &[u8]) -> Strange {
    let mut choices = Choices::new(bytes);
    let kind = choices.byte();
    // One message, or some where the method takes a stream of them.
    let count = if method.takes_stream { 1 + choices.below(3) } else { 1 };
    let mut messages =
        || -> Vec<_> { (0..count).map(|_| message(&method.input, known, &mut choices)).collect() };
    let messages = if RANDOM_BYTES.contains(&kind) { Vec::new() } else { messages() };
    let body = messages.iter().flat_map(|message| framed(&message.encode_to_vec())).collect();
    let (body, what) = match kind {
        0..176 => (body, "as it is"),
        176..208 => (damaged(body, &mut choices), "damaged"),
        208..232 => (framed(choices.rest()), "random bytes as a message"),
        232..240 => (choices.rest().to_vec(), "random bytes as a body"),
        240.. => badly_framed(body, &mut choices),
    };
    let headers = vec![header(DEADLINE.0, DEADLINE.1.as_bytes())];
    Strange { headers, body: body.into(), what, messages }
}

/// A message that is longer than any rpc takes.
pub fn too_long() -> Strange {
    let body = framed(&vec![b'\n'; TOO_LONG_MESSAGE_BYTES]).into();
    Strange { headers: Vec::new(), body, what: "a message that is too long", messages: Vec::new() }
}

/// A good request under each of the odd headers, and under too many of them.
pub fn every_strange_header(method: &Method, known: &Known) -> Vec<Strange> {
    let good = request(method, known, &[]);
    let long = |bytes| ("x-long", "x".repeat(bytes).into_bytes());
    let named = HEADERS.iter().map(|(name, value)| (*name, value.to_vec()));
    let all = named.chain([long(LONG_TEXT_BYTES), long(TOO_LONG_TEXT_BYTES)]);
    let strange = all.map(|(name, value)| {
        let mut strange = good.clone();
        strange.headers.push(header(name, &value));
        strange
    });
    strange.collect()
}

fn header(name: &str, value: &[u8]) -> (HeaderName, HeaderValue) {
    (
        HeaderName::from_bytes(name.as_bytes()).expect("a header's name"),
        HeaderValue::from_bytes(value).expect("a header's value"),
    )
}

/// Some bytes changed, lost or too many.
fn damaged(mut body: Vec<u8>, choices: &mut Choices<'_>) -> Vec<u8> {
    for _ in 0..=choices.below(4) {
        let place = choices.below(256) * body.len().max(256) / 256;
        let place = place.min(body.len().saturating_sub(1));
        match choices.below(3) {
            0 => body.truncate(place),
            1 => body.push(choices.byte()),
            _ if body.is_empty() => {}
            _ => body[place] = choices.byte(),
        }
    }
    body
}

fn badly_framed(mut body: Vec<u8>, choices: &mut Choices<'_>) -> (Vec<u8>, &'static str) {
    match choices.below(5) {
        0 => (Vec::new(), "no message"),
        1 => ([body.clone(), body].concat(), "twice"),
        2 => (body[..4].to_vec(), "cut within the frame's head"),
        3 => {
            body[0] = 1;
            (body, "said to be compressed")
        }
        _ => {
            body[1..5].copy_from_slice(&[0xff; 4]);
            (body, "said to be 4 GiB long")
        }
    }
}
