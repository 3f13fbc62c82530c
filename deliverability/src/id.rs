//! What products, locations and rules are called: UUIDs that can't be taken for one another.

use std::fmt;
use std::hash::{Hash, Hasher};

use uuid::Uuid;

use crate::Invalid;

/// Length of the hyphenated form, the only one on the wire: one object must not have two spellings.
const HYPHENATED_BYTES: usize = 36;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Reads the 36-character hyphenated form, in either case.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                parse(text).map(Self)
            }

            /// Takes any UUID but the nil one.
            pub fn from_uuid(uuid: Uuid) -> Result<Self, Invalid> {
                not_nil(uuid).map(Self)
            }

            /// The same as a bare UUID.
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl Hash for $name {
            // One number instead of a slice with its length: each decision hashes two ids.
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u128(u128::from_ne_bytes(*self.0.as_bytes()));
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

id!(
    /// Names a product.
    ProductId
);
id!(
    /// Names a location.
    LocationId
);
id!(
    /// Names a rule.
    RuleId
);

fn parse(text: &str) -> Result<Uuid, Invalid> {
    if text.len() != HYPHENATED_BYTES {
        return Err(Invalid::new("must be a UUID in its 36-character form"));
    }
    let uuid = Uuid::try_parse(text).map_err(|_| Invalid::new("must be a UUID in its 36-character form"))?;
    not_nil(uuid)
}

fn not_nil(uuid: Uuid) -> Result<Uuid, Invalid> {
    if uuid.is_nil() { Err(Invalid::new("must not be the nil UUID")) } else { Ok(uuid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOWER: &str = "2eb73728-2fea-475e-b536-5e1458294a90";

    #[test]
    fn an_id_is_read_in_either_case_and_shown_in_lower_case() {
        let id = ProductId::parse(&LOWER.to_uppercase()).unwrap();
        assert_eq!(id, ProductId::parse(LOWER).unwrap());
        assert_eq!(id.to_string(), LOWER);
    }

    #[test]
    fn an_id_has_one_spelling() {
        let simple = LOWER.replace('-', "");
        for other in [
            "",
            &simple,
            &format!("{{{LOWER}}}"),
            &format!("urn:uuid:{LOWER}"),
            "2eb73728x2fea-475e-b536-5e1458294a90",
        ] {
            assert!(RuleId::parse(other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn the_nil_uuid_names_nothing() {
        assert!(LocationId::parse("00000000-0000-0000-0000-000000000000").is_err());
        assert!(LocationId::from_uuid(Uuid::nil()).is_err());
    }
}
