//! The rest of a delivery's life, listings, and whether the service says that it serves.

use chassis::on_database;
use delivery::store::Store;
use proto::delivery::v1::{self as wire, AdmissionPolicy, DeliveryState};
use sqlx::AssertSqlSafe;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::databases::on_each_database;
use crate::fake_product::{FakeProduct, Says, nobody};
use crate::house::{House, assert_failed, metadata, retry_after, rules, wanted};

async fn complete(house: &mut House, delivery_id: &str, version: u32) -> Result<wire::Delivery, Status> {
    let request = wire::CompleteDeliveryRequest { delivery_id: delivery_id.to_owned(), version };
    Ok(house.client.complete_delivery(request).await?.into_inner().delivery.unwrap())
}

async fn send_back(house: &mut House, delivery_id: &str, version: u32) -> Result<wire::Delivery, Status> {
    let request = wire::ReturnDeliveryRequest { delivery_id: delivery_id.to_owned(), version };
    Ok(house.client.return_delivery(request).await?.into_inner().delivery.unwrap())
}

async fn cancel(house: &mut House, delivery_id: &str, version: u32) -> Result<wire::Delivery, Status> {
    let request = wire::CancelDeliveryRequest { delivery_id: delivery_id.to_owned(), version };
    Ok(house.client.cancel_delivery(request).await?.into_inner().delivery.unwrap())
}

#[test]
fn a_delivery_goes_its_way_and_each_step_can_be_sent_twice() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, rules());
        let [arrives, comes_back, stays] = [0; 3].map(|_| wanted(AdmissionPolicy::Strict));
        let mut ids = Vec::new();
        for wanted in [arrives, comes_back, stays] {
            ids.push(house.create(&wanted).await.unwrap().delivery_id);
        }
        for id in &ids[..2] {
            house.dispatch(id, 1).await.unwrap();
        }
        for _ in 0..2 {
            assert_eq!(complete(&mut house, &ids[0], 2).await.unwrap().state(), DeliveryState::Delivered);
            assert_eq!(send_back(&mut house, &ids[1], 0).await.unwrap().state(), DeliveryState::Returned);
            assert_eq!(cancel(&mut house, &ids[2], 1).await.unwrap().state(), DeliveryState::Cancelled);
        }
        let refused = cancel(&mut house, &ids[0], 0).await.unwrap_err();
        assert_failed(&refused, Code::FailedPrecondition, "INVALID_STATE");
        assert_eq!(metadata(&refused, "state").as_deref(), Some("DELIVERED"));
        let nobody = cancel(&mut house, "0190b0a0-0000-7000-8000-0000000000ff", 0).await.unwrap_err();
        assert_failed(&nobody, Code::NotFound, "DELIVERY_NOT_FOUND");
        let malformed = complete(&mut house, "7", 0).await.unwrap_err();
        assert_failed(&malformed, Code::InvalidArgument, "INVALID_FIELD");
        house.close().await;
    });
}

#[test]
fn a_listing_is_turned_page_by_page_under_the_same_filters() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, rules());
        let mut created = Vec::new();
        for _ in 0..5 {
            created.push(house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap());
        }
        cancel(&mut house, &created[1].delivery_id, 0).await.unwrap();
        created.remove(1);
        created.reverse();

        let mut request = wire::ListDeliveriesRequest {
            page_size: 3,
            state: DeliveryState::Confirmed.into(),
            external_reference: "order-1".to_owned(),
            ..wire::ListDeliveriesRequest::default()
        };
        let first = house.client.list_deliveries(request.clone()).await.unwrap().into_inner();
        request.page_token = first.next_page_token;
        let second = house.client.list_deliveries(request.clone()).await.unwrap().into_inner();
        assert_eq!([first.deliveries, second.deliveries].concat(), created);
        assert_eq!(second.next_page_token, "");

        request.external_reference = String::new();
        let refused = house.client.list_deliveries(request).await.unwrap_err();
        assert_failed(&refused, Code::InvalidArgument, "INVALID_FIELD");
        house.close().await;
    });
}

async fn serving(house: &House) -> ServingStatus {
    let request = HealthCheckRequest { service: String::new() };
    HealthClient::new(house.channel.clone()).check(request).await.unwrap().into_inner().status()
}

#[test]
fn a_silent_product_does_not_stop_the_service_from_serving() {
    on_each_database(|store| async move {
        let mut house = House::open(&store, nobody(), rules());
        assert_eq!(
            house.create(&wanted(AdmissionPolicy::Strict)).await.unwrap_err().code(),
            Code::Unavailable
        );
        // It says so as soon as its own database is open; the test's own timeout ends the wait.
        while serving(&house).await != ServingStatus::Serving {}
        house.close().await;
    });
}

/// Takes the table away, or puts it back.
async fn rename_table(store: &Store, from: &str, to: &str) {
    let mut transaction = store.database().write().await.unwrap();
    let sql = format!("ALTER TABLE {from} RENAME TO {to}");
    on_database!(transaction.connection(), c => {
        sqlx::query(AssertSqlSafe(sql)).execute(c).await.map(drop).unwrap();
    });
    transaction.commit().await.unwrap();
}

#[test]
fn a_service_whose_own_database_fails_says_so_in_every_answer_and_then_in_its_health_until_it_is_back() {
    on_each_database(|store| async move {
        let product = FakeProduct::start(Says::Yes);
        let mut house = House::open(&store, product.address, rules());
        let request = HealthCheckRequest { service: String::new() };
        let watched = HealthClient::new(house.channel.clone()).watch(request).await.unwrap();
        let mut states = watched.into_inner();
        while states.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}

        rename_table(&store, "deliveries", "away").await;
        let wanted = wanted(AdmissionPolicy::Defer);
        let refused = house.create(&wanted).await.unwrap_err();
        assert_failed(&refused, Code::Unavailable, "STORE_UNAVAILABLE");
        assert!(retry_after(&refused).is_some());
        assert!(!refused.message().contains("away"), "the driver's words go no further");
        while states.message().await.unwrap().unwrap().status() != ServingStatus::NotServing {}

        rename_table(&store, "away", "deliveries").await;
        while states.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
        assert_eq!(house.create(&wanted).await.unwrap().state(), DeliveryState::Confirmed);
        drop(states);
        house.close().await;
    });
}
