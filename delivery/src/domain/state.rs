//! Where a delivery is in its life, and what leads on from there.
//!
//! ```text
//! PENDING ─┬─ Confirm ─→ CONFIRMED ─┬─ Dispatch ─→ DISPATCHED ─┬─ Complete ─→ DELIVERED
//!          ├─ Reject ──→ REJECTED   │                          └─ Return ───→ RETURNED
//!          ├─ Expire ──→ EXPIRED    │
//!          └─ Cancel ──→ CANCELLED ←┘ Cancel
//! ```

/// Where a delivery is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Stored, not checked: Product was silent and the policy was DEFER.
    Pending,
    /// Checked: deliverable.
    Confirmed,
    /// Checked after a wait: Product said no. Final.
    Rejected,
    /// Nobody could say in time. Final; not a no.
    Expired,
    /// On its way.
    Dispatched,
    /// Arrived. Final.
    Delivered,
    /// Came back. Final.
    Returned,
    /// Called off. Final.
    Cancelled,
}

/// What changes a delivery's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Product said yes, after a wait.
    Confirm,
    /// Product said no, after a wait.
    Reject,
    /// Nobody could say in time.
    Expire,
    /// It leaves the house.
    Dispatch,
    /// It arrives.
    Complete,
    /// It comes back.
    Return,
    /// It will not be made.
    Cancel,
}

/// A word that is no state, verdict or source of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of the words that are stored")]
pub struct UnknownWord(pub String);

// === impl State ===

impl State {
    /// Every state, in the order of a delivery's life.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Confirmed,
        Self::Rejected,
        Self::Expired,
        Self::Dispatched,
        Self::Delivered,
        Self::Returned,
        Self::Cancelled,
    ];

    /// Those that no transition leads on from.
    pub const FINAL: [Self; 5] =
        [Self::Rejected, Self::Expired, Self::Delivered, Self::Returned, Self::Cancelled];

    /// Where `transition` leads from here, if it may.
    #[must_use]
    pub fn after(self, transition: Transition) -> Option<Self> {
        match (self, transition) {
            (Self::Pending, Transition::Confirm) => Some(Self::Confirmed),
            (Self::Pending, Transition::Reject) => Some(Self::Rejected),
            (Self::Pending, Transition::Expire) => Some(Self::Expired),
            (Self::Confirmed, Transition::Dispatch) => Some(Self::Dispatched),
            (Self::Dispatched, Transition::Complete) => Some(Self::Delivered),
            (Self::Dispatched, Transition::Return) => Some(Self::Returned),
            (Self::Pending | Self::Confirmed, Transition::Cancel) => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// As the contract spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Rejected => "REJECTED",
            Self::Expired => "EXPIRED",
            Self::Dispatched => "DISPATCHED",
            Self::Delivered => "DELIVERED",
            Self::Returned => "RETURNED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Reads what `as_str` wrote.
    ///
    /// # Errors
    /// It is no state.
    pub fn parse(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

// === impl Transition ===

impl Transition {
    /// Every transition.
    pub const ALL: [Self; 7] = [
        Self::Confirm,
        Self::Reject,
        Self::Expire,
        Self::Dispatch,
        Self::Complete,
        Self::Return,
        Self::Cancel,
    ];

    /// The one state that it leads to; no other transition leads there.
    #[must_use]
    pub fn target(self) -> State {
        match self {
            Self::Confirm => State::Confirmed,
            Self::Reject => State::Rejected,
            Self::Expire => State::Expired,
            Self::Dispatch => State::Dispatched,
            Self::Complete => State::Delivered,
            Self::Return => State::Returned,
            Self::Cancel => State::Cancelled,
        }
    }

    /// What was tried, for people: "a delivery that is PENDING can't be `dispatched`".
    #[must_use]
    pub fn participle(self) -> &'static str {
        match self {
            Self::Confirm => "confirmed",
            Self::Reject => "rejected",
            Self::Expire => "expired",
            Self::Dispatch => "dispatched",
            Self::Complete => "completed",
            Self::Return => "returned",
            Self::Cancel => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_leads_to_its_target_or_nowhere() {
        for state in State::ALL {
            for transition in Transition::ALL {
                assert!(state.after(transition).is_none_or(|next| next == transition.target()));
            }
        }
    }

    #[test]
    fn what_is_final_stays() {
        for state in State::ALL {
            let leads_on = Transition::ALL.iter().any(|transition| state.after(*transition).is_some());
            assert_eq!(leads_on, !State::FINAL.contains(&state), "{state:?}");
        }
    }

    #[test]
    fn a_state_is_read_back_as_it_is_written() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Ok(state));
        }
        assert!(State::parse("pending").is_err());
    }
}
