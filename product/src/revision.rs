//! Revisions: how far the catalogue has come, and the opaque tokens that say so on the wire.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Grows by one with each committed write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(i64);

/// Made with the database, and anew when it is restored from a backup: revisions of two epochs can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(Uuid);

/// A point in the catalogue's history. On the wire it is an opaque token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// Whose history.
    pub epoch: Epoch,
    /// How far.
    pub revision: Revision,
}

/// First byte of a token, so that its form can change.
const TOKEN_FORM: u8 = 1;
/// Form, epoch, revision.
const TOKEN_BYTES: usize = 1 + 16 + 8;

// === impl Revision ===

impl Revision {
    /// The empty catalogue.
    pub const ZERO: Self = Self(0);

    /// A revision out of the database.
    #[must_use]
    pub fn new(number: i64) -> Self {
        Self(number)
    }

    /// As a number, for the database and for logs.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Epoch ===

impl Epoch {
    /// An epoch out of the database.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// An epoch that never was before.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::new_v4())
    }

    /// For the database.
    #[must_use]
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Head ===

impl Head {
    /// The token that stands for this point.
    #[must_use]
    pub fn token(self) -> String {
        let mut bytes = [TOKEN_FORM; TOKEN_BYTES];
        bytes[1..17].copy_from_slice(self.epoch.0.as_bytes());
        bytes[17..].copy_from_slice(&self.revision.0.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The point that a token stands for.
    ///
    /// # Errors
    /// A sentence for the token's field.
    pub fn parse(token: &str) -> Result<Self, &'static str> {
        let malformed = "is not a revision token that this system gave out";
        let mut bytes = [0; TOKEN_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(token, &mut bytes) {
            Ok(TOKEN_BYTES) if bytes[0] == TOKEN_FORM => {}
            _ => return Err(malformed),
        }
        let epoch = Uuid::from_slice(&bytes[1..17]).map_err(|_| malformed)?;
        let revision = i64::from_be_bytes(bytes[17..].try_into().map_err(|_| malformed)?);
        if revision < 0 {
            return Err(malformed);
        }
        Ok(Self { epoch: Epoch(epoch), revision: Revision(revision) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_gives_back_its_point(id: u128, number in 0..=i64::MAX) {
            let head = Head { epoch: Epoch(Uuid::from_u128(id)), revision: Revision(number) };
            prop_assert_eq!(Head::parse(&head.token()), Ok(head));
        }

        #[test]
        fn any_text_is_a_token_or_refused(text in ".{0,80}") {
            if let Ok(head) = Head::parse(&text) {
                prop_assert_eq!(head.token(), text);
            }
        }
    }
}
