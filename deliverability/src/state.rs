//! Whether a product or location may be used.

use crate::Invalid;

/// ACTIVE and SUSPENDED change into each other; RETIRED is for ever. In order, from the least to the most out of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// In use.
    Active,
    /// Out of use for now.
    Suspended,
    /// Out of use for ever.
    Retired,
}

impl State {
    /// As the contract and the databases spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Retired => "RETIRED",
        }
    }

    /// Reads what [`State::as_str`] writes.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        [Self::Active, Self::Suspended, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Invalid::new("must be ACTIVE, SUSPENDED or RETIRED"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_is_written() {
        for state in [State::Active, State::Suspended, State::Retired] {
            assert_eq!(State::parse(state.as_str()), Ok(state));
        }
        assert!(State::parse("active").is_err());
    }
}
