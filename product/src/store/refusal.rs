//! Why a write was refused, when the database was fine.

use chassis::status::Violation;
use uuid::Uuid;

use super::object::Kind;

/// Why one object could not be stored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Its fields are malformed.
    #[error("malformed")]
    InvalidFields(Vec<Violation>),
    /// There is none to change.
    #[error("there is no {} {id}", kind.noun())]
    NotFound {
        /// Of which kind.
        kind: Kind,
        /// By which id.
        id: Uuid,
    },
    /// The id is taken by other content.
    #[error("there is another {} with the id {id}", kind.noun())]
    Exists {
        /// Of which kind.
        kind: Kind,
        /// By which id.
        id: Uuid,
    },
    /// It was changed since it was read.
    #[error("the {} is at version {stored}, and was read at version {read}", kind.noun())]
    VersionMismatch {
        /// Of which kind.
        kind: Kind,
        /// Its version now.
        stored: u32,
        /// The version that the caller knows.
        read: u32,
    },
    /// It is retired or deleted.
    #[error("the {} is {state}, for ever", kind.noun())]
    Ended {
        /// Of which kind.
        kind: Kind,
        /// Retired or deleted.
        state: &'static str,
    },
    /// It does not fit what is stored.
    #[error("{field} {description}")]
    Conflict {
        /// Which way it does not fit.
        conflict: Conflict,
        /// The field that says so.
        field: &'static str,
        /// What is wrong and what is wanted.
        description: String,
    },
}

/// Ways in which a well-formed object does not fit the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It names what does not exist or is out of use for ever.
    Reference,
    /// The tree would bite its tail.
    Cycle,
    /// The tree would be too deep.
    Depth,
    /// Another location has the code.
    Code,
    /// A sibling matches the same postcodes.
    Postal,
    /// Too many rules share both selectors.
    RuleCount,
}

// === impl Refusal ===

impl Refusal {
    /// Says that `field` does not fit.
    pub(super) fn conflict(conflict: Conflict, field: &'static str, description: impl Into<String>) -> Self {
        Self::Conflict { conflict, field, description: description.into() }
    }

    /// The fields that the refusal is about.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        match self {
            Self::InvalidFields(violations) => violations.clone(),
            Self::Conflict { field, description, .. } => vec![Violation::new(*field, description)],
            Self::VersionMismatch { .. } => vec![Violation::new("version", self)],
            Self::Ended { .. } => vec![Violation::new("state", self)],
            Self::NotFound { .. } | Self::Exists { .. } => Vec::new(),
        }
    }
}

// === impl Conflict ===

impl Conflict {
    /// As programs read it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Reference => "INVALID_REFERENCE",
            Self::Cycle => "LOCATION_CYCLE",
            Self::Depth => "LOCATION_TOO_DEEP",
            Self::Code => "LOCATION_CODE_TAKEN",
            Self::Postal => "POSTAL_OVERLAP",
            Self::RuleCount => "TOO_MANY_RULES",
        }
    }
}
