//! Values that no field wants, and some that one field wants and another does not.

use super::{Choices, Known, pick};

/// A text for a field that wants another.
pub(super) fn text(known: &Known, choices: &mut Choices<'_>) -> String {
    const TEXTS: &[&str] = &[
        "",
        " ",
        "x",
        "\0",
        "a\0b",
        "\n\t\r\u{7f}\u{85}",
        "'; DROP TABLE products; --",
        "\" OR 1=1 /*",
        "$1 ? ?1 :a @b %s %_ \\",
        "NULL",
        "-1",
        "0",
        "٣٤",
        "🚚📦",
        "e\u{301}\u{301}\u{301}",
        "ßŉİǰﬁ",
        "\u{202e}abc\u{2066}",
        "\u{feff}\u{200b}",
        "\u{10ffff}\u{fffd}\u{e000}",
        "../../etc/passwd",
        "{\"a\":[1]}",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "2EB73728-2FEA-475E-B536-5E1458294A90",
        "2eb737282fea475eb5365e1458294a90",
        "{2eb73728-2fea-475e-b536-5e1458294a90}",
        "urn:uuid:2eb73728-2fea-475e-b536-5e1458294a90",
        "2eb73728-2fea-475e-b536-5e1458294a9g",
        "2eb73728-2fea-475e-b536-5e1458294a9é",
        "NL",
        "9999",
        "000000000000",
        "*",
        "state",
    ];
    const LENGTHS: &[usize] = &[64, 65, 128, 129, 200, 201, 500, 501, 10_000, 300_000];
    match choices.below(8) {
        0 => pick(&known.products, choices),
        1 => pick(&known.locations, choices),
        2 => pick(&known.rules, choices),
        3 => changed(&known.revision, choices),
        4 => changed(&pick(&known.page_tokens, choices), choices),
        5 => {
            choices.one_of(&["a", "é", "🚚", "\0", "%"]).repeat(LENGTHS[choices.below(LENGTHS.len())] / 2 + 1)
        }
        _ => choices.one_of(TEXTS).to_owned(),
    }
}

/// A token, cut, lengthened, or with another character in some place.
fn changed(token: &str, choices: &mut Choices<'_>) -> String {
    let mut changed: Vec<char> = token.chars().collect();
    let place = choices.below(changed.len());
    match choices.below(4) {
        0 => changed.truncate(place),
        1 => changed.insert(place.min(changed.len()), 'A'),
        _ if changed.is_empty() => {}
        2 => changed[place] = char::from(choices.byte()),
        _ => changed[place] = choices.one_of(&["A", "B", "_", "-", "=", "9"]).chars().next().unwrap_or('A'),
    }
    changed.into_iter().collect()
}

/// Seconds of a Timestamp.
pub(super) fn seconds(choices: &mut Choices<'_>) -> i64 {
    const NOW: i64 = 1_800_000_000;
    // 0001-01-01 and 9999-12-31 are the first and the last that the protocol allows.
    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;
    const STRANGE: &[i64] = &[
        0,
        -1,
        FIRST,
        FIRST - 1,
        LAST,
        LAST + 1,
        i64::MAX,
        i64::MIN,
        i64::MAX / 1_000_000,
        i64::MIN / 1_000_000,
        1 << 53,
    ];
    if choices.is_nonsense() {
        STRANGE[choices.below(STRANGE.len())]
    } else {
        NOW + i64::from(choices.byte())
    }
}

/// Nanoseconds of a Timestamp.
pub(super) fn nanos(choices: &mut Choices<'_>) -> i32 {
    const STRANGE: &[i32] = &[-1, 1, 999, 999_999_999, 1_000_000_000, i32::MAX, i32::MIN];
    if choices.is_nonsense() { STRANGE[choices.below(STRANGE.len())] } else { 0 }
}
