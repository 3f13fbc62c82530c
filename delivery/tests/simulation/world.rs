//! One simulated run, and what must be true of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::connections::{ConnectionLimits, serve_connections};
use chassis::deadline::Deadline;
use chassis::shutdown::Shutdown;
use deliverability::{LocationId, ProductId, Quantity, Verdict};
use delivery::domain::Order;
use delivery::products::{Answer, Decision, Product, ProductClient, ProductSettings, Products};
use futures_util::future::join_all;
use futures_util::stream;
use hyper_util::rt::TokioIo;
use resilience::breaker::State;
use resilience::outcome::Kind;
use resilience::{Connect, Random};
use tokio::time::Instant;
use tonic::transport::Uri;
use turmoil::{Builder, Sim, net};

use crate::fake_product::MOST;
use crate::faults::{CLIENT, Product as Simulated};

const PRODUCTS: usize = 3;
const PORT: u16 = 50_051;
const TICK: Duration = Duration::from_millis(1);
/// How long things go wrong, and how often they change.
const FAULTS: Duration = Duration::from_secs(8);
const CHANGE_EVERY: Duration = Duration::from_millis(400);
/// How long everything may then take to be as before: a partition's lost packets are never sent again here, so a connection
/// is dead until its keep-alive notices, which takes 8 s.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long all must go well after that.
const HEALTHY: Duration = Duration::from_secs(1);
const CALLERS: usize = 6;
/// Most questions that a caller has at once: what comes while one is in flight goes together.
const QUESTIONS_AT_ONCE: usize = 4;
/// The largest order: half of them are of more than Product delivers.
const MOST_ORDERED: usize = 2 * MOST as usize;
/// What a call may take beyond its deadline: timers and the network are counted in ticks.
const GRACE: Duration = Duration::from_millis(5);

/// What each call came to, in order of their ends.
type Ends = Arc<Mutex<Vec<End>>>;

/// One call's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    at: Duration,
    deadline: Duration,
    took: Duration,
    quantity: u32,
    /// What was decided, if it was.
    verdict: Option<Verdict>,
}

/// Runs a seed and checks what must be true.
pub fn run(seed: u64) {
    let (ends, products) = simulate(seed);
    let of_seed = || format!("seed {seed}: SIMULATION_SEED={seed} replays it");
    for end in &ends {
        assert!(end.took <= may_take(end.deadline) + GRACE, "{}: outlived its deadline: {end:?}", of_seed());
        let must_go_well = end.at >= FAULTS + RECOVERY;
        assert!(end.verdict.is_some() || !must_go_well, "{}: not recovered: {end:?}", of_seed());
        let deserved = if end.quantity <= MOST { Verdict::Deliverable } else { Verdict::NotDeliverable };
        assert_eq!(end.verdict.unwrap_or(deserved), deserved, "{}: another's verdict: {end:?}", of_seed());
    }
    assert!(ends.len() > 1_000, "{}: only {} calls", of_seed(), ends.len());

    let caller = products.caller();
    let totals = caller.totals();
    let seconds = (FAULTS + RECOVERY + HEALTHY).as_secs();
    let charged = totals.retries + totals.hedges;
    assert!(charged <= totals.calls / 10 + 2 * seconds + 1, "{}: {totals:?}", of_seed());
    assert_eq!(caller.in_flight(), 0, "{}: a call's place leaked", of_seed());
    let mut attempts = 0;
    for endpoint in caller.endpoints().current().iter() {
        assert_eq!(endpoint.load.in_flight(), 0, "{}: an attempt leaked", of_seed());
        assert_eq!(endpoint.breaker.state(), State::Closed, "{}: {}", of_seed(), endpoint.address);
        attempts += Kind::ALL.iter().map(|kind| endpoint.attempts(*kind)).sum::<u64>();
    }
    let further = totals.retries + totals.resends + totals.hedges;
    assert!(attempts <= totals.calls + further, "{}: {totals:?}", of_seed());
    assert!(totals.resends <= totals.calls, "{}: {totals:?}", of_seed());
    assert!(totals.batches > 0 && totals.batched >= totals.batches, "{}: {totals:?}", of_seed());
}

/// What of its caller's deadline a call may take: the default reserve is kept, and the cap is a second.
fn may_take(deadline: Duration) -> Duration {
    (deadline - (deadline / 4).min(Duration::from_millis(50))).min(Duration::from_secs(1))
}

/// What a seed comes to, call by call.
pub fn history(seed: u64) -> Vec<End> {
    simulate(seed).0
}

fn simulate(seed: u64) -> (Vec<End>, Products) {
    let random = Random::seeded(seed);
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(FAULTS + RECOVERY + HEALTHY + Duration::from_secs(5))
        .max_message_latency(Duration::from_millis(5))
        .enable_random_order()
        .build();
    let mut simulated: Vec<_> = (0..PRODUCTS).map(Simulated::new).collect();
    for product in &simulated {
        let script = product.script.clone();
        sim.host(product.name.as_str(), move || serve(script.clone()));
    }
    let addresses: Vec<SocketAddr> =
        simulated.iter().map(|product| (sim.lookup(product.name.as_str()), PORT).into()).collect();

    let ends = Ends::default();
    let made = Arc::new(Mutex::new(None));
    let (ends_of_client, made_by_client, calling) = (Arc::clone(&ends), Arc::clone(&made), random.clone());
    sim.client(CLIENT, async move {
        // Every other run hedges.
        let hedge = if seed.is_multiple_of(2) { 0 } else { 95 };
        let settings = ProductSettings { product_hedge_percent: hedge, ..ProductSettings::default() };
        let product = Product::reached_by(&settings, simulated_network(calling.clone()), calling.clone());
        product.set_endpoints(&addresses);
        let products = product.client();
        *made_by_client.lock().unwrap() = Some(products.clone());
        call(products, ends_of_client, calling).await;
        Ok(())
    });
    drive(&mut sim, &mut simulated, &random);
    let ends = ends.lock().unwrap().clone();
    let products = made.lock().unwrap().take().unwrap();
    (ends, products)
}

/// Steps to the end, and lets things go wrong on the way.
fn drive(sim: &mut Sim<'_>, products: &mut [Simulated], random: &Random) {
    let mut next_change = CHANGE_EVERY;
    let mut healed = false;
    while !sim.step().unwrap() {
        if sim.elapsed() >= FAULTS && !healed {
            products.iter_mut().for_each(|product| product.heal(sim));
            healed = true;
        }
        if sim.elapsed() >= next_change && !healed {
            products[random.below(PRODUCTS)].change(sim, random);
            next_change += CHANGE_EVERY;
        }
    }
}

async fn serve(script: crate::fake_product::Script) -> turmoil::Result {
    let listener = net::TcpListener::bind(("0.0.0.0", PORT)).await?;
    let incoming = stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let (_never, shutdown) = Shutdown::new();
    serve_connections(incoming, script.services(), ConnectionLimits::default(), shutdown).await;
    Ok(())
}

fn simulated_network(random: Random) -> Connect<ProductClient> {
    Arc::new(move |address| {
        let connector = tower::service_fn(|uri: Uri| async move {
            let host = uri.host().unwrap_or_default().to_owned();
            Ok::<_, std::io::Error>(TokioIo::new(net::TcpStream::connect((host, PORT)).await?))
        });
        ProductClient::new(address, connector, random.clone())
    })
}

/// Some callers, each with some questions at once, then the next.
async fn call(products: Products, ends: Ends, random: Random) {
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (products, ends, random) = (products.clone(), Arc::clone(&ends), random.clone());
            tokio::spawn(async move {
                while began.elapsed() < FAULTS + RECOVERY + HEALTHY {
                    let questions = (0..=random.below(QUESTIONS_AT_ONCE)).map(|_| {
                        let deadline = Duration::from_millis(50 + random.below(1_500) as u64);
                        let quantity = 1 + random.below(MOST_ORDERED);
                        ask(&products, order(quantity), began, deadline, &ends)
                    });
                    join_all(questions).await;
                    tokio::time::sleep(Duration::from_millis(40 + random.below(120) as u64)).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

async fn ask(products: &Products, order: Order, began: Instant, deadline: Duration, ends: &Ends) {
    let begun = Instant::now();
    let answer = products.decide(&order, None, Deadline::after(deadline)).await;
    let (at, took) = (begun - began, begun.elapsed());
    let verdict = match answer {
        Answer::Decided(Decision { verdict, .. }) => Some(verdict),
        Answer::BadRevision(_) | Answer::Silent(_) => None,
    };
    ends.lock().unwrap().push(End { at, deadline, took, quantity: order.quantity.get(), verdict });
}

fn order(quantity: usize) -> Order {
    Order {
        product: ProductId::parse("0190b0a0-0000-7000-8000-00000000000a").unwrap(),
        location: LocationId::parse("0190b0a0-0000-7000-8000-00000000000b").unwrap(),
        quantity: Quantity::new(u32::try_from(quantity).unwrap()).unwrap(),
        external_reference: None,
    }
}
