//! Revision tokens, as Product and as Delivery read them: what the one gives out the other can keep.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    product::fuzzing::revision_token(text);
    delivery::fuzzing::revision_token(text);
});
