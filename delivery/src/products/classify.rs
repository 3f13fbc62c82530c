//! What a question without an answer means.

use std::time::Duration;

use chassis::status;
use resilience::outcome::Meaning;
use resilience::{CallError, Cause, Refusal};
use tonic::{Code, Status};

use super::parse::Nonsense;
use super::{Answer, BadRevision, Silence, Why};

/// Longest wait that is passed on to a caller, whatever Product asks for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// What stands for an answer that makes no sense.
const NONSENSE: &str = "the answer makes no sense";

/// An answer that came and makes no sense, as the end of its attempt.
pub(super) fn nonsense(why: Nonsense) -> Status {
    tracing::debug!(%why, NONSENSE);
    Status::data_loss(NONSENSE)
}

/// What an attempt's error means: as everywhere, but for two ends that another endpoint may not come to.
pub(super) fn meaning(status: &Status) -> Meaning {
    let meaning = Meaning::of(status);
    if is_revision_not_reached(status) {
        meaning.not_here()
    } else if is_nonsense(status) {
        meaning.elsewhere()
    } else {
        meaning
    }
}

/// Two errors are about the question's min_revision; every other one is silence.
pub(super) fn error<T>(error: &CallError) -> Answer<T> {
    if let Cause::Failed(status) = &error.cause
        && let Some(bad) = bad_revision(status)
    {
        return Answer::BadRevision(bad);
    }
    let mut silence = Silence { attempts: error.attempts, ..Silence::new(why(error)) };
    if let Some(delay) = error.retry_after {
        silence.retry_after = delay.min(MAX_RETRY_AFTER);
    }
    tracing::debug!(?error, why = %silence.why, "Product did not answer");
    Answer::Silent(silence)
}

fn bad_revision(status: &Status) -> Option<BadRevision> {
    match (status.code(), status::reason(status).as_deref()) {
        (Code::FailedPrecondition, Some("EPOCH_MISMATCH")) => Some(BadRevision::EpochMismatch),
        (Code::InvalidArgument, Some("INVALID_FIELD")) => {
            let mut violations = status::violations(status).into_iter();
            let about_it = violations.find(|violation| violation.field == "min_revision");
            about_it.map(|violation| BadRevision::Malformed(violation.description))
        }
        _ => None,
    }
}

fn why(error: &CallError) -> Why {
    match &error.cause {
        // Product's wait for a revision ends shortly before the deadline does.
        Cause::Failed(status) if is_revision_not_reached(status) => Why::RevisionNotReached,
        Cause::TimedOut | Cause::Failed(_) | Cause::Refused(Refusal::NoTime) if error.out_of_callers_time => {
            Why::CallersDeadline
        }
        Cause::TimedOut | Cause::Refused(Refusal::NoTime) => Why::TooSlow,
        Cause::Refused(Refusal::Full) => Why::Full,
        Cause::Refused(Refusal::AllOpen) => Why::BreakerOpen,
        Cause::Refused(Refusal::NoEndpoints) => Why::NoEndpoints,
        // What went wrong on the way has a source; an answer of Product's own has none.
        Cause::Failed(status) if std::error::Error::source(status).is_some() => Why::Unreachable,
        Cause::Failed(status) if is_nonsense(status) => Why::Nonsense,
        Cause::Failed(status) => match status.code() {
            Code::Unavailable | Code::ResourceExhausted => Why::Unready,
            _ => Why::Failing,
        },
    }
}

fn is_nonsense(status: &Status) -> bool {
    status.code() == Code::DataLoss && status.message() == NONSENSE
}

fn is_revision_not_reached(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition
        && status::reason(status).as_deref() == Some("REVISION_NOT_REACHED")
}

#[cfg(test)]
mod tests {
    use chassis::status::{Failure, Violation};
    use resilience::outcome::{Again, Evidence};

    use super::*;

    fn failed(cause: Cause) -> CallError {
        CallError { cause, attempts: 1, retry_after: None, out_of_callers_time: false }
    }

    fn answer(failure: Failure) -> Answer<()> {
        error(&failed(Cause::Failed(failure.into_status())))
    }

    fn silent(why: Why) -> Answer<()> {
        Answer::Silent(Silence::new(why))
    }

    #[test]
    fn no_code_is_a_decision() {
        for code in 1..=16 {
            let answered = answer(Failure::new(Code::from_i32(code), "SOME_REASON", "x"));
            assert!(matches!(answered, Answer::Silent(_)), "{code}");
        }
    }

    #[test]
    fn an_error_about_min_revision_is_told_apart() {
        let mismatch = answer(Failure::new(Code::FailedPrecondition, "EPOCH_MISMATCH", "x"));
        assert_eq!(mismatch, Answer::BadRevision(BadRevision::EpochMismatch));
        let malformed = answer(Failure::invalid_fields(vec![Violation::new("min_revision", "is wrong")]));
        assert_eq!(malformed, Answer::BadRevision(BadRevision::Malformed("is wrong".to_owned())));
        let not_reached = answer(Failure::new(Code::FailedPrecondition, "REVISION_NOT_REACHED", "x"));
        assert_eq!(not_reached, silent(Why::RevisionNotReached));
    }

    #[test]
    fn a_revision_that_one_endpoint_has_not_reached_another_may_have() {
        let not_reached = Failure::new(Code::FailedPrecondition, "REVISION_NOT_REACHED", "x").into_status();
        let meaning = meaning(&not_reached);
        assert_eq!((meaning.evidence, meaning.again), (Evidence::Neutral, Again::Elsewhere));
        let other = Failure::new(Code::FailedPrecondition, "EPOCH_MISMATCH", "x").into_status();
        assert_eq!(super::meaning(&other).again, Again::No);
    }

    #[test]
    fn a_malformed_field_of_ours_is_silence_and_no_fault_of_the_callers() {
        let other = answer(Failure::invalid_fields(vec![Violation::new("product_id", "is wrong")]));
        assert_eq!(other, silent(Why::Failing));
    }

    #[test]
    fn when_to_ask_again_is_passed_on_within_reason() {
        for (asked, told) in
            [(Duration::from_secs(7), Duration::from_secs(7)), (Duration::MAX / 4, MAX_RETRY_AFTER)]
        {
            let refused = CallError { retry_after: Some(asked), ..failed(Cause::Refused(Refusal::AllOpen)) };
            let expected = Silence { retry_after: told, ..Silence::new(Why::BreakerOpen) };
            assert_eq!(error::<()>(&refused), Answer::Silent(expected));
        }
    }

    #[test]
    fn a_call_that_its_callers_deadline_ended_says_so_whatever_the_last_attempt_came_to() {
        let causes =
            [Cause::TimedOut, Cause::Failed(Status::unavailable("x")), Cause::Refused(Refusal::NoTime)];
        for cause in causes {
            let late = CallError { out_of_callers_time: true, ..failed(cause) };
            assert_eq!(error::<()>(&late), silent(Why::CallersDeadline));
        }
        assert_eq!(error::<()>(&failed(Cause::TimedOut)), silent(Why::TooSlow));
    }
}
