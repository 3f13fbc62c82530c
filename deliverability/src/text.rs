//! Names, notes, tags and codes: text that has been checked once.

use crate::Invalid;

/// Longest name in bytes: it fits on a screen and in an index entry.
pub const MAX_NAME_BYTES: usize = 200;
/// Longest note in bytes: a reason, not a document.
pub const MAX_NOTE_BYTES: usize = 500;
/// Longest tag in bytes: a word or two.
pub const MAX_TAG_BYTES: usize = 64;
/// Shortest code in bytes: ISO 3166-1 alpha-2.
pub const MIN_CODE_BYTES: usize = 2;
/// Longest code in bytes: ISO 3166-2 needs 6; the rest is room for codes of one's own.
pub const MAX_CODE_BYTES: usize = 16;

/// What people call a product or location: 1 to 200 bytes, no control characters, no white space at its ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a rule exists: at most 500 bytes, no control characters; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note(Box<str>);

/// A class of products or a zone of locations: 1 to 64 of a-z, 0-9, '-', '_'.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

/// An ISO 3166-1 or 3166-2 code, or one like them: 2 to 16 of A-Z, 0-9, '-'.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(Box<str>);

// === impl Name ===

impl Name {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        length(text, 1, MAX_NAME_BYTES)?;
        no_control_characters(text)?;
        if text.trim() != text {
            return Err(Invalid::new("must not begin or end with white space"));
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Note ===

impl Note {
    /// Checks a note.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        length(text, 0, MAX_NOTE_BYTES)?;
        no_control_characters(text)?;
        Ok(Self(text.into()))
    }

    /// The note.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Tag ===

impl Tag {
    /// Checks a tag.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        length(text, 1, MAX_TAG_BYTES)?;
        if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_') {
            return Err(Invalid::new("must consist of a-z, 0-9, '-' and '_'"));
        }
        Ok(Self(text.into()))
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Code ===

impl Code {
    /// Checks a code.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        length(text, MIN_CODE_BYTES, MAX_CODE_BYTES)?;
        if !text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-') {
            return Err(Invalid::new("must consist of A-Z, 0-9 and '-'"));
        }
        Ok(Self(text.into()))
    }

    /// Checks the code of a country, ISO 3166-1 alpha-2.
    pub fn parse_country(text: &str) -> Result<Self, Invalid> {
        let is_country = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        if is_country { Ok(Self(text.into())) } else { Err(Invalid::new("must be two letters A-Z")) }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn length(text: &str, least: usize, most: usize) -> Result<(), Invalid> {
    let bytes = text.len();
    if (least..=most).contains(&bytes) {
        return Ok(());
    }
    Err(Invalid::new(format!("must be {least} to {most} bytes long, and is {bytes}")))
}

fn no_control_characters(text: &str) -> Result<(), Invalid> {
    if text.chars().any(char::is_control) {
        return Err(Invalid::new("must not contain control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_200_bytes() {
        assert!(Name::parse("").is_err());
        assert!(Name::parse(&"x".repeat(MAX_NAME_BYTES)).is_ok());
        let refusal = Name::parse(&"x".repeat(243)).unwrap_err();
        assert_eq!(refusal.to_string(), "must be 1 to 200 bytes long, and is 243");
    }

    #[test]
    fn a_name_has_no_control_characters_and_no_white_space_at_its_ends() {
        for bad in ["a\nb", "a\u{85}b", " a", "a\u{a0}"] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Name::parse("Ağrı Merkez").unwrap().as_str(), "Ağrı Merkez");
    }

    #[test]
    fn a_note_may_be_empty_but_not_long() {
        assert_eq!(Note::parse("").unwrap(), Note::default());
        assert!(Note::parse(&"x".repeat(MAX_NOTE_BYTES + 1)).is_err());
        assert!(Note::parse("two\nlines").is_err());
    }

    #[test]
    fn a_tag_is_a_lower_case_word() {
        assert!(Tag::parse("cold-chain_2").is_ok());
        for bad in ["", "EU", "a b", "é", &"x".repeat(MAX_TAG_BYTES + 1)] {
            assert!(Tag::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_code_is_an_upper_case_word() {
        assert!(Code::parse("NL-NH").is_ok());
        for bad in ["N", "nl", "N L", "ABCDEFGHIJKLMNOPQ"] {
            assert!(Code::parse(bad).is_err(), "{bad:?}");
        }
    }
}
