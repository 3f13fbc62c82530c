//! Product's messages into decisions; what the contract does not allow is nonsense, never a decision.

use deliverability::{MAX_DECIDING_RULES, RuleId, RuleRef, Timestamp, Verdict};
use proto::product::v1 as wire;

use super::Decision;
use crate::domain::RevisionToken;

/// What makes no sense about an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Nonsense(&'static str);

/// The answer to one question.
pub(super) fn decision(answer: &wire::CanDeliverResponse, now: Timestamp) -> Result<Decision, Nonsense> {
    let decision = answer.decision.as_ref().ok_or(Nonsense("no decision"))?;
    parse(decision, token(&decision.revision)?, now)
}

/// The answers to several questions. One that makes no sense says nothing about the others; if none does, it is the answer.
pub(super) fn batch(
    answer: &wire::BatchCanDeliverResponse,
    asked: usize,
    now: Timestamp,
) -> Result<Vec<Result<Decision, Nonsense>>, Nonsense> {
    if answer.results.len() != asked {
        return Err(Nonsense("another number of answers than of questions"));
    }
    let revision = token(&answer.revision)?;
    let read = |result: &wire::BatchResult| {
        let decision = result.decision.as_ref().ok_or(Nonsense("no decision"))?;
        parse(decision, revision.clone(), now)
    };
    let read: Vec<_> = answer.results.iter().map(read).collect();
    match read.first() {
        Some(Err(nonsense)) if read.iter().all(Result::is_err) => Err(nonsense.clone()),
        _ => Ok(read),
    }
}

fn parse(decision: &wire::Decision, revision: RevisionToken, now: Timestamp) -> Result<Decision, Nonsense> {
    let verdict = match wire::Verdict::try_from(decision.verdict) {
        Ok(wire::Verdict::Deliverable) => Verdict::Deliverable,
        Ok(wire::Verdict::NotDeliverable) => Verdict::NotDeliverable,
        Ok(wire::Verdict::Unspecified) | Err(_) => return Err(Nonsense("neither yes nor no")),
    };
    let rules = decision.deciding_rules.iter().take(MAX_DECIDING_RULES).map(rule);
    Ok(Decision {
        verdict,
        reason: reason(decision.reason),
        revision,
        deciding_rules: rules.collect::<Result<_, _>>()?,
        valid_until: decision.valid_until.map(timestamp).transpose()?,
        check_time: now,
    })
}

fn rule(rule: &wire::RuleRef) -> Result<RuleRef, Nonsense> {
    let id = RuleId::parse(&rule.rule_id).map_err(|_| Nonsense("a malformed rule id"))?;
    Ok(RuleRef { id, version: rule.version })
}

fn token(text: &str) -> Result<RevisionToken, Nonsense> {
    RevisionToken::parse(text).map_err(|_| Nonsense("a malformed revision"))
}

/// The reason's name without its prefix. A newer Product may know reasons that this release doesn't; its verdict counts all
/// the same.
fn reason(number: i32) -> String {
    match wire::Reason::try_from(number) {
        Ok(reason) => reason.as_str_name().trim_start_matches("REASON_").to_owned(),
        Err(_) => format!("REASON_{number}"),
    }
}

/// To the microsecond. What is finer is dropped, so that a decision ends early and not late.
fn timestamp(time: prost_types::Timestamp) -> Result<Timestamp, Nonsense> {
    let micros = time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1_000);
    Timestamp::from_unix_micros(micros).map_err(|_| Nonsense("an impossible time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yes() -> wire::Decision {
        wire::Decision {
            verdict: wire::Verdict::Deliverable.into(),
            reason: wire::Reason::Allowed.into(),
            revision: "r1".to_owned(),
            ..wire::Decision::default()
        }
    }

    fn read(decision: wire::Decision) -> Result<Decision, Nonsense> {
        let now = Timestamp::from_unix_micros(0).unwrap();
        super::decision(&wire::CanDeliverResponse { decision: Some(decision) }, now)
    }

    #[test]
    fn an_answer_that_is_neither_yes_nor_no_is_no_answer() {
        for verdict in [0, 3, -1] {
            assert!(read(wire::Decision { verdict, ..yes() }).is_err(), "{verdict}");
        }
        let none = wire::CanDeliverResponse { decision: None };
        assert!(super::decision(&none, Timestamp::from_unix_micros(0).unwrap()).is_err());
    }

    #[test]
    fn the_verdict_counts_even_if_its_reason_is_new() {
        assert_eq!(read(yes()).unwrap().reason, "ALLOWED");
        let new = read(wire::Decision { reason: 99, ..yes() }).unwrap();
        assert_eq!((new.verdict, new.reason.as_str()), (Verdict::Deliverable, "REASON_99"));
    }

    #[test]
    fn what_can_not_be_stored_as_evidence_is_no_answer() {
        let rule = wire::RuleRef { rule_id: "x".to_owned(), version: 1 };
        assert!(read(wire::Decision { deciding_rules: vec![rule], ..yes() }).is_err());
        assert!(read(wire::Decision { revision: String::new(), ..yes() }).is_err());
        let never = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        assert!(read(wire::Decision { valid_until: Some(never), ..yes() }).is_err());
    }

    #[test]
    fn one_senseless_answer_of_a_batch_leaves_the_others_as_they_are() {
        let result = |decision| wire::BatchResult { correlation_id: String::new(), decision };
        let answer = wire::BatchCanDeliverResponse {
            results: vec![result(None), result(Some(yes()))],
            revision: "r2".to_owned(),
            as_of_time: None,
        };
        let now = Timestamp::from_unix_micros(0).unwrap();
        let read = batch(&answer, 2, now).unwrap();
        assert_eq!(read[0], Err(Nonsense("no decision")));
        assert_eq!(read[1].as_ref().unwrap().revision.as_str(), "r2");
        assert!(batch(&answer, 3, now).is_err());

        let all = wire::BatchCanDeliverResponse { results: vec![result(None), result(None)], ..answer };
        assert_eq!(batch(&all, 2, now), Err(Nonsense("no decision")));
    }
}
