//! Whatever is sent to whichever rpc is answered, or refused with a reason; it is never an internal error, and the next
//! good request finds the service as it was.
//!
//! Requests are made from random bytes of a fixed seed. For a longer hunt: PROPTEST_CASES for each rpc and
//! PROPTEST_RNG_SEED.

use std::collections::BTreeSet;

use proptest::prelude::any;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proto::delivery::v1 as delivery_wire;
use proto::product::v1 as wire;
use proto::product::v1::import_row::Row;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_types::StatusExt;

use crate::support::catalogue::{id, import, location, open_shop, product, rule};
use crate::support::databases::{Throwaway, on_both};
use crate::support::process::Service;
use crate::support::raw::{Answer, Raw};
use crate::support::strange::{Known, Method, Strange, every_strange_header, methods, request, too_long};
use crate::support::{clients, deliveries, questions, services};

/// For each rpc, unless PROPTEST_CASES says otherwise.
const CASES: u32 = 100;
/// Unless PROPTEST_RNG_SEED says otherwise.
const SEED: u64 = 1;
const BYTES: std::ops::Range<usize> = 0..400;
const MAX_SHRINKS: u32 = 300;
/// Objects of each kind that requests can refer to: enough to be left over when others were retired.
const OBJECTS: usize = 24;

on_both!(
    no_request_however_strange_is_an_internal_error_of_product,
    no_request_however_strange_is_an_internal_error_of_delivery,
);

async fn no_request_however_strange_is_an_internal_error_of_product(database: &impl AsyncFn() -> Throwaway) {
    let database = database().await;
    let product = services::product(&database).await;
    let known = fill_catalogue(&product).await;

    survives(&product, proto::product::FILE_DESCRIPTOR_SET, &known).await;
    let revision = questions::create_product(&product, &id(), "cheese").await.expect("a good write works");
    let (asked, place) = (&known.products[0], &known.locations[0]);
    questions::decide(&product, asked, place, Some(&revision)).await.expect("and is followed");
}

async fn no_request_however_strange_is_an_internal_error_of_delivery(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let delivery = services::delivery(&delivery_database, product.address).await;
    let shop = open_shop(&product).await;
    let mut known = Known {
        products: vec![shop.rock.clone()],
        locations: vec![shop.city.clone(), shop.island.clone()],
        rules: vec![shop.land_rule.clone()],
        revision: shop.revision.clone(),
        ..Known::default()
    };
    for _ in 0..OBJECTS {
        let created = deliveries::create(&delivery, &deliveries::order(&shop.rock, &shop.city)).await;
        known.deliveries.push(created.expect("rock goes to the city").delivery_id);
    }
    let one = delivery_wire::ListDeliveriesRequest { page_size: 1, ..Default::default() };
    let page = clients::delivery(&delivery).list_deliveries(one).await.expect("a page").into_inner();
    known.page_tokens.push(page.next_page_token);

    survives(&delivery, proto::delivery::FILE_DESCRIPTOR_SET, &known).await;
    let order = deliveries::order(&shop.rock, &shop.city);
    deliveries::create(&delivery, &order).await.expect("a good request works");
}

/// Throws everything at every rpc of a service, and finds it well.
async fn survives(service: &Service, descriptors: &[u8], known: &Known) {
    let connection = Raw::connect(service.address).await;
    let methods = methods(descriptors);
    let mut answered = BTreeSet::new();
    let mut runner = runner();
    for _ in 0..runner.config().cases {
        // One after the other, so that each finds what the others have made and left over.
        for method in &methods {
            if throw_at(method, &connection, known, &mut runner).await == Code::Ok {
                answered.insert(&method.path);
            }
        }
    }
    let all = methods.iter().map(|method| &method.path).collect();
    assert_eq!(answered, all, "some of what was asked was good: else nothing was asked in earnest");

    for method in &methods {
        for strange in every_strange_header(method, known).into_iter().chain([too_long()]) {
            let wrong = attempt(&connection, method, &strange).await.err();
            assert_eq!(wrong, None, "{}: {}", method.path, strange.told());
        }
    }
    let log = service.log();
    assert!(!log.contains("panic") && !log.contains("\"ERROR\""), "nothing went wrong inside");
    assert_eq!(clients::health(service, "").await.expect("health answers"), ServingStatus::Serving);
}

/// Cases and seed, and what they make.
fn runner() -> TestRunner {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    TestRunner::new(config)
}

/// Sends one request made from random bytes.
async fn throw_at(method: &Method, connection: &Raw, known: &Known, runner: &mut TestRunner) -> Code {
    let mut bytes = proptest::collection::vec(any::<u8>(), BYTES).new_tree(runner).expect("bytes");
    match attempt(connection, method, &request(method, known, &bytes.current())).await {
        Ok(code) => code,
        Err(wrong) => {
            let seed = runner.config().rng_seed;
            let (plainest, wrong) = shrunk(connection, method, known, &mut bytes, wrong).await;
            panic!("{}: {wrong}\nseed {seed}, request {}", method.path, plainest.told());
        }
    }
}

/// The plainest request that goes wrong, and how.
async fn shrunk(
    connection: &Raw,
    method: &Method,
    known: &Known,
    bytes: &mut impl ValueTree<Value = Vec<u8>>,
    wrong: String,
) -> (Strange, String) {
    let mut plainest = (request(method, known, &bytes.current()), wrong);
    for _ in 0..MAX_SHRINKS {
        let wrong_before =
            attempt(connection, method, &request(method, known, &bytes.current())).await.is_err();
        if !(if wrong_before { bytes.simplify() } else { bytes.complicate() }) {
            break;
        }
        let strange = request(method, known, &bytes.current());
        if let Err(wrong) = attempt(connection, method, &strange).await {
            plainest = (strange, wrong);
        }
    }
    plainest
}

/// Sends one request; an error is what must not be.
async fn attempt(connection: &Raw, method: &Method, strange: &Strange) -> Result<Code, String> {
    let call = connection.call(&method.path, &strange.headers, strange.body.clone(), method.is_stream);
    let answer = call.await.map_err(|error| format!("no answer: {error:?}"))?;
    let Answer { http_status, status, .. } = &answer;
    if http_status.is_client_error() {
        // Not gRPC, or more headers than there may be: told in the client's own language.
        return Ok(Code::InvalidArgument);
    }
    let code = status.code();
    if !http_status.is_success() || matches!(code, Code::Internal | Code::Unknown | Code::DataLoss) {
        return Err(format!("{answer:?}"));
    }
    let info = status.get_details_error_info();
    let told =
        code == Code::Ok || info.is_some_and(|info| info.domain == "candeliver" && !info.reason.is_empty());
    if told { Ok(code) } else { Err(format!("an error without a reason: {answer:?}")) }
}

/// Objects of each kind that hold one another up, and tokens of each listing.
async fn fill_catalogue(product: &Service) -> Known {
    let ids = || (0..OBJECTS).map(|_| id()).collect::<Vec<_>>();
    let mut known = Known { products: ids(), locations: ids(), rules: ids(), ..Known::default() };
    let root = wire::Location {
        kind: wire::LocationKind::Country.into(),
        code: Some("NL".to_owned()),
        ..location(&known.locations[0], None, "Netherlands")
    };
    let below = known.locations.iter().skip(1).map(|id| location(id, Some(&known.locations[0]), "Amsterdam"));
    let products = known.products.iter().map(|id| self::product(id, "milk", &["perishable"]));
    let rules = known.rules.iter().zip(&known.locations);
    let rules = rules.map(|(id, place)| rule(id, wire::Effect::Allow, Some("perishable"), place));
    let rows = [root].into_iter().chain(below).map(Row::Location);
    let rows = rows.chain(products.map(Row::Product)).chain(rules.map(Row::Rule)).collect();
    known.revision = import(product, rows).await.revision;

    let (mut asking, mut managing) = (clients::product(product), clients::catalogue(product));
    let products = wire::ListProductsRequest { page_size: 1, ..Default::default() };
    let locations = wire::ListLocationsRequest { page_size: 1, ..Default::default() };
    let rules = wire::ListRulesRequest { page_size: 1, ..Default::default() };
    known.page_tokens = vec![
        asking.list_products(products).await.expect("a page").into_inner().next_page_token,
        asking.list_locations(locations).await.expect("a page").into_inner().next_page_token,
        managing.list_rules(rules).await.expect("a page").into_inner().next_page_token,
    ];
    known
}
