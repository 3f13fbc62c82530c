//! Page tokens: one that is read is one that was given out.
#![no_main]

use chassis::page;

libfuzzer_sys::fuzz_target!(|text: &str| {
    // Of a catalogue's listing and of the deliveries', whose keys are longer.
    if let Ok(Some(key)) = page::key::<16>(text, &()) {
        assert_eq!(page::token(&(), &key), text);
    }
    if let Ok(Some(key)) = page::key::<24>(text, &()) {
        assert_eq!(page::token(&(), &key), text);
    }
});
