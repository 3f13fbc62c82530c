//! Product's revision tokens, as Delivery sees them: something to keep and to pass on, never to look into.

use std::sync::Arc;

/// Longest token in bytes: three times what Product gives out now.
pub const MAX_TOKEN_BYTES: usize = 128;

/// 1 to 128 characters that need no escaping in a URL. What they mean is Product's business; two tokens can be the
/// same, but never earlier or later than one another. Clones share it: a batch of decisions has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RevisionToken(Arc<str>);

// === impl RevisionToken ===

impl RevisionToken {
    /// Checks what every token looks like.
    ///
    /// # Errors
    /// A sentence for the token's field.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !(1..=MAX_TOKEN_BYTES).contains(&text.len()) {
            return Err("must be 1 to 128 bytes long");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~')) {
            return Err("must consist of A-Z, a-z, 0-9, '-', '_', '.' and '~'");
        }
        Ok(Self(text.into()))
    }

    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_short_and_needs_no_escaping() {
        assert_eq!(RevisionToken::parse("AZ-_09.~").unwrap().as_str(), "AZ-_09.~");
        for bad in ["", "a b", "a/b", "é", "a\n", &"x".repeat(MAX_TOKEN_BYTES + 1)] {
            assert!(RevisionToken::parse(bad).is_err(), "{bad:?}");
        }
    }
}
