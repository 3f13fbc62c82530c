//! Two attempts side by side.

use resilience::CallSettings;
use resilience::hedge::HedgeSettings;
use tokio::time::Instant;
use tonic::Status;

use crate::support::{Client, Does, World, ms, settings};

/// A stack that has seen enough fast answers to hedge.
async fn warmed_up(world: &World) -> resilience::Stack<Client> {
    let hedge = Some(HedgeSettings { quantile: 0.95, min_wait: ms(10) });
    let stack = world.stack(2, CallSettings { hedge, ..settings() });
    (0..2).for_each(|endpoint| world.tell(endpoint, Does::AnswersAfter(ms(2))));
    for _ in 0..200 {
        stack.call((), None).await.unwrap();
    }
    stack
}

#[tokio::test(start_paused = true)]
async fn a_slow_attempt_is_overtaken_by_one_elsewhere_and_cancelled() {
    let world = World::default();
    let stack = warmed_up(&world).await;
    world.tell(0, Does::Hangs);
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(stack.call((), None).await.unwrap(), 1);
        assert!(began.elapsed() <= ms(15), "{:?}", began.elapsed());
    }
    for endpoint in stack.caller().endpoints().current().iter() {
        assert_eq!(endpoint.load.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_does_not_win_while_the_other_attempt_lives() {
    let world = World::default();
    let stack = warmed_up(&world).await;
    world.tell(0, Does::AnswersAfter(ms(50)));
    world.tell(1, Does::AnswersAfter(ms(50)));
    let before = world.asked().len();
    let calling = stack.call((), None);
    let failing = async {
        tokio::time::sleep(ms(5)).await;
        // Whichever was asked first is to answer; the second one fails.
        let first = world.asked_endpoints()[before];
        world.tell(1 - first, Does::Fails(Status::unavailable("x")));
        first
    };
    let (answer, first) = tokio::join!(calling, failing);
    assert_eq!(answer.unwrap(), first);
    assert_eq!(world.asked().len(), before + 2);
}

#[tokio::test(start_paused = true)]
async fn fast_attempts_are_not_hedged() {
    let world = World::default();
    warmed_up(&world).await;
    assert_eq!(world.asked().len(), 200);
}
