//! CreateDelivery: what Product says, and what the policy says when it says nothing.

use std::error::Error;
use std::time::Duration;

use chassis::status::{self, Failure, Violation};
use delivery::store::Store;
use delivery::{DeferLimits, Rules};
use proto::delivery::v1::{self as wire, AdmissionPolicy, DeliveryState};
use tonic::{Code, Request, Status};

use crate::databases::on_each_database;
use crate::fake_product::{FakeProduct, REVISION, RULE, Says, nobody};
use crate::house::{House, PRODUCT_TIMEOUT, assert_failed, metadata, retry_after, rules, wanted};

const POLICIES: [AdmissionPolicy; 2] = [AdmissionPolicy::Strict, AdmissionPolicy::Defer];

#[test]
fn what_product_says_yes_to_is_stored_with_the_evidence_whatever_the_policy() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, rules());
        for policy in POLICIES {
            let wanted = wanted(policy);
            let delivery = house.create(&wanted).await.unwrap();
            assert_eq!(delivery.state(), DeliveryState::Confirmed);
            let admission = delivery.admission.as_ref().unwrap();
            assert_eq!(admission.verdict(), wire::Verdict::Deliverable);
            assert_eq!(admission.source(), wire::AdmissionSource::Live);
            assert_eq!((admission.reason.as_str(), admission.revision.as_str()), ("ALLOWED", REVISION));
            assert_eq!(
                admission.deciding_rules,
                [wire::DecidingRule { rule_id: RULE.to_owned(), version: 3 }]
            );
            assert!(admission.check_time.is_some() && admission.verify_by.is_none());
            assert_eq!(
                (&delivery.product_id, delivery.quantity, delivery.version),
                (&wanted.product_id, 2, 1)
            );
            assert_eq!(house.get(&delivery.delivery_id).await.unwrap(), delivery);
        }
        house.close().await;
    });
}

#[test]
fn what_product_says_no_to_is_refused_with_the_reason_and_not_stored_whatever_the_policy() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::No);
        let mut house = House::open(&store, product.address, rules());
        for policy in POLICIES {
            let wanted = wanted(policy);
            let refused = house.create(&wanted).await.unwrap_err();
            assert_failed(&refused, Code::FailedPrecondition, "NOT_DELIVERABLE");
            assert_eq!(metadata(&refused, "verdict_reason").as_deref(), Some("DENIED"));
            assert_eq!(metadata(&refused, "revision").as_deref(), Some(REVISION));
            assert_eq!(metadata(&refused, "rule_ids").as_deref(), Some(RULE));
            assert!(!house.is_stored(&wanted).await);
        }
        house.close().await;
    });
}

/// STRICT is refused and stores nothing, DEFER is accepted and waits.
async fn assert_silence(house: &mut House) {
    let strict = wanted(AdmissionPolicy::Strict);
    let refused = house.create(&strict).await.unwrap_err();
    assert_failed(&refused, Code::Unavailable, "PRODUCT_UNAVAILABLE");
    assert_eq!(metadata(&refused, "attempts").as_deref(), Some("1"));
    assert!(retry_after(&refused).is_some_and(|delay| delay > Duration::ZERO));
    assert!(!house.is_stored(&strict).await);

    let unspecified = wanted(AdmissionPolicy::Unspecified);
    assert_eq!(house.create(&unspecified).await.unwrap_err().code(), Code::Unavailable);

    let accepted = house.create(&wanted(AdmissionPolicy::Defer)).await.unwrap();
    assert_eq!(accepted.state(), DeliveryState::Pending);
    let admission = accepted.admission.as_ref().unwrap();
    let seconds = admission.verify_by.unwrap().seconds - accepted.create_time.unwrap().seconds;
    assert_eq!(seconds, 86_400);
    assert_eq!(*admission, wire::Admission { verify_by: admission.verify_by, ..wire::Admission::default() });
}

#[test]
fn a_product_that_is_down_is_silent() {
    on_each_database(|store| async move {
        let mut house = House::open(&store, nobody(), rules());
        assert_silence(&mut house).await;
        house.close().await;
    });
}

#[test]
fn a_product_that_is_too_slow_is_silent_after_the_timeout() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Nothing);
        let mut house = House::open(&store, product.address, rules());
        let begin = std::time::Instant::now();
        assert_silence(&mut house).await;
        assert!(begin.elapsed() >= 3 * PRODUCT_TIMEOUT);
        house.close().await;
    });
}

#[test]
fn a_listener_that_never_speaks_is_silent_after_the_timeout() {
    on_each_database(|store| async move {
        // The system accepts for it; nobody ever reads.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut house = House::open(&store, listener.local_addr().unwrap(), rules());
        assert_silence(&mut house).await;
        house.close().await;
    });
}

#[test]
fn an_error_is_silence_whatever_its_code_and_so_is_nonsense() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Nonsense);
        let mut house = House::open(&store, product.address, rules());
        assert_silence(&mut house).await;
        for code in (1..=16).map(Code::from_i32) {
            product.says(Says::Error(Status::new(code, "SELECT secret FROM driver")));
            let refused = house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap_err();
            assert_failed(&refused, Code::Unavailable, "PRODUCT_UNAVAILABLE");
            assert!(!refused.message().contains("secret"), "Product's own words go no further");
        }
        let not_reached = Failure::new(Code::FailedPrecondition, "REVISION_NOT_REACHED", "x").into_status();
        product.says(Says::Error(not_reached));
        assert_silence(&mut house).await;
        house.close().await;
    });
}

#[test]
fn a_product_that_is_back_is_found_within_a_moment() {
    on_each_database(|store| async move {
        let address = nobody();
        let mut house = House::open(&store, address, rules());
        let wanted = wanted(AdmissionPolicy::Strict);
        assert_eq!(house.create(&wanted).await.unwrap_err().code(), Code::Unavailable);
        let product = FakeProduct::start_at(address, Says::Yes);
        // Between attempts to connect lie some milliseconds; the test's own timeout ends this.
        let confirmed = loop {
            if let Ok(delivery) = house.create(&wanted).await {
                break delivery;
            }
        };
        assert_eq!(confirmed.state(), DeliveryState::Confirmed);
        assert_eq!(product.asked().len(), 1);
        house.close().await;
    });
}

#[test]
fn the_same_id_again_answers_what_is_stored_without_asking_product() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, rules());
        let wanted = wanted(AdmissionPolicy::Strict);
        let first = house.create(&wanted).await.unwrap();

        product.says(Says::No);
        let id = wanted.delivery_id.as_ref().unwrap();
        let upper = wire::CreateDeliveryRequest {
            delivery_id: Some(id.to_uppercase()),
            admission_policy: AdmissionPolicy::Defer.into(),
            min_revision: Some("another".to_owned()),
            ..wanted.clone()
        };
        for again in [&wanted, &upper] {
            assert_eq!(house.create(again).await.unwrap(), first);
        }
        let other = wire::CreateDeliveryRequest { quantity: None, ..wanted.clone() };
        let refused = house.create(&other).await.unwrap_err();
        assert_failed(&refused, Code::AlreadyExists, "DELIVERY_EXISTS");
        assert_eq!(product.asked().len(), 1);
        house.close().await;
    });
}

#[test]
fn without_an_id_the_server_makes_one_each_time() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, rules());
        let wanted = wire::CreateDeliveryRequest { delivery_id: None, ..wanted(AdmissionPolicy::Strict) };
        let (first, second) = (house.create(&wanted).await.unwrap(), house.create(&wanted).await.unwrap());
        assert_ne!(first.delivery_id, second.delivery_id);
        house.close().await;
    });
}

#[test]
fn a_min_revision_is_passed_on_and_one_that_product_can_not_use_is_the_callers_to_know() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, rules());
        for policy in POLICIES {
            let wanted =
                || wire::CreateDeliveryRequest { min_revision: Some("token-1".to_owned()), ..wanted(policy) };
            product.says(Says::Yes);
            house.create(&wanted()).await.unwrap();
            assert_eq!(product.asked().last().unwrap().min_revision.as_deref(), Some("token-1"));

            let mismatch = Failure::new(Code::FailedPrecondition, "EPOCH_MISMATCH", "x").into_status();
            product.says(Says::Error(mismatch));
            let refused = house.create(&wanted()).await.unwrap_err();
            assert_failed(&refused, Code::FailedPrecondition, "EPOCH_MISMATCH");

            let malformed = Failure::invalid_fields(vec![Violation::new("min_revision", "is no token")]);
            product.says(Says::Error(malformed.into_status()));
            let refused = house.create(&wanted()).await.unwrap_err();
            assert_failed(&refused, Code::InvalidArgument, "INVALID_FIELD");
            assert_eq!(status::violations(&refused), [Violation::new("min_revision", "is no token")]);
        }
        house.close().await;
    });
}

#[test]
fn a_decision_that_ended_before_the_commit_is_asked_for_again_and_not_for_ever() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::YesUntilThePast);
        let mut house = House::open(&store, product.address, rules());
        let strict = wanted(AdmissionPolicy::Strict);
        let refused = house.create(&strict).await.unwrap_err();
        assert_failed(&refused, Code::Unavailable, "PRODUCT_UNAVAILABLE");
        assert_eq!(metadata(&refused, "attempts").as_deref(), Some("3"));
        assert_eq!(product.asked().len(), 3);
        assert!(!house.is_stored(&strict).await);

        product.says_in_turn(vec![Says::YesUntilThePast, Says::Yes]);
        assert_eq!(house.create(&strict).await.unwrap().state(), DeliveryState::Confirmed);
        house.close().await;
    });
}

/// Sends creates with a deadline of the caller's until one is answered by the service: on a busy machine the client's own
/// timer may end a call first, which says nothing about the service.
async fn create_within(
    house: &mut House,
    policy: AdmissionPolicy,
    timeout: Duration,
) -> Result<wire::Delivery, Status> {
    loop {
        let mut request = Request::new(wanted(policy));
        request.set_timeout(timeout);
        match house.client.create_delivery(request).await {
            Err(status) if status.source().is_some() => {}
            answered => return Ok(answered?.into_inner().delivery.unwrap()),
        }
    }
}

#[test]
fn a_callers_deadline_bounds_the_question_and_leaves_time_to_do_what_the_policy_says() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Nothing);
        let mut house = House::open(&store, product.address, rules());
        let short = PRODUCT_TIMEOUT * 2 / 3;
        let late = create_within(&mut house, AdmissionPolicy::Strict, short).await.unwrap_err();
        assert_failed(&late, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        assert!(product.asked()[0].time_left < short, "the deadline is passed on, less a reserve");

        let deferred = create_within(&mut house, AdmissionPolicy::Defer, short).await.unwrap();
        assert_eq!(deferred.state(), DeliveryState::Pending);

        let patient =
            create_within(&mut house, AdmissionPolicy::Strict, Duration::from_secs(20)).await.unwrap_err();
        assert_failed(&patient, Code::Unavailable, "PRODUCT_UNAVAILABLE");
        assert!(product.asked().last().unwrap().time_left <= PRODUCT_TIMEOUT);
        house.close().await;
    });
}

/// A house that lets two wait.
fn open_small(store: &Store) -> House {
    let defer = DeferLimits { max_pending: 2, ..rules().defer };
    House::open(store, nobody(), Rules { defer, ..rules() })
}

#[test]
fn when_too_many_wait_already_defer_is_refused_and_told_when_to_try_again() {
    on_each_database(|store| async move {
        let mut house = open_small(&store);
        let first = wanted(AdmissionPolicy::Defer);
        let waiting = house.create(&first).await.unwrap();
        house.create(&wanted(AdmissionPolicy::Defer)).await.unwrap();
        let third = wanted(AdmissionPolicy::Defer);
        let refused = house.create(&third).await.unwrap_err();
        assert_failed(&refused, Code::ResourceExhausted, "TOO_MANY_PENDING");
        assert!(retry_after(&refused).is_some());
        assert!(!house.is_stored(&third).await);
        assert_eq!(house.create(&first).await.unwrap(), waiting, "what waits already is no more");
        house.close().await;
    });
}

#[test]
fn a_malformed_request_is_refused_before_product_is_asked() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, rules());
        let bad = wire::CreateDeliveryRequest {
            product_id: "x".to_owned(),
            quantity: Some(0),
            ..wanted(AdmissionPolicy::Strict)
        };
        let refused = house.create(&bad).await.unwrap_err();
        assert_failed(&refused, Code::InvalidArgument, "INVALID_FIELD");
        let fields: Vec<_> =
            status::violations(&refused).into_iter().map(|violation| violation.field).collect();
        assert_eq!(fields, ["product_id", "quantity"]);
        assert!(product.asked().is_empty());
        house.close().await;
    });
}
