//! A delivery, and what a transition would mean to it.

use std::fmt;

use chassis::trace::Trace;
use deliverability::Timestamp;
use uuid::Uuid;

use super::{Admission, Evidence, Order, RevisionToken, State, Transition};

/// Length of the hyphenated form, the only one on the wire: one delivery must not have two spellings.
const HYPHENATED_BYTES: usize = 36;

/// A product on its way to a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which one.
    pub id: DeliveryId,
    /// What is to be delivered where.
    pub order: Order,
    /// Where it is in its life.
    pub state: State,
    /// How its references were checked.
    pub admission: Admission,
    /// How fresh Product's answer must be, if the caller cared.
    pub min_revision: Option<RevisionToken>,
    /// The sampled trace that it was created in, if it waits for Product: verifying it belongs there too.
    pub trace: Option<Trace>,
    /// Counts the changes, from 1.
    pub version: u32,
    /// When it was stored.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
}

/// Names a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(Uuid);

/// What is left of a transition to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All of it.
    ToMake,
    /// Nothing: it was the last one made, and is only repeated.
    Made,
}

/// Why a transition can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none.
    #[error("there is no delivery {id}")]
    NotFound {
        /// By which id.
        id: DeliveryId,
    },
    /// Its state does not allow it.
    #[error("a delivery that is {} can't be {}", state.as_str(), transition.participle())]
    InvalidState {
        /// Where it is.
        state: State,
        /// What was wanted.
        transition: Transition,
    },
    /// It was changed since it was read.
    #[error("the delivery is at version {stored}, and was read at version {read}")]
    VersionMismatch {
        /// Its version now.
        stored: u32,
        /// The version that the caller knows.
        read: u32,
    },
}

// === impl Delivery ===

impl Delivery {
    /// One that Product said yes to.
    #[must_use]
    pub fn confirmed(id: DeliveryId, order: Order, evidence: Evidence, now: Timestamp) -> Self {
        Self::new(id, order, Admission::Checked(evidence), now)
    }

    /// One that Product said nothing to yet.
    #[must_use]
    pub fn pending(
        id: DeliveryId,
        order: Order,
        min_revision: Option<RevisionToken>,
        verify_by: Timestamp,
        now: Timestamp,
    ) -> Self {
        let admission = Admission::Unchecked { verify_by: Some(verify_by) };
        let trace = Trace::current().filter(|trace| trace.is_sampled());
        Self { min_revision, trace, ..Self::new(id, order, admission, now) }
    }

    fn new(id: DeliveryId, order: Order, admission: Admission, now: Timestamp) -> Self {
        Self {
            id,
            order,
            state: admission.first_state(),
            admission,
            min_revision: None,
            trace: None,
            version: 1,
            create_time: now,
            update_time: now,
        }
    }

    /// What is left to do of a transition that a caller wants, who read the delivery at a version (`None`: whichever).
    ///
    /// # Errors
    /// Its state does not allow it, or else it was changed since it was read.
    pub fn step(&self, transition: Transition, read: Option<u32>) -> Result<Step, Refusal> {
        let step = if self.state.after(transition).is_some() {
            Step::ToMake
        } else if self.state == transition.target() {
            Step::Made
        } else {
            return Err(Refusal::InvalidState { state: self.state, transition });
        };
        match read {
            Some(read) if read == self.version => Ok(step),
            // A call that is repeated carries the version from before the first one.
            Some(read) if step == Step::Made && read.checked_add(1) == Some(self.version) => Ok(step),
            Some(read) => Err(Refusal::VersionMismatch { stored: self.version, read }),
            None => Ok(step),
        }
    }

    /// Makes a transition that is to be made, with new evidence if there is some. Nobody asks any more about one that leaves
    /// PENDING without any.
    pub fn make(&mut self, transition: Transition, evidence: Option<Evidence>, now: Timestamp) {
        match (evidence, &mut self.admission) {
            (Some(evidence), admission) => *admission = Admission::Checked(evidence),
            (None, Admission::Unchecked { verify_by }) => *verify_by = None,
            (None, Admission::Checked(_)) => {}
        }
        self.state = transition.target();
        self.version += 1;
        self.update_time = now;
    }
}

// === impl DeliveryId ===

impl DeliveryId {
    /// A new id, greater than those made before by this process.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// Reads the 36-character hyphenated form, in either case.
    ///
    /// # Errors
    /// A sentence for the id's field.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let malformed = "must be a UUID in its 36-character form";
        if text.len() != HYPHENATED_BYTES {
            return Err(malformed);
        }
        Self::from_uuid(Uuid::try_parse(text).map_err(|_| malformed)?)
    }

    /// Takes any UUID but the nil one.
    ///
    /// # Errors
    /// It is the nil UUID.
    pub fn from_uuid(uuid: Uuid) -> Result<Self, &'static str> {
        if uuid.is_nil() { Err("must not be the nil UUID") } else { Ok(Self(uuid)) }
    }

    /// The same as a bare UUID.
    #[must_use]
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use deliverability::{LocationId, ProductId, Quantity};

    use super::*;

    fn delivery(state: State, version: u32) -> Delivery {
        let some = Uuid::from_u128(7);
        let order = Order {
            product: ProductId::from_uuid(some).unwrap(),
            location: LocationId::from_uuid(some).unwrap(),
            quantity: Quantity::default(),
            external_reference: None,
        };
        let now = Timestamp::from_unix_micros(0).unwrap();
        Delivery { state, version, ..Delivery::pending(DeliveryId(some), order, None, now, now) }
    }

    #[test]
    fn a_transition_is_made_at_the_version_that_was_read_or_at_whichever() {
        let confirmed = delivery(State::Confirmed, 2);
        assert_eq!(confirmed.step(Transition::Dispatch, Some(2)), Ok(Step::ToMake));
        assert_eq!(confirmed.step(Transition::Dispatch, None), Ok(Step::ToMake));
        let stale = confirmed.step(Transition::Dispatch, Some(1));
        assert_eq!(stale, Err(Refusal::VersionMismatch { stored: 2, read: 1 }));
    }

    #[test]
    fn repeating_the_last_transition_is_fine_at_its_version_and_at_the_one_before() {
        let dispatched = delivery(State::Dispatched, 3);
        for read in [None, Some(2), Some(3)] {
            assert_eq!(dispatched.step(Transition::Dispatch, read), Ok(Step::Made));
        }
        for read in [1, 4, u32::MAX] {
            let refused = dispatched.step(Transition::Dispatch, Some(read));
            assert_eq!(refused, Err(Refusal::VersionMismatch { stored: 3, read }));
        }
    }

    #[test]
    fn what_the_state_forbids_is_said_before_the_version_is_looked_at() {
        let refused = delivery(State::Cancelled, 2).step(Transition::Dispatch, Some(1)).unwrap_err();
        assert_eq!(
            refused,
            Refusal::InvalidState { state: State::Cancelled, transition: Transition::Dispatch }
        );
        assert_eq!(refused.to_string(), "a delivery that is CANCELLED can't be dispatched");
    }

    #[test]
    fn an_id_has_one_spelling_and_is_never_nil() {
        let id = DeliveryId::fresh();
        assert_eq!(DeliveryId::parse(&id.to_string().to_uppercase()), Ok(id));
        for bad in ["", &id.as_uuid().simple().to_string(), "00000000-0000-0000-0000-000000000000"] {
            assert!(DeliveryId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
