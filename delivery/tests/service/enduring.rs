//! What callers notice of a Product in trouble: as little as can be.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use delivery::products::{Product, ProductSettings, Resolver};
use proto::delivery::v1::{AdmissionPolicy, DeliveryState};
use tonic::{Code, Request, Status};

use crate::databases::on_each_database;
use crate::fake_product::{FakeProduct, Says};
use crate::house::{House, assert_failed, metadata, retry_after, rules, wanted};

/// A name whose addresses a test changes; an error stands for a name server that does not answer.
#[derive(Clone, Default)]
struct Name(Arc<Mutex<Option<Vec<SocketAddr>>>>);

impl Name {
    fn points_to(&self, addresses: Option<Vec<SocketAddr>>) {
        *self.0.lock().unwrap() = addresses;
    }

    fn resolver(&self) -> Resolver {
        let name = self.clone();
        Arc::new(move || {
            let addresses = name.0.lock().unwrap().clone();
            Box::pin(async move { addresses.ok_or_else(|| io::Error::other("the name server is silent")) })
        })
    }
}

/// The defaults, over these endpoints.
fn product_at(addresses: &[SocketAddr]) -> Product {
    let product = Product::new(&ProductSettings::default()).unwrap();
    product.set_endpoints(addresses);
    product
}

#[test]
fn a_product_that_keeps_failing_is_left_alone_and_callers_learn_when_it_is_asked_again() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Error(Status::unavailable("x")));
        let mut house = House::open_with(&store, product_at(&[product.address]), rules());
        let wanted = wanted(AdmissionPolicy::Strict);
        let refused = loop {
            let refused = house.create(&wanted).await.unwrap_err();
            assert_failed(&refused, Code::Unavailable, "PRODUCT_UNAVAILABLE");
            if metadata(&refused, "attempts").as_deref() == Some("0") {
                break refused;
            }
        };
        assert_eq!(metadata(&refused, "breaker_state").as_deref(), Some("OPEN"));
        assert!(retry_after(&refused).unwrap() <= Duration::from_millis(1_200));

        let reached = product.asked().len();
        let probes = loop {
            // Refused ones take no time, so a hundred of them fit between two probes.
            for _ in 0..100 {
                house.create(&wanted).await.unwrap_err();
            }
            let probes = product.asked().len() - reached;
            if probes >= 2 {
                break probes;
            }
        };
        assert!(probes <= 3, "{probes} in some hundred refused calls");

        product.says(Says::Yes);
        let confirmed = loop {
            if let Ok(delivery) = house.create(&wanted).await {
                break delivery;
            }
        };
        assert_eq!(confirmed.state(), DeliveryState::Confirmed);
        house.close().await;
    });
}

#[test]
fn an_open_breaker_defers_what_may_be_deferred() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Error(Status::unavailable("x")));
        let mut house = House::open_with(&store, product_at(&[product.address]), rules());
        for _ in 0..20 {
            let deferred = house.create(&wanted(AdmissionPolicy::Defer)).await.unwrap();
            assert_eq!(deferred.state(), DeliveryState::Pending);
        }
        house.close().await;
    });
}

#[test]
fn of_three_endpoints_one_may_hang_and_one_be_gone_and_nobody_notices() {
    on_each_database(|store| async move {
        let [gone, hangs, answers] = [(); 3].map(|()| FakeProduct::start(Says::Yes));
        let product = product_at(&[gone.address, hangs.address, answers.address]);
        let mut house = House::open_with(&store, product, rules());
        // While all is well the retry budget fills.
        for _ in 0..200 {
            house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();
        }
        drop(gone);
        hangs.says(Says::Nothing);
        let before = hangs.asked().len();
        for _ in 0..100 {
            let confirmed = house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();
            assert_eq!(confirmed.state(), DeliveryState::Confirmed);
        }
        let asked = hangs.asked().len() - before;
        assert!(asked < 33, "an endpoint that hangs is asked less than its share: {asked} of 100");
        house.close().await;
    });
}

#[test]
fn an_answer_that_one_endpoint_is_too_old_for_comes_from_another() {
    on_each_database(|store| async move {
        let behind = chassis::status::Failure::new(Code::FailedPrecondition, "REVISION_NOT_REACHED", "x");
        let behind = FakeProduct::start(Says::Error(behind.into_status()));
        let current = FakeProduct::start(Says::Yes);
        let product = product_at(&[behind.address, current.address]);
        let mut house = House::open_with(&store, product, rules());
        for _ in 0..30 {
            house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();
        }
        house.close().await;
    });
}

#[test]
fn processes_that_are_all_replaced_behind_their_name_are_found() {
    on_each_database(|store| async move {
        let (name, old) = (Name::default(), FakeProduct::start(Says::Yes));
        name.points_to(Some(vec![old.address]));
        let settings = ProductSettings::default();
        let product = Product::new(&settings).unwrap();
        product.follow(&settings, name.resolver()).await;
        let mut house = House::open_with(&store, product, rules());
        house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();

        let new = FakeProduct::start(Says::Yes);
        name.points_to(Some(vec![new.address]));
        drop(old);
        while house.create(&wanted(AdmissionPolicy::Strict)).await.is_err() {}
        assert_eq!(new.asked().len(), 1);
        house.close().await;
    });
}

#[test]
fn a_name_that_loses_its_addresses_or_its_server_keeps_the_last_good_ones() {
    on_each_database(|store| async move {
        let (name, answers) = (Name::default(), FakeProduct::start(Says::Yes));
        name.points_to(Some(vec![answers.address]));
        let settings = ProductSettings { product_resolve_seconds: 1, ..ProductSettings::default() };
        let product = Product::new(&settings).unwrap();
        product.follow(&settings, name.resolver()).await;
        let mut house = House::open_with(&store, product, rules());
        for empty in [Some(vec![]), None] {
            let began = Instant::now();
            name.points_to(empty);
            // Long enough for a look-up or two.
            while began.elapsed() < Duration::from_millis(1_500) {
                house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();
            }
        }
        house.close().await;
    });
}

#[test]
fn a_name_that_never_had_an_address_is_silence_at_once() {
    on_each_database(|store| async move {
        let settings = ProductSettings::default();
        let product = Product::new(&settings).unwrap();
        product.follow(&settings, Name::default().resolver()).await;
        product.set_endpoints(&[]);
        let mut house = House::open_with(&store, product, rules());
        let refused = house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap_err();
        assert_failed(&refused, Code::Unavailable, "PRODUCT_UNAVAILABLE");
        assert_eq!(metadata(&refused, "attempts").as_deref(), Some("0"));
        let deferred = house.create(&wanted(AdmissionPolicy::Defer)).await.unwrap();
        assert_eq!(deferred.state(), DeliveryState::Pending);
        house.close().await;
    });
}

#[test]
fn product_is_told_how_long_its_answer_is_waited_for() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open_with(&store, product_at(&[product.address]), rules());
        house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();
        let mut hurried = Request::new(wanted(AdmissionPolicy::Strict));
        hurried.set_timeout(Duration::from_millis(200));
        house.client.create_delivery(hurried).await.unwrap();
        let asked = product.asked();
        let left: Vec<_> = asked.iter().map(|question| question.time_left).collect();
        assert!(left[0] <= Duration::from_secs(1), "{left:?}");
        assert!(left[1] <= Duration::from_millis(150), "what the caller leaves, less a reserve: {left:?}");
        house.close().await;
    });
}

#[test]
fn callers_in_a_storm_of_hopeless_deadlines_cost_the_others_nothing() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Nothing);
        let mut house = House::open_with(&store, product_at(&[product.address]), rules());
        let storm: Vec<_> = (0..200)
            .map(|_| {
                let mut client = house.client.clone();
                tokio::spawn(async move {
                    let mut hurried = Request::new(wanted(AdmissionPolicy::Strict));
                    hurried.set_timeout(Duration::from_millis(5));
                    client.create_delivery(hurried).await.unwrap_err().code()
                })
            })
            .collect();
        for caller in storm {
            let code = caller.await.unwrap();
            assert!(matches!(code, Code::DeadlineExceeded | Code::Cancelled), "{code:?}");
        }
        product.says(Says::Yes);
        let confirmed = house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap();
        assert_eq!(confirmed.state(), DeliveryState::Confirmed);
        house.close().await;
    });
}
