//! The file of an import: JSON Lines, read by the command line, printed back, and parsed by Product.
#![no_main]

// The command line is a program without a library: what is tried is taken from its folder.
#[allow(dead_code)]
#[path = "../../cli/src/exit.rs"]
mod exit;
#[allow(dead_code)]
#[path = "../../cli/src/json.rs"]
mod json;
#[allow(dead_code)]
#[path = "../../cli/src/commands/import/lines.rs"]
mod lines;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut lines = lines::Lines::new(bytes);
    while let Some(line) = lines.next().expect("memory can be read") {
        let Ok(row) = line.row else { continue };
        // A time may be out of what JSON can say; what is printed reads as what it was.
        if let Ok(printed) = json::print(&row) {
            assert_eq!(json::parse_row(printed.as_bytes()).as_ref(), Ok(&row), "{printed}");
        }
        product::fuzzing::import_row(&row);
    }
    assert_eq!(lines.bytes(), bytes.len() as u64);
});
