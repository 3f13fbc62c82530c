//! What callers notice of questions that go to Product together: nothing.

use std::time::Duration;

use delivery::products::{Product, ProductSettings};
use futures_util::future::join_all;
use proto::delivery::v1::{self as wire, AdmissionPolicy, DeliveryState};
use tonic::Code;

use crate::databases::on_each_database;
use crate::fake_product::{FakeProduct, MOST, Says};
use crate::house::{House, assert_failed, metadata, product_settings, rules, wanted};

/// Half of them of more than Product delivers.
const ORDERS: u32 = MOST * 2;
/// From one order's quantity to the next one's: shares no factor with the number of orders, so that each quantity comes
/// once, and yes and no are mixed.
const STEP: u32 = 37;
/// Long enough for other questions to come meanwhile.
const SLOW: Duration = Duration::from_millis(100);
/// Nobody's time runs out, however busy the machine is.
const PATIENT_MS: u64 = 20_000;

#[test]
fn each_order_of_a_batch_gets_its_own_verdict() {
    on_each_database(|store| async move {
        let fake = FakeProduct::start(Says::Yes);
        fake.says_in_turn(vec![Says::YesAfter(SLOW), Says::Yes]);
        let settings = ProductSettings { product_timeout_ms: PATIENT_MS, ..product_settings() };
        let product = Product::new(&settings).unwrap();
        product.set_endpoints(&[fake.address]);
        let asked = product.client();
        let house = House::open_with(&store, product, rules());

        let quantities = (0..ORDERS).map(|number| number * STEP % ORDERS + 1);
        let created = join_all(quantities.map(|quantity| {
            let mut client = house.client.clone();
            let order =
                wire::CreateDeliveryRequest { quantity: Some(quantity), ..wanted(AdmissionPolicy::Strict) };
            async move { (quantity, client.create_delivery(order).await) }
        }));
        for (quantity, created) in created.await {
            if quantity <= MOST {
                let delivery = created.unwrap().into_inner().delivery.unwrap();
                assert_eq!((delivery.state(), delivery.quantity), (DeliveryState::Confirmed, quantity));
            } else {
                let refused = created.expect_err("more than Product delivers");
                assert_failed(&refused, Code::FailedPrecondition, "NOT_DELIVERABLE");
                assert_eq!(metadata(&refused, "verdict_reason").as_deref(), Some("OVER_QUANTITY"));
            }
        }
        let totals = asked.caller().totals();
        assert!(totals.batched > totals.batches, "some went together: {totals:?}");
        house.close().await;
    });
}
