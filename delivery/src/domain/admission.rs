//! How a delivery's references were checked: the stored evidence.

use deliverability::{RuleRef, Timestamp, Verdict};

use super::state::UnknownWord;
use super::{RevisionToken, State, Transition};

/// What is known of a delivery's references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Product has not said anything, or never did.
    Unchecked {
        /// Until when Product is asked; kept when that passed, gone when nobody wants to know any more.
        verify_by: Option<Timestamp>,
    },
    /// Product has said something.
    Checked(Evidence),
}

/// What Product said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Yes or no.
    pub verdict: Verdict,
    /// Why, by the name of Product's reason, such as "ALLOWED".
    pub reason: String,
    /// Whether it was asked before the delivery was stored.
    pub source: Source,
    /// At which revision it was decided.
    pub revision: RevisionToken,
    /// When Product answered, by this service's clock.
    pub check_time: Timestamp,
    /// The rules that decided.
    pub deciding_rules: Vec<RuleRef>,
}

/// Where a verdict comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Asked while the caller waited.
    Live,
    /// Asked later, by the verifier.
    Deferred,
}

// === impl Admission ===

impl Admission {
    /// The evidence, if there is any.
    #[must_use]
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Checked(evidence) => Some(evidence),
            Self::Unchecked { .. } => None,
        }
    }

    /// The state that a delivery begins in.
    #[must_use]
    pub fn first_state(&self) -> State {
        match self {
            Self::Checked(_) => State::Confirmed,
            Self::Unchecked { .. } => State::Pending,
        }
    }
}

// === impl Evidence ===

impl Evidence {
    /// What it makes of a delivery that waited for it.
    #[must_use]
    pub fn transition(&self) -> Transition {
        match self.verdict {
            Verdict::Deliverable => Transition::Confirm,
            Verdict::NotDeliverable => Transition::Reject,
        }
    }
}

// === impl Source ===

impl Source {
    /// As the contract spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Deferred => "DEFERRED",
        }
    }

    /// Reads what `as_str` wrote.
    ///
    /// # Errors
    /// It is no source.
    pub fn parse(text: &str) -> Result<Self, UnknownWord> {
        [Self::Live, Self::Deferred]
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| UnknownWord(text.to_owned()))
    }
}
