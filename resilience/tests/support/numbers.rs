//! A client that asks about numbers, one or several, and what of it goes together.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use resilience::batch::{Answers, BatchSettings, Batching};
use resilience::breaker::BreakerSettings;
use resilience::outcome::Kind;
use resilience::{Attempt, CallSettings, Stack};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Status;

use super::{Client, World, breaker, ms};

/// The number that makes everything fail that it goes with.
pub const POISON: u32 = 1_000;
/// The number that is not answered though the others are.
pub const SENSELESS: u32 = 1_001;
pub const BATCH: BatchSettings = BatchSettings { max_calls: 4, patience: ms(5) };

/// Asks about numbers, one or several.
#[derive(Clone)]
pub struct Numbers {
    client: Client,
    sent: Sent,
}

/// What was sent, attempt by attempt.
#[derive(Clone, Default)]
pub struct Sent(Arc<Mutex<Vec<Vec<u32>>>>);

type Answering<A> = Pin<Box<dyn Future<Output = Result<A, Status>> + Send>>;
pub type Batched = Batching<Numbers, u32, usize>;

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

pub fn batching(world: &World, endpoints: usize, settings: CallSettings) -> (Batched, Stack<Numbers>, Sent) {
    batching_behind(breaker(), world, endpoints, settings, BATCH)
}

/// The same, each endpoint behind such a breaker, and in such batches.
pub fn batching_behind(
    breaker: BreakerSettings,
    world: &World,
    endpoints: usize,
    settings: CallSettings,
    batch: BatchSettings,
) -> (Batched, Stack<Numbers>, Sent) {
    let sent = Sent::default();
    let of_clients = sent.clone();
    let make = move |client| Numbers { client, sent: of_clients.clone() };
    let stack = world.stack_behind(breaker, endpoints, settings, make);
    (Batching::new::<Vec<u32>>(stack.clone(), batch), stack, sent)
}

/// Calls in a task of its own, and lets it come as far as it comes by itself.
pub async fn begin(
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

pub fn attempts(stack: &Stack<Numbers>, kind: Kind) -> u64 {
    stack.caller().endpoints().current().iter().map(|endpoint| endpoint.attempts(kind)).sum()
}

// === impl Sent ===

impl Sent {
    pub fn all(&self) -> Vec<Vec<u32>> {
        self.0.lock().unwrap().clone()
    }
}
