//! Product's silence, as callers under STRICT are told of it.

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::refusal::Refusal;

/// A Delivery with this asks Product once a call: how often it would ask otherwise depends on how much time has passed.
pub const ONE_ATTEMPT: [&str; 2] = ["--product-max-attempts", "1"];

/// The refusal after one attempt, while that is no reason yet to leave Product alone.
pub fn after_one_attempt() -> Refusal {
    Refusal::new(Code::Unavailable, "PRODUCT_UNAVAILABLE")
        .metadata("attempts", "1")
        .metadata("breaker_state", "CLOSED")
        .retry()
}

/// What an answer says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// How often Product was asked.
    pub attempts: u32,
    /// The best state among its breakers.
    pub breaker_state: String,
}

// === impl Silence ===

impl Silence {
    /// What a status says, which must be UNAVAILABLE, PRODUCT_UNAVAILABLE, with all that belongs to it and nothing else.
    pub fn of(status: &Status) -> Self {
        let refusal = Refusal::of(status);
        let info = status.get_details_error_info();
        let told = |key| info.as_ref().and_then(|info| info.metadata.get(key).cloned()).unwrap_or_default();
        let (attempts, breaker_state) = (told("attempts"), told("breaker_state"));
        let documented = Refusal::new(Code::Unavailable, "PRODUCT_UNAVAILABLE")
            .metadata("attempts", &attempts)
            .metadata("breaker_state", &breaker_state)
            .retry();
        assert_eq!(refusal, documented, "{status:?}");
        assert!(["CLOSED", "OPEN", "HALF_OPEN"].contains(&breaker_state.as_str()), "{status:?}");
        Self { attempts: attempts.parse().expect("a number of attempts"), breaker_state }
    }

    /// Whether Product was left alone: its breaker is open.
    pub fn is_at_once(&self) -> bool {
        self.attempts == 0 && self.breaker_state == "OPEN"
    }
}
