//! Requests to Product, of every rpc that parses something.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| product::fuzzing::request(bytes));
