//! What the layers cost: the breaker alone, and the whole stack over a service that is ready at once.
//!
//! Prints allocations a call too, which Criterion does not count.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench's names are its documentation")]

use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bench::{BREAKER, call_settings};
use criterion::{Criterion, criterion_group, criterion_main};
use resilience::breaker::{Breaker, CallEnd};
use resilience::endpoints::Endpoints;
use resilience::{Attempt, Caller, Random, Stack};
use tokio::time::Instant;
use tonic::Status;

/// Answers at once.
#[derive(Clone)]
struct AtOnce;

impl tower::Service<Attempt<u64>> for AtOnce {
    type Response = u64;
    type Error = Status;
    type Future = Ready<Result<u64, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<u64>) -> Self::Future {
        ready(Ok(attempt.message))
    }
}

fn stack(endpoints: u16) -> Stack<AtOnce> {
    let random = Random::seeded(1);
    let set = Endpoints::new(BREAKER, None, random.clone());
    set.set(&(0..endpoints).map(|port| ([127, 0, 0, 1], 50_000 + port).into()).collect::<Vec<_>>());
    Stack::new(Arc::new(Caller::new(call_settings(None), Arc::new(set), random)), Arc::new(|_| AtOnce))
}

/// Polls a future that is ready at once.
fn now_or_never<A>(future: impl Future<Output = A>) -> A {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it is ready at once"),
    }
}

fn breaker(criterion: &mut Criterion) {
    let breaker = || Breaker::new(BREAKER, Random::seeded(1), Instant::now(), Box::new(|_| {}));
    let closed = breaker();
    criterion.bench_function("breaker, closed: decision and record, two clock reads", |bench| {
        bench.iter(|| {
            let begun = Instant::now();
            let permit = closed.acquire(begun).unwrap();
            let ended = Instant::now();
            permit.finish(CallEnd::Success, ended - begun, ended);
        });
    });
    let open = breaker();
    for _ in 0..10 {
        let now = Instant::now();
        open.acquire(now).unwrap().finish(CallEnd::Failure, Duration::ZERO, now);
    }
    let moment = Instant::now();
    criterion.bench_function("breaker, open: refusal", |bench| {
        bench.iter(|| black_box(open.acquire(moment).is_err()));
    });
}

fn whole(criterion: &mut Criterion) {
    for endpoints in [1, 3] {
        let stack = stack(endpoints);
        let deadline = Some(Instant::now() + Duration::from_secs(86_400));
        let call = || now_or_never(stack.call(black_box(7_u64), deadline)).unwrap();
        call();
        let made = allocation_counter::measure(|| (0..1_000).for_each(|_| assert_eq!(call(), 7)));
        println!("stack, {endpoints} endpoints: {} allocations in 1,000 calls", made.count_total);
        criterion.bench_function(&format!("stack, {endpoints} endpoints, ready at once"), |bench| {
            bench.iter(call);
        });
    }
}

criterion_group!(benches, breaker, whole);
criterion_main!(benches);
