//! Endpoints by script, and settings under which time passes only when a test says so.

pub mod numbers;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use resilience::breaker::{BreakerSettings, NEVER_PERCENT, WindowSettings};
use resilience::budget::BudgetSettings;
use resilience::deadline::DeadlineSettings;
use resilience::endpoints::Endpoints;
use resilience::outcome::Meaning;
use resilience::retry::RetrySettings;
use resilience::{Attempt, CallSettings, Caller, Random, Stack};
use tonic::Status;

/// What an endpoint does with an attempt.
#[derive(Clone, Debug)]
pub enum Does {
    Answers,
    AnswersAfter(Duration),
    Fails(Status),
    /// As tonic tells that there is no connection.
    RefusesConnections,
    Hangs,
}

/// All endpoints of a test, and what they were asked.
#[derive(Clone, Debug, Default)]
pub struct World(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    does: HashMap<SocketAddr, Does>,
    asked: Vec<Asked>,
}

/// One attempt that reached an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub endpoint: usize,
    pub timeout: Duration,
    pub previous_attempts: u32,
}

#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    world: World,
}

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The address of the endpoint of a number.
pub fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], u16::try_from(50_000 + number).unwrap()))
}

pub fn settings() -> CallSettings {
    CallSettings {
        deadline: DeadlineSettings {
            reserve: ms(50),
            reserve_fraction: 4,
            cap: ms(1_000),
            attempt: ms(300),
            floor: ms(1),
        },
        bulkhead: 10,
        retry: RetrySettings { max_attempts: 3, first_pause: ms(20), max_pause: ms(100) },
        budget: BudgetSettings { per_ten_thousand: 10_000, capacity_tokens: 100, reserve_per_second: 0 },
        hedge: None,
        classify: Meaning::of,
        weighs: true,
        judged_from: ms(100),
    }
}

pub fn breaker() -> BreakerSettings {
    BreakerSettings {
        window: WindowSettings::Count(10),
        minimum_calls: 10,
        failure_rate_percent: 50,
        slow_rate_percent: NEVER_PERCENT,
        slow: Some(ms(200)),
        half_open_calls: 1,
        open: ms(1_000),
        open_multiplier: 2.0,
        max_open: ms(4_000),
        open_jitter: 0.0,
    }
}

impl World {
    /// A stack over so many endpoints, all of which answer.
    pub fn stack(&self, endpoints: usize, settings: CallSettings) -> Stack<Client> {
        self.stack_of(endpoints, settings, |client| client)
    }

    /// The same, each client made into another.
    pub fn stack_of<C: Clone + 'static>(
        &self,
        endpoints: usize,
        settings: CallSettings,
        make: impl Fn(Client) -> C + Send + Sync + 'static,
    ) -> Stack<C> {
        self.stack_behind(breaker(), endpoints, settings, make)
    }

    /// The same, each endpoint behind such a breaker.
    pub fn stack_behind<C: Clone + 'static>(
        &self,
        breaker: BreakerSettings,
        endpoints: usize,
        settings: CallSettings,
        make: impl Fn(Client) -> C + Send + Sync + 'static,
    ) -> Stack<C> {
        let random = Random::seeded(7);
        let set = Endpoints::new(breaker, None, random.clone());
        set.set(&(0..endpoints).map(address).collect::<Vec<_>>());
        let caller = Caller::new(settings, Arc::new(set), random);
        let world = self.clone();
        let connect = move |address| make(Client { address, world: world.clone() });
        Stack::new(Arc::new(caller), Arc::new(connect))
    }

    /// What an endpoint does from now on.
    pub fn tell(&self, endpoint: usize, does: Does) {
        self.0.lock().unwrap().does.insert(address(endpoint), does);
    }

    /// What reached the endpoints so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.clone()
    }

    /// Which endpoints were asked, in order.
    pub fn asked_endpoints(&self) -> Vec<usize> {
        self.asked().iter().map(|asked| asked.endpoint).collect()
    }
}

impl<Q> tower::Service<Attempt<Q>> for Client {
    type Response = usize;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<usize, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Q>) -> Self::Future {
        let endpoint = usize::from(self.address.port()) - 50_000;
        let mut inner = self.world.0.lock().unwrap();
        let Attempt { timeout, previous_attempts, .. } = attempt;
        inner.asked.push(Asked { endpoint, timeout, previous_attempts });
        let does = inner.does.get(&self.address).cloned().unwrap_or(Does::Answers);
        Box::pin(async move {
            match does {
                Does::Answers => Ok(endpoint),
                Does::AnswersAfter(pause) => {
                    tokio::time::sleep(pause).await;
                    Ok(endpoint)
                }
                Does::Fails(status) => Err(status),
                Does::RefusesConnections => {
                    Err(Status::from_error(Box::new(tonic::ConnectError("refused".into()))))
                }
                Does::Hangs => std::future::pending().await,
            }
        })
    }
}
