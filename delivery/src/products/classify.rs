//! What an error of a call to Product means.

use std::error::Error;
use std::time::Duration;

use chassis::status;
use tokio::time::Instant;
use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

use super::{Answer, BadRevision, Limit, Silence, Why};

/// Longest wait that is passed on to a caller, whatever Product asks for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How much earlier than here a deadline may pass at Product: its timers, and the header's units, are of a millisecond.
const CLOCK_SLACK: Duration = Duration::from_millis(10);

/// Two errors are about the question's min_revision; every other one is silence.
pub(super) fn error<T>(status: &Status, limit: &Limit) -> Answer<T> {
    match (status.code(), status::reason(status).as_deref()) {
        (Code::FailedPrecondition, Some("EPOCH_MISMATCH")) => {
            return Answer::BadRevision(BadRevision::EpochMismatch);
        }
        (Code::InvalidArgument, Some("INVALID_FIELD")) => {
            let violations = status::violations(status);
            if let Some(violation) =
                violations.into_iter().find(|violation| violation.field == "min_revision")
            {
                return Answer::BadRevision(BadRevision::Malformed(violation.description));
            }
        }
        _ => {}
    }
    let mut silence = Silence::new(why(status, limit));
    if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        silence.retry_after = delay.min(MAX_RETRY_AFTER);
    }
    tracing::debug!(code = ?status.code(), message = status.message(), why = %silence.why, "Product did not answer");
    Answer::Silent(silence)
}

fn why(status: &Status, limit: &Limit) -> Why {
    // An answer of Product's own has no source; what went wrong on this side, or on the way, has.
    let mut causes = std::iter::successors(status.source(), |cause| (*cause).source()).peekable();
    let is_answer = causes.peek().is_none();
    let timed_out_here = causes.any(<dyn Error>::is::<TimeoutExpired>);
    match (status.code(), status::reason(status).as_deref()) {
        _ if timed_out_here => limit.why_timed_out(),
        _ if !is_answer => Why::Unreachable,
        // Product was told the deadline and may notice a moment earlier that it has passed.
        (Code::DeadlineExceeded, _) if Instant::now() + CLOCK_SLACK >= limit.until => limit.why_timed_out(),
        (Code::DeadlineExceeded, _) => Why::TooSlow,
        (Code::FailedPrecondition, Some("REVISION_NOT_REACHED")) => Why::RevisionNotReached,
        (Code::Unavailable | Code::ResourceExhausted, _) => Why::Unready,
        _ => Why::Failing,
    }
}

#[cfg(test)]
mod tests {
    use chassis::status::{Failure, Violation};

    use super::*;

    fn answer(failure: Failure) -> Answer<()> {
        error(&failure.into_status(), &Limit { until: Instant::now(), is_callers: false })
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
    fn a_malformed_field_of_ours_is_silence_and_no_fault_of_the_callers() {
        let other = answer(Failure::invalid_fields(vec![Violation::new("product_id", "is wrong")]));
        assert_eq!(other, silent(Why::Failing));
    }

    #[test]
    fn product_says_when_to_ask_again_within_reason() {
        for (asked, told) in
            [(Duration::from_secs(7), Duration::from_secs(7)), (Duration::MAX / 4, MAX_RETRY_AFTER)]
        {
            let answered = answer(Failure::new(Code::Unavailable, "X", "x").retry_after(asked));
            assert_eq!(answered, Answer::Silent(Silence { retry_after: told, ..Silence::new(Why::Unready) }));
        }
    }

    #[test]
    fn a_deadline_that_product_noticed_first_is_the_one_that_was_set() {
        let failure = || Failure::deadline_exceeded().into_status();
        for (is_callers, why) in [(true, Why::CallersDeadline), (false, Why::TooSlow)] {
            let answered = error::<()>(&failure(), &Limit { until: Instant::now(), is_callers });
            assert_eq!(answered, silent(why));
        }
        // One that passed long before is none that a caller set.
        let later = Instant::now() + Duration::from_secs(5);
        let answered = error::<()>(&failure(), &Limit { until: later, is_callers: true });
        assert_eq!(answered, silent(Why::TooSlow));
    }
}
