//! What goes wrong below, as statuses: one place, every case.

use std::time::Duration;

use chassis::database::StoreError;
use chassis::status::{Failure, Violation};
use tonic::{Code, Status};

use crate::create::CreateError;
use crate::dispatch::DispatchError;
use crate::domain::Refusal;
use crate::products::{BadRevision, Decision, Silence, Why};
use crate::store::TransitionError;

/// What ResourceInfo calls a delivery.
const RESOURCE: &str = "delivery";
/// When to try DEFER again while too many wait: once Product is back the verifier settles thousands in that time.
const RETRY_PENDING_AFTER: Duration = Duration::from_secs(5);

pub(super) fn create_error(error: CreateError) -> Status {
    let message = error.to_string();
    let failure = match error {
        CreateError::Exists(id) => {
            Failure::new(Code::AlreadyExists, "DELIVERY_EXISTS", message).resource(RESOURCE, id.to_string())
        }
        CreateError::NotDeliverable(decision) => not_deliverable(&decision, message),
        CreateError::BadRevision(bad) => bad_revision(bad, &message),
        CreateError::ProductSilent(silence) => product_silent(&silence, message),
        CreateError::TooManyPending => Failure::new(Code::ResourceExhausted, "TOO_MANY_PENDING", message)
            .retry_after(RETRY_PENDING_AFTER),
        CreateError::Store(error) => error.into(),
    };
    failure.into()
}

pub(super) fn dispatch_error(error: DispatchError) -> Status {
    let message = error.to_string();
    match error {
        DispatchError::NotDeliverable(decision) => not_deliverable(&decision, message).into(),
        DispatchError::ProductSilent(silence) => product_silent(&silence, message).into(),
        DispatchError::Transition(error) => transition_error(error),
    }
}

pub(super) fn transition_error(error: TransitionError) -> Status {
    match error {
        TransitionError::Refused(refusal) => refused(&refusal),
        TransitionError::Store(error) => store_error(error),
    }
}

pub(super) fn store_error(error: StoreError) -> Status {
    Failure::from(error).into()
}

pub(super) fn refused(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    let failure = match refusal {
        Refusal::NotFound { id } => {
            Failure::new(Code::NotFound, "DELIVERY_NOT_FOUND", message).resource(RESOURCE, id.to_string())
        }
        Refusal::InvalidState { state, .. } => {
            Failure::new(Code::FailedPrecondition, "INVALID_STATE", message).metadata("state", state.as_str())
        }
        Refusal::VersionMismatch { stored, .. } => {
            Failure::new(Code::Aborted, "VERSION_MISMATCH", format!("{message}: read it again"))
                .metadata("version", stored.to_string())
        }
    };
    failure.into()
}

/// A decision, and no fault of anybody's.
fn not_deliverable(decision: &Decision, message: String) -> Failure {
    let rule_ids: Vec<_> = decision.deciding_rules.iter().map(|rule| rule.id.to_string()).collect();
    Failure::new(Code::FailedPrecondition, "NOT_DELIVERABLE", message)
        .metadata("verdict_reason", &decision.reason)
        .metadata("revision", decision.revision.as_str())
        .metadata("rule_ids", rule_ids.join(","))
}

fn bad_revision(bad: BadRevision, message: &str) -> Failure {
    match bad {
        BadRevision::EpochMismatch => {
            Failure::new(Code::FailedPrecondition, "EPOCH_MISMATCH", format!("{message}: go on without it"))
        }
        BadRevision::Malformed(why) => Failure::invalid_fields(vec![Violation::new("min_revision", why)]),
    }
}

fn product_silent(silence: &Silence, message: String) -> Failure {
    match silence.why {
        Why::CallersDeadline => Failure::deadline_exceeded(),
        Why::Unreachable
        | Why::NoEndpoints
        | Why::BreakerOpen
        | Why::Full
        | Why::TooSlow
        | Why::Unready
        | Why::Failing
        | Why::RevisionNotReached
        | Why::Nonsense
        | Why::Lapsed => {
            let failure = Failure::new(Code::Unavailable, "PRODUCT_UNAVAILABLE", message)
                .metadata("attempts", silence.attempts.to_string())
                .retry_after(silence.retry_after);
            match silence.breaker {
                None => failure,
                Some(state) => failure.metadata("breaker_state", state.as_str()),
            }
        }
    }
}
