//! Three Products on one database and three Deliveries on another are one Product and one Delivery: what any of them was told
//! is true of all, also when one of each is killed and replaced while they work.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use proto::delivery::v1 as wire;
use proto::product::v1::catalogue_service_client::CatalogueServiceClient;
use proto::product::v1::product_service_client::ProductServiceClient;
use proto::product::v1::{BatchCanDeliverRequest, CreateProductRequest};
use tokio::time::interval;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use wire::delivery_service_client::DeliveryServiceClient;
use wire::{AdmissionPolicy, AdmissionSource, DeliveryState};

use crate::support::catalogue::{Shop, id, open_shop, product};
use crate::support::databases::{Throwaway, on_postgres};
use crate::support::deliveries::{admission, id_of, order};
use crate::support::port::Port;
use crate::support::process::Service;
use crate::support::{clients, deliveries, eventually, eventually_within, metrics, questions, services};

on_postgres!(three_products_and_three_deliveries_share_the_work);

const PROCESSES: usize = 3;
/// The one of each that is killed.
const VICTIM: usize = 1;
const CALLERS: usize = 6;
/// From a caller's order to its next: shares no factor with the kinds of orders and the number of Deliveries, so that each
/// caller comes by all of them.
const STEP: usize = 7;
/// Deferred while every Product hangs: more than a verifier claims at a time.
const DEFERRED: usize = 240;
/// Acknowledged before a kill and after a replacement, or deferred.
const SOME: usize = 60;
/// The least time between two writes, which leaves the machine to those who order.
const PACE: Duration = Duration::from_millis(20);
/// How soon what one Product has written is to be known to all.
const PROMISED: Duration = Duration::from_secs(1);
/// So many percent of the writes must be: a busy machine may hold up a process, and then a write or two, for longer.
const KEPT_PERCENT: usize = 90;
/// What a single write may take on a busy machine.
const GENEROUS: Duration = Duration::from_secs(5);
/// A verifier that is killed holds up what it has claimed for half a minute.
const VERIFIED_WITHIN: Duration = Duration::from_secs(60);
const DIGEST: &str = "candeliver_catalogue_digest";

async fn three_products_and_three_deliveries_share_the_work(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let pages: [_; PROCESSES] = std::array::from_fn(|_| Port::reserve());
    let pages = pages.each_ref().map(|port| port.address);
    let start_product =
        async |place: usize, listen| start_product(&product_database, pages[place], listen).await;
    let products = [start_product(0, None).await, start_product(1, None).await, start_product(2, None).await];
    let addresses = products.each_ref().map(|product| product.address);
    let start_delivery = async |listen| start_delivery(&delivery_database, &addresses, listen).await;
    let deliveries = [start_delivery(None).await, start_delivery(None).await, start_delivery(None).await];
    let shop = open_shop(&products[0]).await;
    for product in &products {
        visible(&clients::channel(product), &shop.revision).await.expect("the process follows");
    }

    let work = Work::new(shop, &products, &deliveries);
    signal_all(&products, Signal::SIGSTOP);
    work.defer(DEFERRED, &[0, 1, 2]).await;
    signal_all(&products, Signal::SIGCONT);
    work.is_well().await;

    let killing = async {
        let [first, victim, third] = products;
        work.does(SOME).await;
        work.product_is_down.set(true);
        let address = victim.kill();
        work.does(SOME).await;
        let products = [first, start_product(VICTIM, Some(address)).await, third];
        work.product_is_down.set(false);

        let [first, victim, third] = deliveries;
        work.delivery_is_down.set(true);
        let of_the_killed = rounds_verified(&victim);
        let address = victim.kill();
        work.does(SOME).await;
        let deliveries = [first, start_delivery(Some(address)).await, third];
        work.delivery_is_down.set(false);
        work.does(SOME).await;
        work.is_over.set(true);
        (products, deliveries, of_the_killed)
    };
    let callers = join_all((0..CALLERS).map(|caller| work.order_as(caller)));
    let ((products, deliveries, of_the_killed), _, ()) = tokio::join!(killing, callers, work.write());

    all_is_as_acknowledged(&deliveries[VICTIM], &work).await;

    // The first to find Product again may have been quick enough to verify all. It stands still while others defer.
    let rounds = deliveries.each_ref().map(rounds_verified);
    let quickest = (0..PROCESSES).max_by_key(|place| rounds[*place]).expect("some");
    signal_all(&products, Signal::SIGSTOP);
    deliveries[quickest].signal(Signal::SIGSTOP);
    let others: Vec<_> = (0..PROCESSES).filter(|place| *place != quickest).collect();
    work.defer(SOME, &others).await;
    signal_all(&products, Signal::SIGCONT);
    all_is_as_acknowledged(&deliveries[others[0]], &work).await;
    deliveries[quickest].signal(Signal::SIGCONT);
    let rounds = deliveries.each_ref().map(rounds_verified);
    println!("rounds in which each verified: {rounds:?}, and the one that was killed: {of_the_killed}");
    let verifiers = rounds.iter().chain([&of_the_killed]).filter(|rounds| **rounds > 0).count();
    assert!(verifiers >= 2, "one verifies for all: {rounds:?}, {of_the_killed}");
    the_catalogues_are_the_same(&products, &pages).await;
}

async fn start_product(database: &Throwaway, page: SocketAddr, listen: Option<SocketAddr>) -> Service {
    services::product_with(&database.url(), listen, &["--admin-listen", &page.to_string()]).await
}

async fn start_delivery(
    database: &Throwaway,
    products: &[SocketAddr],
    listen: Option<SocketAddr>,
) -> Service {
    services::delivery_at(listen, &database.url(), products, &[]).await
}

fn signal_all(processes: &[Service], signal: Signal) {
    processes.iter().for_each(|process| process.signal(signal));
}

/// In how many rounds a Delivery has verified what was PENDING.
fn rounds_verified(delivery: &Service) -> usize {
    delivery.log().matches("\"verified\"").count()
}

/// Whether a process has come to a revision, which it is given a bounded time for.
async fn visible(product: &Channel, token: &str) -> Result<(), Status> {
    let question = BatchCanDeliverRequest { min_revision: Some(token.to_owned()), ..Default::default() };
    let mut question = Request::new(question);
    question.set_timeout(GENEROUS);
    ProductServiceClient::new(product.clone()).batch_can_deliver(question).await.map(drop)
}

/// Each PENDING delivery was verified once, and every other one is as its caller was told.
async fn all_is_as_acknowledged(delivery: &Service, work: &Work) {
    let stored = eventually_within(VERIFIED_WITHIN, "all are verified", async || {
        let stored = deliveries::all(delivery).await;
        match stored.iter().filter(|delivery| delivery.state() == DeliveryState::Pending).count() {
            0 => Ok(stored),
            pending => Err(pending),
        }
    })
    .await;
    let acknowledged = work.acknowledged.borrow();
    assert_eq!(
        stored.len(),
        acknowledged.len(),
        "nothing is lost, and nothing is there that nobody asked for"
    );
    for delivery in stored {
        let (sent, told) = acknowledged.get(&delivery.delivery_id).expect("somebody asked for it, once");
        assert_eq!((&delivery.product_id, &delivery.location_id), (&sent.product_id, &sent.location_id));
        assert_eq!(delivery.external_reference, sent.external_reference);
        let is_good = sent.location_id == work.shop.city;
        let verdict = if is_good { DeliveryState::Confirmed } else { DeliveryState::Rejected };
        assert_eq!(delivery.state(), verdict, "{delivery:?}");
        // Each change makes a version: one that was verified twice would have a third.
        let (source, version) = match told {
            DeliveryState::Pending => (AdmissionSource::Deferred, 2),
            _ => (AdmissionSource::Live, 1),
        };
        assert_eq!((admission(&delivery).source(), delivery.version), (source, version), "{delivery:?}");
    }
}

async fn the_catalogues_are_the_same(products: &[Service], pages: &[SocketAddr]) {
    let digests = eventually("all have read the same", async || {
        let mut told = Vec::new();
        for (product, page) in products.iter().zip(pages) {
            let token = questions::revision(product).await.expect("it answers");
            told.push((token, metrics::value(*page, DIGEST).await.expect("it is loaded")));
        }
        if told.iter().all(|one| *one == told[0]) { Ok(told) } else { Err(told) }
    })
    .await;
    let (token, digest) = &digests[0];
    assert_ne!(*digest, 0, "the digest of nothing");
    println!("all at revision {token} with digest {digest:012x}");
}

/// What is done at once by those who order and by who writes.
struct Work {
    shop: Shop,
    products: Vec<Channel>,
    deliveries: Vec<Channel>,
    /// What was sent and the state it was acknowledged in, by delivery id.
    acknowledged: RefCell<HashMap<String, (wire::CreateDeliveryRequest, DeliveryState)>>,
    product_is_down: Cell<bool>,
    delivery_is_down: Cell<bool>,
    is_over: Cell<bool>,
}

// === impl Work ===

impl Work {
    fn new(shop: Shop, products: &[Service], deliveries: &[Service]) -> Self {
        Self {
            shop,
            products: products.iter().map(clients::channel).collect(),
            deliveries: deliveries.iter().map(clients::channel).collect(),
            acknowledged: RefCell::default(),
            product_is_down: Cell::new(false),
            delivery_is_down: Cell::new(false),
            is_over: Cell::new(false),
        }
    }

    /// Waits until so many more deliveries are acknowledged.
    async fn does(&self, more: usize) {
        let goal = self.acknowledged.borrow().len() + more;
        eventually("deliveries are acknowledged", async || match self.acknowledged.borrow().len() {
            enough if enough >= goal => Ok(()),
            count => Err(count),
        })
        .await;
    }

    /// Milk goes to the city and not to the island.
    fn order(&self, number: usize) -> wire::CreateDeliveryRequest {
        let place = if number.is_multiple_of(3) { &self.shop.island } else { &self.shop.city };
        let policy = if number.is_multiple_of(2) { AdmissionPolicy::Defer } else { AdmissionPolicy::Strict };
        wire::CreateDeliveryRequest {
            external_reference: format!("order {number}"),
            admission_policy: policy.into(),
            ..order(&self.shop.milk, place)
        }
    }

    /// Orders so much at some Deliveries that waits for Product, while all of Product hangs.
    async fn defer(&self, count: usize, places: &[usize]) {
        join_all((0..CALLERS).map(|caller| self.defer_as(caller, count, places))).await;
    }

    async fn defer_as(&self, caller: usize, count: usize, places: &[usize]) {
        for number in (caller..count).step_by(CALLERS) {
            let sent = wire::CreateDeliveryRequest {
                admission_policy: AdmissionPolicy::Defer.into(),
                ..self.order(number)
            };
            let place = places[number / 3 % places.len()];
            let state = self.create(place, &sent).await.expect("DEFER takes it");
            assert_eq!(state, DeliveryState::Pending);
        }
    }

    /// Waits until each Delivery has found Product again.
    async fn is_well(&self) {
        for place in 0..PROCESSES {
            let sent = wire::CreateDeliveryRequest {
                admission_policy: AdmissionPolicy::Strict.into(),
                ..self.order(1)
            };
            eventually("Product is found again", async || self.create(place, &sent).await).await;
        }
    }

    /// Orders one delivery after the other, each at one Delivery after the other until one says what became of it.
    async fn order_as(&self, caller: usize) {
        for number in (caller..).step_by(STEP) {
            if self.is_over.get() {
                return;
            }
            let (sent, mut place) = (self.order(number), number / 3);
            eventually("an answer", async || {
                place += 1;
                let was_down = self.delivery_is_down.get();
                match self.create(place % PROCESSES, &sent).await {
                    Ok(_) => Ok(()),
                    Err(status) if is_denial(&status) => {
                        assert_eq!(sent.location_id, self.shop.island, "a wrong verdict");
                        Ok(())
                    }
                    Err(status) => {
                        let is_down = was_down || self.delivery_is_down.get();
                        assert!(is_down && place % PROCESSES == VICTIM, "{status:?}");
                        Err(outcome_unknown(status))
                    }
                }
            })
            .await;
        }
    }

    async fn create(
        &self,
        place: usize,
        sent: &wire::CreateDeliveryRequest,
    ) -> Result<DeliveryState, Status> {
        let mut client = DeliveryServiceClient::new(self.deliveries[place].clone());
        let created = client.create_delivery(sent.clone()).await?.into_inner().delivery;
        let state = created.expect("always present").state();
        self.acknowledged.borrow_mut().insert(id_of(sent), (sent.clone(), state));
        Ok(state)
    }

    /// Writes through one Product after the other. What one has written, all that live know in time.
    async fn write(&self) {
        let (mut number, mut seen_after) = (0, Vec::new());
        let mut pace = interval(PACE);
        while !self.is_over.get() {
            pace.tick().await;
            number += 1;
            let writer = number % PROCESSES;
            let was_down = self.product_is_down.get();
            let mut client = CatalogueServiceClient::new(self.products[writer].clone());
            let product = Some(product(&id(), &format!("product {number}"), &[]));
            let written = client.create_product(CreateProductRequest { product }).await;
            let token = match written {
                Ok(created) => created.into_inner().revision,
                Err(status) => {
                    self.is_of_the_killed(writer, was_down, status);
                    continue;
                }
            };
            let seen = join_all((0..PROCESSES).map(|reader| self.see(reader, &token))).await;
            seen_after.extend(seen.into_iter().max());
        }
        seen_after.sort();
        let median = seen_after[seen_after.len() / 2];
        let kept = seen_after[seen_after.len() * KEPT_PERCENT / 100];
        let slowest = seen_after.last();
        println!(
            "{number} writes; seen by every Product after {median:?}, {KEPT_PERCENT} % after {kept:?}, the slowest \
             after {slowest:?}"
        );
        assert!(kept < PROMISED, "{KEPT_PERCENT} % of the writes were seen after {kept:?} at most");
    }

    /// How long it takes until a Product has come to a revision; nothing for one that is down.
    async fn see(&self, reader: usize, token: &str) -> Duration {
        let (started, was_down) = (Instant::now(), self.product_is_down.get());
        match visible(&self.products[reader], token).await {
            Ok(()) => started.elapsed(),
            Err(status) => {
                self.is_of_the_killed(reader, was_down, status);
                Duration::ZERO
            }
        }
    }

    fn is_of_the_killed(&self, place: usize, was_down: bool, status: Status) {
        assert!(place == VICTIM && (was_down || self.product_is_down.get()), "{status:?}");
        outcome_unknown(status);
    }
}

fn is_denial(status: &Status) -> bool {
    let has_reason = status.get_details_error_info().is_some_and(|info| info.reason == "NOT_DELIVERABLE");
    status.code() == Code::FailedPrecondition && has_reason
}

/// The only errors that a killed server may leave behind.
fn outcome_unknown(status: Status) -> Status {
    let codes = [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown, Code::Cancelled];
    assert!(codes.contains(&status.code()), "{status:?}");
    status
}
