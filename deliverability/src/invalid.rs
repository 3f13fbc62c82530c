//! Why a value was refused, in words for people.

/// A sentence without its subject, such as "must be 1 to 200 bytes long, and is 243": the caller knows the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}
