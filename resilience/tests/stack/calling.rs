//! What a call comes to.

use resilience::breaker::State;
use resilience::budget::BudgetSettings;
use resilience::outcome::Meaning;
use resilience::{CallSettings, Cause, Refusal};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::support::{Does, World, ms, settings};

fn unavailable() -> Does {
    Does::Fails(Status::unavailable("x"))
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_one_attempt() {
    let world = World::default();
    let stack = world.stack(1, settings());
    assert_eq!(stack.call((), None).await.unwrap(), 0);
    assert_eq!(world.asked().len(), 1);
    assert_eq!((world.asked()[0].timeout, world.asked()[0].previous_attempts), (ms(1_000), 0));
    // Now there is a token for a retry, and time is kept for it.
    stack.call((), None).await.unwrap();
    assert_eq!(world.asked()[1].timeout, ms(300));
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_tried_again_elsewhere_and_says_that_it_is() {
    let world = World::default();
    let stack = world.stack(3, settings());
    for _ in 0..5 {
        stack.call((), None).await.unwrap();
    }
    world.tell(0, unavailable());
    world.tell(1, unavailable());
    assert_eq!(stack.call((), None).await.unwrap(), 2);
    let asked = &world.asked()[5..];
    let endpoints: std::collections::HashSet<_> = asked.iter().map(|asked| asked.endpoint).collect();
    assert_eq!(endpoints.len(), asked.len(), "each endpoint once: {asked:?}");
    let previous: Vec<_> = asked.iter().map(|asked| asked.previous_attempts).collect();
    assert_eq!(previous, (0..).take(asked.len()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_what_its_last_attempt_came_to() {
    let world = World::default();
    let stack = world.stack(1, settings());
    world.tell(0, unavailable());
    let error = stack.call((), None).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Failed(status) if status.code() == Code::Unavailable));
    // The first call's deposit is worth one retry.
    assert_eq!(error.attempts, 2);
    assert_eq!(stack.caller().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_an_application_chose_is_neither_tried_again_nor_held_against_anybody() {
    for code in [Code::NotFound, Code::InvalidArgument, Code::FailedPrecondition, Code::Aborted] {
        let world = World::default();
        let stack = world.stack(2, settings());
        (0..2).for_each(|endpoint| world.tell(endpoint, Does::Fails(Status::new(code, "x"))));
        for _ in 0..20 {
            assert_eq!(stack.call((), None).await.unwrap_err().attempts, 1);
        }
        for endpoint in stack.caller().endpoints().current().iter() {
            assert_eq!(endpoint.breaker.state(), State::Closed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_deadline() {
    for (callers, expected) in [(None, 1_000), (Some(5_000), 1_000), (Some(400), 350), (Some(40), 30)] {
        let world = World::default();
        let stack = world.stack(2, settings());
        (0..2).for_each(|endpoint| world.tell(endpoint, Does::Hangs));
        let began = Instant::now();
        let error = stack.call((), callers.map(|callers| began + ms(callers))).await.unwrap_err();
        assert!(matches!(error.cause, Cause::TimedOut), "{error:?}");
        assert!(began.elapsed() <= ms(expected + 1), "{callers:?}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_told_how_long_it_has_and_the_last_one_has_what_remains() {
    let world = World::default();
    let stack = world.stack(2, settings());
    for _ in 0..5 {
        stack.call((), None).await.unwrap();
    }
    (0..2).for_each(|endpoint| world.tell(endpoint, Does::Hangs));
    let error = stack.call((), None).await.unwrap_err();
    assert_eq!(error.attempts, 3);
    let timeouts: Vec<_> = world.asked()[5..].iter().map(|asked| asked.timeout).collect();
    assert_eq!(timeouts[..2], [ms(300), ms(300)]);
    assert!(timeouts[2] > ms(300) && timeouts[2] <= ms(400), "{timeouts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_leaves_no_time_is_refused_and_nobody_is_asked() {
    let world = World::default();
    let stack = world.stack(1, settings());
    let error = stack.call((), Some(Instant::now())).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Refused(Refusal::NoTime)));
    assert!(world.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn hurried_callers_open_no_breaker() {
    let world = World::default();
    let stack = world.stack(1, settings());
    world.tell(0, Does::AnswersAfter(ms(60)));
    for _ in 0..100 {
        let error = stack.call((), Some(Instant::now() + ms(5))).await.unwrap_err();
        assert!(matches!(error.cause, Cause::TimedOut) && error.out_of_callers_time);
    }
    assert_eq!(stack.caller().endpoints().current()[0].breaker.state(), State::Closed);
    assert!(stack.call((), None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_more_call_than_the_bulkhead_holds_is_refused_at_once() {
    let world = World::default();
    let stack = world.stack(1, settings());
    world.tell(0, Does::Hangs);
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let stack = stack.clone();
            tokio::spawn(async move { stack.call((), None).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let began = Instant::now();
    let error = stack.call((), None).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Refused(Refusal::Full)));
    assert_eq!(began.elapsed(), ms(0));
    for call in calls {
        assert!(call.await.unwrap().is_err());
    }
    assert_eq!(stack.caller().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_at_once_says_until_when_and_lets_one_probe_through() {
    let world = World::default();
    let stack = world.stack(1, settings());
    world.tell(0, unavailable());
    while stack.caller().endpoints().current()[0].breaker.state() == State::Closed {
        let _ = stack.call((), None).await;
    }
    let reached = world.asked().len();
    let error = stack.call((), None).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Refused(Refusal::AllOpen)));
    assert!(error.retry_after.unwrap() <= ms(1_000));
    assert_eq!(world.asked().len(), reached);

    world.tell(0, Does::AnswersAfter(ms(10)));
    tokio::time::advance(ms(1_001)).await;
    let (probe, refused) = tokio::join!(stack.call((), None), stack.call((), None));
    assert!(probe.is_ok() && refused.is_err());
    assert!(stack.call((), None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_costs_one_resend_elsewhere_and_nothing_of_the_budget() {
    let world = World::default();
    let budget = BudgetSettings { per_ten_thousand: 0, ..settings().budget };
    let stack = world.stack(2, CallSettings { budget, ..settings() });
    world.tell(0, Does::RefusesConnections);
    for _ in 0..50 {
        assert_eq!(stack.call((), None).await.unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn retries_stay_within_the_budget_when_everything_fails() {
    let world = World::default();
    let budget = BudgetSettings { per_ten_thousand: 1_000, ..settings().budget };
    let mut all = settings();
    all.budget = budget;
    let stack = world.stack(1, all);
    // An end that no breaker counts, and that asks to be tried again.
    let mut wants_more = Status::resource_exhausted("x");
    wants_more.metadata_mut().insert("grpc-retry-pushback-ms", "1".parse().unwrap());
    world.tell(0, Does::Fails(wants_more));
    for _ in 0..1_000 {
        assert!(stack.call((), None).await.is_err());
    }
    let reached = world.asked().len();
    assert!((1_095..=1_100).contains(&reached), "{reached} attempts of 1,000 calls");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_is_asked_then_and_one_that_says_never_is_not() {
    for (pushback, attempts, waited) in [("70", 2, ms(70)), ("-1", 1, ms(0))] {
        let world = World::default();
        let stack = world.stack(1, settings());
        let mut status = Status::unavailable("x");
        status.metadata_mut().insert("grpc-retry-pushback-ms", pushback.parse().unwrap());
        world.tell(0, Does::Fails(status));
        let began = Instant::now();
        assert_eq!(stack.call((), None).await.unwrap_err().attempts, attempts, "{pushback}");
        assert!(began.elapsed() >= waited && began.elapsed() <= waited + ms(2), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_fast_attracts_no_calls() {
    let world = World::default();
    let stack = world.stack(3, settings());
    world.tell(0, Does::Fails(Status::unimplemented("x")));
    (1..3).for_each(|endpoint| world.tell(endpoint, Does::AnswersAfter(ms(5))));
    for _ in 0..300 {
        assert!(stack.call((), None).await.is_ok());
    }
    let to_it = world.asked_endpoints().iter().filter(|endpoint| **endpoint == 0).count();
    assert!(to_it <= 12, "{to_it} of 300");
}

#[tokio::test(start_paused = true)]
async fn what_a_service_knows_better_it_says_itself() {
    fn classify(status: &Status) -> Meaning {
        let meaning = Meaning::of(status);
        if status.message() == "not yet" { meaning.not_here() } else { meaning }
    }
    let world = World::default();
    let stack = world.stack(2, CallSettings { classify, ..settings() });
    world.tell(0, Does::Fails(Status::failed_precondition("not yet")));
    for _ in 0..20 {
        assert_eq!(stack.call((), None).await.unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn without_endpoints_there_is_no_answer_and_no_wait() {
    let stack = World::default().stack(0, settings());
    let began = Instant::now();
    let error = stack.call((), None).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Refused(Refusal::NoEndpoints)));
    assert_eq!(began.elapsed(), ms(0));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_back_under_another_address_is_asked_there() {
    let world = World::default();
    let stack = world.stack(1, settings());
    assert_eq!(stack.call((), None).await.unwrap(), 0);
    stack.caller().endpoints().set(&[crate::support::address(5)]);
    assert_eq!(stack.call((), None).await.unwrap(), 5);
}
