//! The caller's own name for a delivery: it ties it to the order system, where the personal data stays.

/// Longest reference in bytes: three UUIDs, or any order number.
pub const MAX_REFERENCE_BYTES: usize = 128;

/// 1 to 128 bytes without control characters. No reference is `None`, never an empty one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalReference(Box<str>);

// === impl ExternalReference ===

impl ExternalReference {
    /// Checks a reference.
    ///
    /// # Errors
    /// A sentence for the reference's field.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !(1..=MAX_REFERENCE_BYTES).contains(&text.len()) {
            return Err("must be at most 128 bytes long");
        }
        if text.chars().any(char::is_control) {
            return Err("must not contain control characters");
        }
        Ok(Self(text.into()))
    }

    /// The reference.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_1_to_128_bytes_and_no_control_characters() {
        assert!(ExternalReference::parse(&"x".repeat(MAX_REFERENCE_BYTES)).is_ok());
        assert_eq!(ExternalReference::parse("Bestellung 7/ä").unwrap().as_str(), "Bestellung 7/ä");
        for bad in ["", "a\nb", "a\0b", "a\u{85}b", &"x".repeat(MAX_REFERENCE_BYTES + 1)] {
            assert!(ExternalReference::parse(bad).is_err(), "{bad:?}");
        }
    }
}
