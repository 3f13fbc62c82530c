//! Calls that go together.

use std::sync::Arc;

use resilience::hedge::HedgeSettings;
use resilience::outcome::Kind;
use resilience::{CallSettings, Cause};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Status;

use crate::support::numbers::{attempts, batching, begin};
use crate::support::{Does, World, ms, settings};

#[tokio::test(start_paused = true)]
async fn a_call_with_none_before_it_goes_at_once_and_by_itself() {
    let world = World::default();
    let (batching, _, sent) = batching(&world, 1, settings());
    world.tell(0, Does::AnswersAfter(ms(2)));
    let began = Instant::now();
    for number in 0..3 {
        assert_eq!(batching.call(number, None).await.unwrap(), 0);
    }
    assert_eq!(sent.all(), [[0], [1], [2]]);
    assert_eq!(began.elapsed(), ms(6));
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_while_one_is_in_flight_go_together_in_the_next() {
    let world = World::default();
    let (batching, stack, sent) = batching(&world, 1, settings());
    world.tell(0, Does::AnswersAfter(ms(2)));
    let began = Instant::now();
    let mut calls = Vec::new();
    for number in 0..4 {
        calls.push(begin(&batching, number, 1_000).await);
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), 0);
    }
    assert_eq!(sent.all(), [vec![0], vec![1, 2, 3]]);
    assert_eq!(began.elapsed(), ms(4));
    let totals = stack.caller().totals();
    assert_eq!((totals.calls, totals.batches, totals.batched), (4, 1, 3));
    assert_eq!(attempts(&stack, Kind::Ok), 2, "a batch is one attempt");
}

#[tokio::test(start_paused = true)]
async fn no_batch_has_more_calls_than_it_may() {
    let world = World::default();
    let (batching, _, sent) = batching(&world, 1, settings());
    world.tell(0, Does::AnswersAfter(ms(2)));
    let mut calls = Vec::new();
    for number in 0..7 {
        calls.push(begin(&batching, number, 1_000).await);
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(sent.all(), [vec![0], vec![1, 2, 3, 4], vec![5, 6]]);
}

#[tokio::test(start_paused = true)]
async fn a_whole_batch_waits_for_nobody() {
    let world = World::default();
    let (batching, _, sent) = batching(&world, 1, settings());
    world.tell(0, Does::Hangs);
    let first = begin(&batching, 0, 1_000).await;
    world.tell(0, Does::Answers);
    let began = Instant::now();
    let mut behind = Vec::new();
    for number in 1..=4 {
        behind.push(begin(&batching, number, 1_000).await);
    }
    for call in behind {
        call.await.unwrap().unwrap();
    }
    assert_eq!(began.elapsed(), ms(0));
    assert_eq!(sent.all(), [vec![0], vec![1, 2, 3, 4]]);
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_holds_up_those_behind_it_for_as_long_as_patience_lasts() {
    let world = World::default();
    let (batching, _, sent) = batching(&world, 1, settings());
    world.tell(0, Does::Hangs);
    let hanging = begin(&batching, 0, 500).await;
    world.tell(0, Does::Answers);
    let began = Instant::now();
    let behind = [begin(&batching, 1, 500).await, begin(&batching, 2, 500).await];
    for call in behind {
        call.await.unwrap().unwrap();
    }
    assert!(began.elapsed() >= ms(4) && began.elapsed() <= ms(6), "{:?}", began.elapsed());
    assert_eq!(sent.all(), [vec![0], vec![1, 2]]);
    batching.call(3, None).await.unwrap();
    assert_eq!(sent.all()[2], [3], "with nobody in the line the next one goes at once");
    assert!(matches!(hanging.await.unwrap().unwrap_err().cause, Cause::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn a_calls_deadline_ends_that_call_and_says_nothing_of_the_endpoint() {
    let world = World::default();
    let (batching, stack, _) = batching(&world, 1, settings());
    world.tell(0, Does::AnswersAfter(ms(150)));
    let first = begin(&batching, 0, 1_000).await;
    let began = Instant::now();
    let hurried = begin(&batching, 1, 40).await;
    let patient = begin(&batching, 2, 1_000).await;
    let error = hurried.await.unwrap().unwrap_err();
    assert!(matches!(error.cause, Cause::TimedOut), "{error:?}");
    assert_eq!(began.elapsed(), ms(30), "less what is kept for later");
    patient.await.unwrap().unwrap();
    first.await.unwrap().unwrap();
    let both = world.asked();
    assert!(both[1].timeout > ms(290), "a batch has the time of the call which has the most: {both:?}");
    assert_eq!((attempts(&stack, Kind::Ok), attempts(&stack, Kind::TimedOut)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gives_up_in_the_line_is_not_sent() {
    let world = World::default();
    let (batching, stack, sent) = batching(&world, 1, settings());
    world.tell(0, Does::AnswersAfter(ms(2)));
    let first = begin(&batching, 0, 1_000).await;
    let gives_up = begin(&batching, 1, 1_000).await;
    let stays = begin(&batching, 2, 1_000).await;
    gives_up.abort();
    assert!(gives_up.await.unwrap_err().is_cancelled());
    assert!(first.await.unwrap().is_ok() && stays.await.unwrap().is_ok());
    assert_eq!(sent.all(), [[0], [2]]);
    assert_eq!(stack.caller().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn those_behind_a_call_that_gives_up_go_at_once() {
    let world = World::default();
    let (batching, _, sent) = batching(&world, 1, settings());
    world.tell(0, Does::Hangs);
    let first = begin(&batching, 0, 1_000).await;
    let behind = begin(&batching, 1, 1_000).await;
    world.tell(0, Does::Answers);
    let began = Instant::now();
    first.abort();
    behind.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), ms(0));
    assert_eq!(sent.all(), [[0], [1]]);
}

#[tokio::test(start_paused = true)]
async fn those_of_a_batch_are_answered_though_the_one_that_began_it_gives_up() {
    let world = World::default();
    let (batching, _, sent) = batching(&world, 1, settings());
    world.tell(0, Does::AnswersAfter(ms(4)));
    let first = begin(&batching, 0, 1_000).await;
    let together = [begin(&batching, 1, 1_000).await, begin(&batching, 2, 1_000).await];
    first.await.unwrap().unwrap();
    tokio::task::yield_now().await;
    assert_eq!(sent.all().len(), 2, "the batch is in flight");
    let [gives_up, stays] = together;
    gives_up.abort();
    stays.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_nobody_waits_for_any_more_is_cancelled() {
    let world = World::default();
    let (batching, stack, _) = batching(&world, 1, settings());
    world.tell(0, Does::AnswersAfter(ms(2)));
    let first = begin(&batching, 0, 1_000).await;
    let together = [begin(&batching, 1, 1_000).await, begin(&batching, 2, 1_000).await];
    world.tell(0, Does::Hangs);
    first.await.unwrap().unwrap();
    tokio::task::yield_now().await;
    together.iter().for_each(JoinHandle::abort);
    tokio::time::sleep(ms(1)).await;
    assert_eq!((attempts(&stack, Kind::Cancelled), attempts(&stack, Kind::TimedOut)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_long_in_the_line_is_hedged_elsewhere() {
    let world = World::default();
    let hedge = Some(HedgeSettings { quantile: 0.5, min_wait: ms(1) });
    let (batching, stack, _) = batching(&world, 2, CallSettings { hedge, ..settings() });
    (0..2).for_each(|endpoint| world.tell(endpoint, Does::AnswersAfter(ms(1))));
    for number in 0..200 {
        batching.call(number, None).await.unwrap();
    }
    world.tell(0, Does::Hangs);
    let mut calls = Vec::new();
    for number in 0..3 {
        calls.push(begin(&batching, number, 1_000).await);
    }
    let began = Instant::now();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), 1);
    }
    assert!(began.elapsed() <= ms(20), "{:?}", began.elapsed());
    assert!(stack.caller().totals().hedges > 0);
    tokio::time::sleep(ms(1_500)).await;
    for endpoint in stack.caller().endpoints().current().iter() {
        assert_eq!(endpoint.load.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_dropped_at_any_poll_leave_nothing_behind() {
    let scripts = [
        Does::Hangs,
        Does::AnswersAfter(ms(3)),
        Does::AnswersAfter(ms(30)),
        Does::Fails(Status::unavailable("x")),
        Does::RefusesConnections,
    ];
    for does in scripts {
        for steps in 0..40 {
            let world = World::default();
            let (batching, stack, _) = batching(&world, 1, settings());
            world.tell(0, does.clone());
            let mut calls = Vec::new();
            for number in 0..6 {
                calls.push(begin(&batching, number, 1_000).await);
            }
            for _ in 0..steps {
                tokio::time::advance(ms(1)).await;
            }
            calls.iter().for_each(JoinHandle::abort);
            for call in calls {
                drop(call.await);
            }
            // What is sent for others ends at its own deadline.
            tokio::time::sleep(ms(1_500)).await;
            assert_eq!(stack.caller().in_flight(), 0, "{does:?} after {steps}");
            let endpoint = Arc::clone(&stack.caller().endpoints().current()[0]);
            assert_eq!(endpoint.load.in_flight(), 0, "{does:?} after {steps}");
            world.tell(0, Does::Answers);
            tokio::time::sleep(ms(5_000)).await;
            batching.call(9, None).await.unwrap();
        }
    }
}
