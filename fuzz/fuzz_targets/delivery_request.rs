//! Requests to Delivery.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| delivery::fuzzing::request(bytes));
