//! Callers who create deliveries, some at a time, each with a deadline that it leaves to Delivery to keep.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue};
use prost::Message;
use proto::delivery::v1::CreateDeliveryRequest;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tonic::{Code, Status};

use super::catalogue::Shop;
use super::deliveries;
use super::process::Service;
use super::raw::{Raw, framed};

/// Callers at a time, each on connections of its own: enough to be several on each of Delivery's runtimes.
const A_FEW: usize = 4;
/// As many as keep two cores busy.
const A_CROWD: usize = 24;
/// The least time between two creates of one caller. Refusals take no time, and a flood of them would be all that two
/// cores have time for.
const PACE: Duration = Duration::from_millis(10);
/// What each caller gives Delivery: more than Product is ever waited for.
const DEADLINE: Duration = Duration::from_secs(3);
/// How much later than its deadline an answer may come to a caller, on a busy machine.
const LATE: Duration = Duration::from_secs(1);

const CREATE: &str = "/candeliver.delivery.v1.DeliveryService/CreateDelivery";

/// See the module. All that they order can be delivered.
pub struct Callers {
    callers: Vec<Caller>,
    product_id: String,
    location_id: String,
}

/// One at a time, at each Delivery in turn that it knows to be ready.
struct Caller {
    ready: watch::Receiver<Vec<SocketAddr>>,
    turn: Cell<usize>,
    connections: RefCell<HashMap<SocketAddr, Raw>>,
}

/// A create that was answered, in time.
#[derive(Debug)]
pub struct Answered {
    pub order: CreateDeliveryRequest,
    pub status: Status,
}

// === impl Callers ===

impl Callers {
    /// Some callers.
    pub async fn of(delivery: &Service, shop: &Shop) -> Self {
        Self::connect(A_FEW, only(delivery), shop).await
    }

    /// As many as keep everybody busy.
    pub async fn crowd_of(delivery: &Service, shop: &Shop) -> Self {
        Self::connect(A_CROWD, only(delivery), shop).await
    }

    /// As many, of whichever Deliveries are ready. They make no call twice.
    pub async fn crowd_of_ready(ready: watch::Receiver<Vec<SocketAddr>>, shop: &Shop) -> Self {
        Self::connect(A_CROWD, ready, shop).await
    }

    async fn connect(callers: usize, ready: watch::Receiver<Vec<SocketAddr>>, shop: &Shop) -> Self {
        let callers: Vec<_> = (0..callers)
            .map(|turn| Caller {
                ready: ready.clone(),
                turn: Cell::new(turn),
                connections: RefCell::default(),
            })
            .collect();
        join_all(callers.iter().map(Caller::connection)).await;
        Self { callers, product_id: shop.milk.clone(), location_id: shop.city.clone() }
    }

    /// Creates so many deliveries.
    pub async fn create(&self, count: usize) -> Vec<Answered> {
        let left = Cell::new(count);
        self.create_as_long_as(|| left.replace(left.get().saturating_sub(1)) > 0).await
    }

    /// Creates deliveries until something else is done.
    pub async fn create_during<T>(&self, other: impl Future<Output = T>) -> (T, Vec<Answered>) {
        let is_over = Cell::new(false);
        let other = async {
            let done = other.await;
            is_over.set(true);
            done
        };
        tokio::join!(other, self.create_as_long_as(|| !is_over.get()))
    }

    async fn create_as_long_as(&self, more: impl Fn() -> bool) -> Vec<Answered> {
        let callers = self.callers.iter().map(async |caller| {
            let mut pace = interval(PACE);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut answered = Vec::new();
            while more() {
                pace.tick().await;
                answered.push(self.create_one(&caller.connection().await).await);
            }
            answered
        });
        join_all(callers).await.into_iter().flatten().collect()
    }

    async fn create_one(&self, connection: &Raw) -> Answered {
        let order = deliveries::order(&self.product_id, &self.location_id);
        let timeout =
            HeaderValue::from_str(&format!("{}m", DEADLINE.as_millis())).expect("digits and a letter");
        let headers = [(HeaderName::from_static("grpc-timeout"), timeout)];
        let message = Bytes::from(framed(&order.encode_to_vec()));
        let asked = Instant::now();
        let answer = connection.call(CREATE, &headers, message, false).await;
        let (took, answer) = (asked.elapsed(), answer.expect("Delivery keeps its connections"));
        assert!(
            took < DEADLINE + LATE,
            "no answer outlives its deadline: {:?} after {took:?}",
            answer.status
        );
        Answered { order, status: answer.status }
    }
}

// === impl Caller ===

impl Caller {
    /// To whose turn it is. Those to whoever is not ready any more are let go.
    async fn connection(&self) -> Raw {
        let turn = self.turn.replace(self.turn.get() + 1);
        let address = {
            let ready = self.ready.borrow();
            self.connections.borrow_mut().retain(|address, _| ready.contains(address));
            ready[turn % ready.len()]
        };
        let open = self.connections.borrow().get(&address).cloned();
        if let Some(open) = open {
            return open;
        }
        let opened = Raw::connect(address).await;
        self.connections.borrow_mut().insert(address, opened.clone());
        opened
    }
}

fn only(delivery: &Service) -> watch::Receiver<Vec<SocketAddr>> {
    watch::channel(vec![delivery.address]).1
}

// === impl Answered ===

impl Answered {
    /// Whether the delivery was created.
    pub fn is_ok(&self) -> bool {
        self.status.code() == Code::Ok
    }
}

/// All of them were created.
#[track_caller]
pub fn assert_all_ok(answered: &[Answered]) {
    let failed: Vec<_> = answered.iter().filter(|answered| !answered.is_ok()).collect();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), answered.len());
}
