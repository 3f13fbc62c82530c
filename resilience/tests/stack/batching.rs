//! Calls that go together.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use resilience::batch::{Answers, BatchSettings, Batching};
use resilience::breaker::{CallEnd, State};
use resilience::budget::BudgetSettings;
use resilience::hedge::HedgeSettings;
use resilience::outcome::Kind;
use resilience::{Attempt, CallSettings, Cause, Stack};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::support::{Client, Does, World, address, ms, settings};

/// The number that makes everything fail that it goes with.
const POISON: u32 = 1_000;
/// The number that is not answered though the others are.
const SENSELESS: u32 = 1_001;
const BATCH: BatchSettings = BatchSettings { max_calls: 4, patience: ms(5) };

/// Asks about numbers, one or several.
#[derive(Clone)]
struct Numbers {
    client: Client,
    sent: Sent,
}

/// What was sent, attempt by attempt.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<Vec<u32>>>>);

type Answering<A> = Pin<Box<dyn Future<Output = Result<A, Status>> + Send>>;
type Batched = Batching<Numbers, u32, usize>;

impl tower::Service<Attempt<u32>> for Numbers {
    type Response = usize;
    type Error = Status;
    type Future = Answering<usize>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<u32>) -> Self::Future {
        let number = attempt.message;
        self.sent.0.lock().unwrap().push(vec![number]);
        let answering = self.client.call(attempt);
        Box::pin(async move {
            let endpoint = answering.await?;
            if number == POISON { Err(Status::internal("poisoned")) } else { Ok(endpoint) }
        })
    }
}

impl tower::Service<Attempt<Vec<u32>>> for Numbers {
    type Response = Answers<usize>;
    type Error = Status;
    type Future = Answering<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Vec<u32>>) -> Self::Future {
        let numbers = attempt.message.clone();
        self.sent.0.lock().unwrap().push(numbers.clone());
        let answering = self.client.call(attempt);
        Box::pin(async move {
            let endpoint = answering.await?;
            if numbers.contains(&POISON) {
                return Err(Status::internal("poisoned"));
            }
            let answer = |number| {
                if number == SENSELESS { Err(Status::data_loss("senseless")) } else { Ok(endpoint) }
            };
            Ok(numbers.into_iter().map(answer).collect())
        })
    }
}

fn batching(world: &World, endpoints: usize, settings: CallSettings) -> (Batched, Stack<Numbers>, Sent) {
    let sent = Sent::default();
    let of_clients = sent.clone();
    let make = move |client| Numbers { client, sent: of_clients.clone() };
    let stack = world.stack_of(endpoints, settings, make);
    (Batching::new::<Vec<u32>>(stack.clone(), BATCH), stack, sent)
}

/// Calls in a task of its own, and lets it come as far as it comes by itself.
async fn begin(
    batching: &Batched,
    number: u32,
    within_ms: u64,
) -> JoinHandle<Result<usize, resilience::CallError>> {
    let batching = batching.clone();
    let until = Instant::now() + ms(within_ms);
    let call = tokio::spawn(async move { batching.call(number, Some(until)).await });
    tokio::task::yield_now().await;
    call
}

fn attempts(stack: &Stack<Numbers>, kind: Kind) -> u64 {
    stack.caller().endpoints().current().iter().map(|endpoint| endpoint.attempts(kind)).sum()
}

// === impl Sent ===

impl Sent {
    fn all(&self) -> Vec<Vec<u32>> {
        self.0.lock().unwrap().clone()
    }
}

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
async fn a_call_that_makes_its_batch_fail_harms_no_other_even_if_the_budget_is_spent() {
    let world = World::default();
    let budget = BudgetSettings { per_ten_thousand: 0, capacity_tokens: 0, ..settings().budget };
    let (batching, _, sent) = batching(&world, 1, CallSettings { budget, ..settings() });
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
                assert!(matches!(&error.cause, Cause::Failed(status) if status.code() == Code::Internal));
                assert_eq!(error.attempts, 2, "once with the others, once by itself");
            }
        }
    }
    assert_eq!(sent.all()[..2], [vec![0], vec![1, POISON, 2]]);
    assert!(sent.all()[2..].iter().all(|sent| sent.len() == 1), "{:?}", sent.all());
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
    let budget = BudgetSettings { per_ten_thousand: 0, capacity_tokens: 0, ..settings().budget };
    let (batching, stack, _) = batching(&world, 1, CallSettings { budget, ..settings() });
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
    assert!(matches!(error.cause, Cause::Refused(resilience::Refusal::AllOpen)), "{error:?}");
    assert_eq!((error.attempts, sent.all().len()), (0, 1));
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
