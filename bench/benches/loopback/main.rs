//! What the layers cost on a real call over loopback, in pairs of rounds that alternate with the bare generated client; and
//! what hedging brings where one answer in a hundred is slow.
//!
//! `cargo bench -p bench --bench loopback`. Takes a minute.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench that can't go on says where")]

mod server;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bench::{BREAKER, call_settings};
use proto::product::v1 as wire;
use proto::product::v1::product_service_client::ProductServiceClient;
use resilience::endpoints::Endpoints;
use resilience::hedge::HedgeSettings;
use resilience::{Attempt, Caller, Random, Stack};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

const ROUNDS: usize = 20;
const CALLS_A_ROUND: usize = 2_000;
const HEDGED_CALLS: usize = 20_000;
const HEDGED_AT_ONCE: usize = 8;

#[derive(Clone)]
struct Client(ProductServiceClient<Channel>);

impl tower::Service<Attempt<()>> for Client {
    type Response = wire::CanDeliverResponse;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<()>) -> Self::Future {
        let mut client = self.0.clone();
        let request = attempt.into_request(|()| question());
        Box::pin(async move { Ok(client.can_deliver(request).await?.into_inner()) })
    }
}

fn question() -> wire::CanDeliverRequest {
    wire::CanDeliverRequest {
        product_id: "0190b0a0-0000-7000-8000-00000000000a".to_owned(),
        location_id: "0190b0a0-0000-7000-8000-00000000000b".to_owned(),
        ..Default::default()
    }
}

fn connect(address: SocketAddr) -> ProductServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    ProductServiceClient::new(endpoint.tcp_nodelay(true).connect_lazy())
}

fn stack(addresses: &[SocketAddr], hedge: Option<HedgeSettings>) -> Stack<Client> {
    let random = Random::seeded(1);
    let endpoints = Endpoints::new(BREAKER, None, random.clone());
    endpoints.set(addresses);
    let caller = Caller::new(call_settings(hedge), Arc::new(endpoints), random);
    Stack::new(Arc::new(caller), Arc::new(|address| Client(connect(address))))
}

fn quantile(took: &mut [Duration], quantile: f64) -> Duration {
    took.sort_unstable();
    took[((took.len() as f64 * quantile) as usize).min(took.len() - 1)]
}

async fn round<F: Future<Output = ()>>(call: impl Fn() -> F) -> Duration {
    let mut took = Vec::with_capacity(CALLS_A_ROUND);
    for _ in 0..CALLS_A_ROUND {
        let begun = Instant::now();
        call().await;
        took.push(begun.elapsed());
    }
    quantile(&mut took, 0.5)
}

async fn overhead() {
    let address = server::start(server::Answers::AtOnce);
    let (bare, stack) = (connect(address), stack(&[address], None));
    let bare_call = || async {
        let mut client = bare.clone();
        client.can_deliver(question()).await.unwrap();
    };
    let stack_call = || async {
        stack.call((), None).await.unwrap();
    };
    let mut ratios = Vec::new();
    let (mut bare_p50s, mut stack_p50s) = (Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        // Whoever comes second finds a warmer machine: they take turns.
        let (bare_p50, stack_p50) = if number % 2 == 0 {
            let bare_p50 = round(bare_call).await;
            (bare_p50, round(stack_call).await)
        } else {
            let stack_p50 = round(stack_call).await;
            (round(bare_call).await, stack_p50)
        };
        ratios.push(stack_p50.as_secs_f64() / bare_p50.as_secs_f64());
        bare_p50s.push(bare_p50);
        stack_p50s.push(stack_p50);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    println!(
        "loopback, one in flight, {ROUNDS} paired rounds: p50 bare {:?}, through the stack {:?}; median ratio {:.3}",
        quantile(&mut bare_p50s, 0.5),
        quantile(&mut stack_p50s, 0.5),
        ratios[ROUNDS / 2],
    );
}

async fn hedging() {
    let addresses = [(); 3].map(|()| server::start(server::Answers::SeldomSlowly));
    for (name, hedge) in [
        ("without hedging", None),
        ("with hedging", Some(HedgeSettings { quantile: 0.97, min_wait: Duration::from_millis(1) })),
    ] {
        let stack = stack(&addresses, hedge);
        let workers: Vec<_> = (0..HEDGED_AT_ONCE)
            .map(|_| {
                let stack = stack.clone();
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    for _ in 0..HEDGED_CALLS / HEDGED_AT_ONCE {
                        let begun = Instant::now();
                        stack.call((), None).await.unwrap();
                        took.push(begun.elapsed());
                    }
                    took
                })
            })
            .collect();
        let mut took = Vec::new();
        for worker in workers {
            took.extend(worker.await.unwrap());
        }
        let totals = stack.caller().totals();
        println!(
            "{name}: p50 {:?}, p99 {:?}, p99.9 {:?}; further attempts {:.2} % ({} hedges, {} won)",
            quantile(&mut took, 0.5),
            quantile(&mut took, 0.99),
            quantile(&mut took, 0.999),
            (totals.retries + totals.hedges) as f64 * 100.0 / totals.calls as f64,
            totals.hedges,
            totals.hedges_won,
        );
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(overhead());
    runtime.block_on(hedging());
}
