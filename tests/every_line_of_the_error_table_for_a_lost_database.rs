//! What the error table says of a database that is gone: try again in a moment. What needs no database goes on, and when the
//! database is back, so is everything else.

use proto::delivery::v1 as delivery_wire;
use proto::product::v1 as wire;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::catalogue::{Shop, id, open_shop, product};
use crate::support::databases::{Throwaway, on_postgres};
use crate::support::process::Service;
use crate::support::refusal::{Refusal, refused};
use crate::support::{clients, deliveries, eventually, operator, questions, services};

on_postgres!(
    every_line_of_the_error_table_for_products_lost_database,
    every_line_of_the_error_table_for_deliverys_lost_database,
);

fn silent() -> Refusal {
    Refusal::new(Code::Unavailable, "STORE_UNAVAILABLE").retry()
}

async fn every_line_of_the_error_table_for_products_lost_database(database: &impl AsyncFn() -> Throwaway) {
    let database = database().await;
    let service = services::product(&database).await;
    let shop = open_shop(&service).await;
    let (mut asking, mut writing) = (clients::product(&service), clients::catalogue(&service));
    let create = wire::CreateProductRequest { product: Some(product(&id(), "new", &[])) };

    operator::take_away(&database).await;
    let get = wire::GetProductRequest { product_id: shop.milk.clone() };
    assert_eq!(refused(asking.get_product(get.clone()).await), silent());
    assert_eq!(refused(asking.list_locations(wire::ListLocationsRequest::default()).await), silent());
    assert_eq!(refused(writing.create_product(create.clone()).await), silent());
    let watched = asking.watch_changes(wire::WatchChangesRequest::default()).await;
    assert_eq!(refused(watched.map(|_| tonic::Response::new(()))), silent());
    // What can be delivered is answered from memory, at the revision that was last seen.
    let decision = questions::decide(&service, &shop.milk, &shop.city, Some(&shop.revision)).await;
    let decision = decision.expect("no database is needed");
    assert_eq!((decision.reason(), &decision.revision), (wire::Reason::Allowed, &shop.revision));
    let health = clients::health(&service, services::PRODUCT_SERVICE).await.expect("health answers");
    assert_eq!(health, ServingStatus::Serving);

    operator::give_back(&database).await;
    let create = async || clients::catalogue(&service).create_product(create.clone()).await;
    let created = eventually("writes go on", create).await.into_inner();
    let decision = questions::decide(&service, &shop.rock, &shop.city, Some(&created.revision)).await;
    assert_eq!(decision.expect("the index follows again").revision, created.revision);
    clients::product(&service).get_product(get).await.expect("reads go on");
}

async fn every_line_of_the_error_table_for_deliverys_lost_database(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let delivery = services::delivery(&delivery_database, product.address).await;
    let shop = open_shop(&product).await;
    let stored = deliveries::create(&delivery, &deliveries::order(&shop.milk, &shop.city)).await;
    let stored = stored.expect("milk goes to the city");
    let next = deliveries::deferrable_order(&shop.milk, &shop.city);

    operator::take_away(&delivery_database).await;
    for refusal in of_each_call(&delivery, &stored.delivery_id, &shop).await {
        assert_eq!(refusal, silent());
    }
    // DEFER is for a silent Product; a delivery that can't be stored is not stored.
    assert_eq!(refused(clients::delivery(&delivery).create_delivery(next.clone()).await), silent());
    services::until_health_is(&delivery, ServingStatus::NotServing).await;

    operator::give_back(&delivery_database).await;
    services::until_health_is(&delivery, ServingStatus::Serving).await;
    let next = eventually("writes go on", async || deliveries::create(&delivery, &next).await).await;
    assert_eq!(deliveries::get(&delivery, &stored.delivery_id).await.expect("it is there as it was"), stored);
    assert_eq!(deliveries::stored_ids(&delivery).await, [next.delivery_id, stored.delivery_id]);
}

async fn of_each_call(delivery: &Service, delivery_id: &str, shop: &Shop) -> [Refusal; 5] {
    let mut client = clients::delivery(delivery);
    let (delivery_id, version) = (delivery_id.to_owned(), 0);
    let get = delivery_wire::GetDeliveryRequest { delivery_id: delivery_id.clone() };
    let dispatch = delivery_wire::DispatchDeliveryRequest { delivery_id: delivery_id.clone(), version };
    let cancel = delivery_wire::CancelDeliveryRequest { delivery_id, version };
    [
        refused(client.create_delivery(deliveries::order(&shop.milk, &shop.city)).await),
        refused(client.get_delivery(get).await),
        refused(client.list_deliveries(delivery_wire::ListDeliveriesRequest::default()).await),
        refused(client.dispatch_delivery(dispatch).await),
        refused(client.cancel_delivery(cancel).await),
    ]
}
