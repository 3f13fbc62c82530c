//! What goes wrong below, as statuses: one place, every case.

use std::time::Duration;

use chassis::deadline::Deadline;
use chassis::status::Failure;
use deliverability::Rule;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::index::{Index, NotReached, Reading, Unavailable};
use crate::revision::Head;
use crate::store::{Kind, Refusal, WriteError};

/// When to ask a Product again that has no catalogue to answer from: it polls twice a second.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A refused write.
pub(super) fn refused(refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::InvalidFields(violations) => Failure::invalid_fields(violations.clone()),
        Refusal::NotFound { kind, id } => not_found(*kind, *id),
        Refusal::Exists { kind, id } => {
            Failure::new(Code::AlreadyExists, reason(refusal), refusal.to_string())
                .resource(kind.noun(), id.to_string())
        }
        Refusal::VersionMismatch { stored, .. } => {
            Failure::new(Code::Aborted, reason(refusal), format!("{refusal}: read it again"))
                .metadata("version", stored.to_string())
        }
        Refusal::Ended { state, .. } => {
            Failure::new(Code::FailedPrecondition, reason(refusal), refusal.to_string())
                .metadata("state", state.to_uppercase())
        }
        Refusal::Conflict { .. } => {
            Failure::new(Code::FailedPrecondition, reason(refusal), refusal.to_string())
                .violations(refusal.violations())
        }
    }
}

/// The reason that programs read, the same in a status and in an import's row errors.
pub(super) fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::InvalidFields(_) => "INVALID_FIELD",
        Refusal::NotFound { kind: Kind::Product, .. } => "PRODUCT_NOT_FOUND",
        Refusal::NotFound { kind: Kind::Location, .. } => "LOCATION_NOT_FOUND",
        Refusal::NotFound { kind: Kind::Rule, .. } => "RULE_NOT_FOUND",
        Refusal::Exists { kind: Kind::Product, .. } => "PRODUCT_EXISTS",
        Refusal::Exists { kind: Kind::Location, .. } => "LOCATION_EXISTS",
        Refusal::Exists { kind: Kind::Rule, .. } => "RULE_EXISTS",
        Refusal::VersionMismatch { .. } => "VERSION_MISMATCH",
        Refusal::Ended { .. } => "INVALID_STATE",
        Refusal::Conflict { conflict, .. } => conflict.reason(),
    }
}

/// There is no such object.
pub(super) fn not_found(kind: Kind, id: Uuid) -> Failure {
    let refusal = Refusal::NotFound { kind, id };
    Failure::new(Code::NotFound, reason(&refusal), refusal.to_string()).resource(kind.noun(), id.to_string())
}

/// The rule has no such version, or none any more.
pub(super) fn version_not_found(now: &Rule, version: u32) -> Failure {
    let message = format!("the rule is at version {}, and version {version} is not kept", now.version);
    Failure::new(Code::NotFound, "RULE_VERSION_NOT_FOUND", message)
        .resource(Kind::Rule.noun(), now.id.to_string())
        .metadata("version", now.version.to_string())
}

/// A write that did not happen, or whose outcome is not known.
pub(super) fn write_error(error: WriteError) -> Failure {
    match error {
        WriteError::Refused(refusal) => refused(&refusal),
        WriteError::Store(error) => error.into(),
    }
}

/// The index can't be asked.
pub(super) fn unavailable(why: &Unavailable) -> Failure {
    Failure::new(Code::Unavailable, "CATALOGUE_UNAVAILABLE", why.to_string()).retry_after(RETRY_AFTER)
}

/// A token of a database that is no more.
pub(super) fn epoch_mismatch() -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "EPOCH_MISMATCH",
        "the revision is of a catalogue that has been replaced from a backup: go on without it",
    )
}

/// A stream that this process ends because it ends itself.
pub(super) fn draining() -> Failure {
    Failure::new(Code::Unavailable, "DRAINING", "this process is ending: go on with another")
        .retry_after(RETRY_AFTER)
}

/// The catalogue, at least as fresh as a caller's token asks, within the caller's deadline.
pub(super) async fn read_at_least(
    index: &Index,
    min_revision: Option<Head>,
    deadline: Deadline,
) -> Result<Reading, Status> {
    let Some(wanted) = min_revision else {
        return index.read().map_err(|why| unavailable(&why).into_status());
    };
    // Some of the time is left for the answer's way back.
    let deadline = deadline.instant() - (deadline.remaining() / 10).min(Duration::from_millis(50));
    index.read_at_least(wanted, deadline).await.map_err(|not_reached| match not_reached {
        NotReached::Unavailable(why) => unavailable(&why).into_status(),
        NotReached::Epoch => epoch_mismatch().into_status(),
        NotReached::Deadline(head) => revision_not_reached(head).into_status(),
    })
}

/// The catalogue has not come so far yet.
pub(super) fn revision_not_reached(head: Head) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "REVISION_NOT_REACHED",
        "this process has not read that revision yet: try again or ask another",
    )
    .metadata("revision", head.token())
}
