//! What becomes of a delivery that waits for Product.

use std::time::Duration;

use delivery::{DeferLimits, Rules};
use proto::delivery::v1::{self as wire, AdmissionPolicy, DeliveryState};
use tonic::Status;

use crate::databases::on_each_database;
use crate::fake_product::{FakeProduct, REVISION, RULE, Says, nobody};
use crate::house::{House, rules, wanted};

#[test]
fn when_product_is_back_what_waited_is_confirmed_or_rejected_with_its_evidence() {
    on_each_database(|store| async move {
        for (says, state, verdict, reason) in [
            (Says::Yes, DeliveryState::Confirmed, wire::Verdict::Deliverable, "ALLOWED"),
            (Says::No, DeliveryState::Rejected, wire::Verdict::NotDeliverable, "DENIED"),
        ] {
            let address = nobody();
            let mut house = House::open(&store, address, rules());
            let mut waiting = Vec::new();
            for _ in 0..3 {
                waiting.push(house.create(&wanted(AdmissionPolicy::Defer)).await.unwrap());
            }
            let _product = FakeProduct::start_at(address, says);
            for delivery in waiting {
                let settled = house.until(&delivery.delivery_id, state).await;
                let admission = settled.admission.as_ref().unwrap();
                assert_eq!((admission.verdict(), admission.reason.as_str()), (verdict, reason));
                assert_eq!(admission.source(), wire::AdmissionSource::Deferred);
                assert_eq!((admission.revision.as_str(), admission.verify_by), (REVISION, None));
                assert_eq!(admission.deciding_rules[0].rule_id, RULE);
                let (checked, created) = (admission.check_time.unwrap(), settled.create_time.unwrap());
                assert!((checked.seconds, checked.nanos) > (created.seconds, created.nanos));
                assert_eq!(settled.version, 2);
            }
            house.close().await;
        }
    });
}

#[test]
fn what_waits_with_different_min_revisions_is_asked_for_separately() {
    on_each_database(|store| async move {
        let address = nobody();
        let mut house = House::open(&store, address, rules());
        let mut waiting = Vec::new();
        for token in [Some("token-1"), None, Some("token-2"), Some("token-1")] {
            let min_revision = token.map(ToOwned::to_owned);
            let wanted = wire::CreateDeliveryRequest { min_revision, ..wanted(AdmissionPolicy::Defer) };
            waiting.push(house.create(&wanted).await.unwrap());
        }
        let product = FakeProduct::start_at(address, Says::Yes);
        for delivery in waiting {
            house.until(&delivery.delivery_id, DeliveryState::Confirmed).await;
        }
        let mut asked: Vec<_> = product.asked().into_iter().map(|question| question.min_revision).collect();
        asked.sort_unstable();
        let token = |text: &str| Some(text.to_owned());
        assert_eq!(asked, [None, token("token-1"), token("token-1"), token("token-2")]);
        house.close().await;
    });
}

/// Rules under which nothing waits longer than so many seconds.
fn rules_within(seconds: u64) -> Rules {
    let defer = DeferLimits { verify_within: Duration::from_secs(seconds), ..rules().defer };
    Rules { defer, ..rules() }
}

#[test]
fn what_nobody_could_say_in_time_expires_and_is_no_no() {
    on_each_database(|store| async move {
        let mut house = House::open(&store, nobody(), rules_within(1));
        let waiting = house.create(&wanted(AdmissionPolicy::Defer)).await.unwrap();
        let expired = house.until(&waiting.delivery_id, DeliveryState::Expired).await;
        assert_eq!(expired.admission, waiting.admission, "nothing was said, and until when is kept");
        house.close().await;
    });
}

#[test]
fn a_min_revision_that_product_can_not_use_makes_nothing_a_no_and_holds_nobody_else_up() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Error(Status::internal("x")));
        let mut house = House::open(&store, product.address, rules_within(4));
        let min_revision = Some("foreign".to_owned());
        let foreign = wire::CreateDeliveryRequest { min_revision, ..wanted(AdmissionPolicy::Defer) };
        let foreign = house.create(&foreign).await.unwrap();
        let behind_it = house.create(&wanted(AdmissionPolicy::Defer)).await.unwrap();
        product.says(Says::YesUnlessForeign);
        house.until(&behind_it.delivery_id, DeliveryState::Confirmed).await;
        assert_eq!(house.get(&foreign.delivery_id).await.unwrap(), foreign, "it waits as it did");
        house.until(&foreign.delivery_id, DeliveryState::Expired).await;
        house.close().await;
    });
}

#[test]
fn a_verifier_asks_again_while_product_only_makes_errors() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Error(Status::internal("x")));
        let mut house = House::open(&store, product.address, rules());
        let waiting = house.create(&wanted(AdmissionPolicy::Defer)).await.unwrap();
        // Once for the create, then twice by the verifier.
        product.was_asked(3).await;
        assert_eq!(house.get(&waiting.delivery_id).await.unwrap(), waiting);
        product.says(Says::Yes);
        house.until(&waiting.delivery_id, DeliveryState::Confirmed).await;
        house.close().await;
    });
}

#[test]
fn one_delivery_that_makes_product_fail_holds_up_no_other() {
    on_each_database(|store| async move {
        let address = nobody();
        let mut house = House::open(&store, address, rules());
        let order = |quantity| wire::CreateDeliveryRequest {
            quantity: Some(quantity),
            ..wanted(AdmissionPolicy::Defer)
        };
        let mut poison = Vec::new();
        let mut others = Vec::new();
        for _ in 0..3 {
            poison.push(house.create(&order(13)).await.unwrap());
            others.push(house.create(&order(1)).await.unwrap());
        }
        let _product = FakeProduct::start_at(address, Says::YesUnlessQuantity(13));
        for delivery in others {
            house.until(&delivery.delivery_id, DeliveryState::Confirmed).await;
        }
        for delivery in &poison {
            assert_eq!(house.get(&delivery.delivery_id).await.unwrap(), *delivery, "it waits as it did");
        }
        house.close().await;
    });
}

#[test]
fn two_processes_on_one_database_settle_each_delivery_once() {
    on_each_database(|store| async move {
        let address = nobody();
        let (mut one, two) = (House::open(&store, address, rules()), House::open(&store, address, rules()));
        let mut waiting = Vec::new();
        for _ in 0..20 {
            waiting.push(one.create(&wanted(AdmissionPolicy::Defer)).await.unwrap());
        }
        let product = FakeProduct::start_at(address, Says::Yes);
        for delivery in waiting {
            assert_eq!(one.until(&delivery.delivery_id, DeliveryState::Confirmed).await.version, 2);
        }
        assert_eq!(product.asked().len(), 20);
        one.close().await;
        two.close().await;
    });
}
