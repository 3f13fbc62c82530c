//! Calls that go together, when something goes wrong.

use std::collections::HashSet;
use std::sync::Arc;

use resilience::batch::{BatchSettings, Batching};
use resilience::breaker::{BreakerSettings, CallEnd, NEVER_PERCENT, State};
use resilience::budget::BudgetSettings;
use resilience::outcome::Kind;
use resilience::{CallError, CallSettings, Cause, Refusal};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::support::numbers::{BATCH, POISON, SENSELESS, attempts, batching, batching_behind, begin};
use crate::support::{Does, World, address, breaker, ms, settings};

/// Nothing is tried again that has to be paid for.
fn without_budget() -> CallSettings {
    let budget = BudgetSettings { per_ten_thousand: 0, capacity_tokens: 0, ..settings().budget };
    CallSettings { budget, ..settings() }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_is_one_failure_and_each_of_its_calls_is_tried_again() {
    let world = World::default();
    let (batching, stack, sent) = batching(&world, 2, settings());
    (0..2).for_each(|endpoint| world.tell(endpoint, Does::AnswersAfter(ms(2))));
    // Until each endpoint has one in flight and three behind it.
    let mut calls = Vec::new();
    for number in 0..8 {
        calls.push(begin(&batching, number, 1_000).await);
    }
    let firsts = sent.all().len();
    (0..2).for_each(|endpoint| world.tell(endpoint, Does::Fails(Status::unavailable("x"))));
    tokio::time::advance(ms(2)).await;
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    (0..2).for_each(|endpoint| world.tell(endpoint, Does::Answers));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let failed = attempts(&stack, Kind::Unavailable);
    assert!((1..=2).contains(&failed), "{failed} failures of {:?}", sent.all());
    assert_eq!(stack.caller().totals().retries, 8 - firsts as u64, "each call pays for itself");
    let again: HashSet<u32> = sent.all()[firsts + failed as usize..].concat().into_iter().collect();
    assert_eq!(again.len(), 8 - firsts);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_makes_its_batch_fail_harms_no_other_for_as_long_as_the_budget_lasts() {
    let world = World::default();
    let (batching, stack, sent) = batching(&world, 1, settings());
    world.tell(0, Does::AnswersAfter(ms(2)));
    let mut calls = Vec::new();
    for number in [0, 1, POISON, 2] {
        calls.push((number, begin(&batching, number, 1_000).await));
    }
    for (number, call) in calls {
        let ended = call.await.unwrap();
        match ended {
            Ok(_) => assert_ne!(number, POISON),
            Err(error) => {
                assert_eq!(number, POISON);
                assert!(is_internal(&error));
                assert_eq!(error.attempts, 2, "once with the others, once by itself");
            }
        }
    }
    assert_eq!(sent.all()[..2], [vec![0], vec![1, POISON, 2]]);
    assert!(sent.all()[2..].iter().all(|sent| sent.len() == 1), "{:?}", sent.all());
    let totals = stack.caller().totals();
    assert_eq!((totals.retries, totals.resends), (3, 0), "each call pays for itself");
}

#[tokio::test(start_paused = true)]
async fn once_the_budget_is_spent_a_call_ends_with_what_its_batch_came_to() {
    let world = World::default();
    let (batching, _, sent) = batching(&world, 1, without_budget());
    world.tell(0, Does::AnswersAfter(ms(2)));
    let first = begin(&batching, 0, 1_000).await;
    let together = [begin(&batching, 1, 1_000).await, begin(&batching, POISON, 1_000).await];
    first.await.unwrap().unwrap();
    for call in together {
        let error = call.await.unwrap().unwrap_err();
        assert!(is_internal(&error));
        assert_eq!(error.attempts, 1);
    }
    assert_eq!(sent.all(), [vec![0], vec![1, POISON]]);
}

#[tokio::test(start_paused = true)]
async fn however_small_the_batches_that_fail_attempts_stay_within_the_calls_and_the_budget() {
    const ROUNDS: usize = 100;
    const CALLS_A_ROUND: usize = 9;
    const BURST: u32 = 10;
    let world = World::default();
    let budget = BudgetSettings { per_ten_thousand: 1_000, capacity_tokens: BURST, ..settings().budget };
    // Nothing but the budget is to end them.
    let breaker = BreakerSettings { failure_rate_percent: NEVER_PERCENT, ..breaker() };
    let pairs = BatchSettings { max_calls: 2, ..BATCH };
    let settings = CallSettings { budget, ..settings() };
    let (batching, stack, sent) = batching_behind(breaker, &world, 1, settings, pairs);
    world.tell(0, Does::AnswersAfter(ms(2)));
    for _ in 0..ROUNDS {
        let mut calls = Vec::new();
        for _ in 0..CALLS_A_ROUND {
            calls.push(begin(&batching, POISON, 1_000).await);
        }
        for call in calls {
            assert!(is_internal(&call.await.unwrap().unwrap_err()));
        }
    }
    let (calls, burst) = (ROUNDS * CALLS_A_ROUND, BURST as usize);
    let attempts = sent.all().len();
    assert!(attempts <= calls + calls / 10 + burst, "{attempts} attempts of {calls} calls");
    let totals = stack.caller().totals();
    assert!(totals.batches >= 2 * ROUNDS as u64, "they did go together: {totals:?}");
    let further = (totals.retries + totals.resends) as usize;
    assert!((1..=calls / 10 + burst).contains(&further), "{totals:?}");
}

fn is_internal(error: &CallError) -> bool {
    matches!(&error.cause, Cause::Failed(status) if status.code() == Code::Internal)
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_an_endpoint_has_no_room_for_is_not_sent_again_call_by_call() {
    let world = World::default();
    let (batching, stack, sent) = batching(&world, 1, settings());
    world.tell(0, Does::AnswersAfter(ms(2)));
    let first = begin(&batching, 0, 1_000).await;
    let together = [begin(&batching, 1, 1_000).await, begin(&batching, 2, 1_000).await];
    world.tell(0, Does::Fails(Status::resource_exhausted("x")));
    first.await.unwrap().unwrap();
    for call in together {
        assert_eq!(call.await.unwrap().unwrap_err().attempts, 1);
    }
    assert_eq!(sent.all(), [vec![0], vec![1, 2]]);
    assert_eq!(stack.caller().totals().resends, 0);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_is_let_go_by_the_lines_of_every_runtime() {
    let world = World::default();
    let (one, stack, _) = batching(&world, 1, settings());
    let other = Batching::new::<Vec<u32>>(stack.clone(), BATCH);
    let gone = Arc::downgrade(&stack.caller().endpoints().current()[0]);
    for number in 1..=2 {
        one.call(number, None).await.unwrap();
        other.call(number, None).await.unwrap();
        stack.caller().endpoints().set(&[address(number as usize)]);
    }
    one.call(3, None).await.unwrap();
    other.call(3, None).await.unwrap();
    assert!(gone.upgrade().is_none());
}

#[test]
fn a_runtime_that_ends_with_calls_in_a_line_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::default();
    let (batching, stack, _) = batching(&world, 1, settings());
    world.tell(0, Does::Hangs);
    runtime.block_on(async {
        for number in 0..3 {
            drop(begin(&batching, number, 1_000).await);
        }
    });
    drop(runtime);
    assert_eq!(stack.caller().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_only_one_call_has_not_got_is_that_calls() {
    let world = World::default();
    let (batching, stack, _) = batching(&world, 1, without_budget());
    world.tell(0, Does::AnswersAfter(ms(2)));
    let first = begin(&batching, 0, 1_000).await;
    let calls = [begin(&batching, 1, 1_000).await, begin(&batching, SENSELESS, 1_000).await];
    first.await.unwrap().unwrap();
    let [answered, senseless] = calls;
    answered.await.unwrap().unwrap();
    let error = senseless.await.unwrap().unwrap_err();
    assert!(matches!(&error.cause, Cause::Failed(status) if status.code() == Code::DataLoss));
    assert_eq!((attempts(&stack, Kind::Ok), attempts(&stack, Kind::Failed)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn those_in_the_line_of_a_breaker_that_opens_are_refused_and_nothing_is_sent() {
    let world = World::default();
    let (batching, stack, sent) = batching(&world, 1, settings());
    world.tell(0, Does::AnswersAfter(ms(2)));
    let first = begin(&batching, 0, 1_000).await;
    let behind = begin(&batching, 1, 1_000).await;
    let endpoint = Arc::clone(&stack.caller().endpoints().current()[0]);
    while endpoint.breaker.state() == State::Closed {
        let now = Instant::now();
        endpoint.breaker.acquire(now).unwrap().finish(CallEnd::Failure, ms(0), now);
    }
    first.await.unwrap().unwrap();
    let error = behind.await.unwrap().unwrap_err();
    assert!(matches!(error.cause, Cause::Refused(Refusal::AllOpen)), "{error:?}");
    assert_eq!((error.attempts, sent.all().len()), (0, 1));
}
