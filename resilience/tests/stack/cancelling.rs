//! A call that is dropped, wherever it waits, leaves nothing behind.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use resilience::CallSettings;
use resilience::breaker::State;
use resilience::hedge::HedgeSettings;
use tonic::Status;

use crate::support::{Does, World, ms, settings};

/// Ways in which endpoints make a call wait.
fn scripts() -> Vec<[Does; 2]> {
    vec![
        [Does::Hangs, Does::Hangs],
        [Does::Fails(Status::unavailable("x")), Does::Fails(Status::unavailable("x"))],
        [Does::RefusesConnections, Does::Hangs],
        [Does::AnswersAfter(ms(50)), Does::Fails(Status::unavailable("x"))],
        [Does::AnswersAfter(ms(250)), Does::AnswersAfter(ms(290))],
    ]
}

/// Polls a call `polls` times, 10 ms apart, and drops it; false when it ended before.
async fn dropped_after<A>(call: impl Future<Output = A>, polls: usize) -> bool {
    let mut call = pin!(call);
    for _ in 0..polls {
        if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return false;
        }
        tokio::time::advance(ms(10)).await;
    }
    true
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_poll_gives_back_all_that_it_held() {
    let hedged = Some(HedgeSettings { quantile: 0.5, min_wait: ms(1) });
    for hedge in [None, hedged] {
        for script in scripts() {
            for polls in 0..120 {
                let world = World::default();
                let stack = world.stack(2, CallSettings { hedge, ..settings() });
                if hedge.is_some() {
                    for _ in 0..100 {
                        stack.call((), None).await.unwrap();
                    }
                }
                for (endpoint, does) in script.iter().enumerate() {
                    world.tell(endpoint, does.clone());
                }
                dropped_after(stack.call((), None), polls).await;
                assert_eq!(stack.caller().in_flight(), 0, "{script:?} after {polls}");
                for endpoint in stack.caller().endpoints().current().iter() {
                    assert_eq!(endpoint.load.in_flight(), 0, "{script:?} after {polls}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_dropped_at_any_poll_leaves_the_breaker_ready_for_the_next() {
    for polls in 0..40 {
        let world = World::default();
        let stack = world.stack(1, settings());
        world.tell(0, Does::Fails(Status::unavailable("x")));
        let endpoint = std::sync::Arc::clone(&stack.caller().endpoints().current()[0]);
        while endpoint.breaker.state() == State::Closed {
            let _ = stack.call((), None).await;
        }
        tokio::time::advance(ms(1_001)).await;
        world.tell(0, Does::Hangs);
        let pending = dropped_after(stack.call((), None), polls).await;
        world.tell(0, Does::Answers);
        if endpoint.breaker.state() == State::Open {
            tokio::time::advance(ms(5_001)).await;
        }
        assert!(stack.call((), None).await.is_ok(), "after {polls}, pending: {pending}");
        assert_eq!(endpoint.breaker.state(), State::Closed);
    }
}
