//! A create with an id of the caller's own can be sent again, at once or later, however often: it is one delivery.

use std::collections::HashSet;

use proto::delivery::v1 as wire;
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::catalogue::{id, open_shop};
use crate::support::databases::{Throwaway, on_both};
use crate::support::refusal::{Refusal, refused};
use crate::support::{clients, deliveries, services};

on_both!(the_same_id_twice_is_one_delivery, many_at_once_with_the_same_id_are_one_delivery);

const CALLERS: usize = 32;

async fn the_same_id_twice_is_one_delivery(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let delivery = services::delivery(&delivery_database, product.address).await;
    let shop = open_shop(&product).await;
    let order = wire::CreateDeliveryRequest {
        quantity: Some(3),
        external_reference: "order 7".to_owned(),
        ..deliveries::order(&shop.rock, &shop.city)
    };
    let delivery_id = deliveries::id_of(&order);
    let first = deliveries::create(&delivery, &order).await.expect("rock goes to the city");
    let second = deliveries::create(&delivery, &order).await.expect("the same again");
    assert_eq!(second, first);

    // Without asking Product again: there is none.
    product.kill();
    let third = deliveries::create(&delivery, &order).await.expect("Product is not asked");
    assert_eq!(third, first);
    // How to decide is no part of what is wanted.
    let otherwise = wire::CreateDeliveryRequest {
        admission_policy: wire::AdmissionPolicy::Defer.into(),
        min_revision: Some("of-another-epoch".to_owned()),
        ..order.clone()
    };
    assert_eq!(deliveries::create(&delivery, &otherwise).await.expect("the same content"), first);

    let others = [
        wire::CreateDeliveryRequest { product_id: shop.milk.clone(), ..order.clone() },
        wire::CreateDeliveryRequest { location_id: shop.land.clone(), ..order.clone() },
        wire::CreateDeliveryRequest { quantity: None, ..order.clone() },
        wire::CreateDeliveryRequest { external_reference: String::new(), ..order.clone() },
    ];
    let exists = Refusal::new(Code::AlreadyExists, "DELIVERY_EXISTS").resource("delivery", &delivery_id);
    for other in others {
        assert_eq!(refused(clients::delivery(&delivery).create_delivery(other).await), exists);
    }

    // What has become of the delivery since changes nothing: it is answered as it is now.
    let dispatched = deliveries::dispatch(&delivery, &delivery_id).await.expect("its decision is young");
    assert_eq!(deliveries::create(&delivery, &order).await.expect("the same again"), dispatched);
    assert_eq!(deliveries::stored_ids(&delivery).await, [delivery_id]);
}

async fn many_at_once_with_the_same_id_are_one_delivery(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let delivery = services::delivery(&delivery_database, product.address).await;
    let shop = open_shop(&product).await;

    let same = deliveries::order(&shop.rock, &shop.city);
    let answers = all_at_once(&delivery, vec![same.clone(); CALLERS]).await;
    let stored = deliveries::get(&delivery, &deliveries::id_of(&same)).await.expect("it is stored");
    for answer in answers {
        assert_eq!(answer.expect("each caller gets the one delivery"), stored);
    }

    let delivery_id = id();
    let contents = [&shop.land, &shop.city, &shop.island].map(|location_id| wire::CreateDeliveryRequest {
        delivery_id: Some(delivery_id.clone()),
        ..deliveries::order(&shop.rock, location_id)
    });
    let answers = all_at_once(&delivery, contents.iter().cycle().take(CALLERS).cloned().collect()).await;
    let (wins, losses): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let winners: HashSet<_> = wins.into_iter().flatten().map(|delivery| delivery.location_id).collect();
    assert_eq!(winners.len(), 1, "one content wins, whoever sends it: {winners:?}");
    assert!(losses.len() >= CALLERS / 3 * 2, "the others learn of it: {}", losses.len());
    let exists = Refusal::new(Code::AlreadyExists, "DELIVERY_EXISTS").resource("delivery", &delivery_id);
    for loss in losses.into_iter().filter_map(Result::err) {
        assert_eq!(Refusal::of(&loss), exists);
    }
    assert_eq!(deliveries::stored_ids(&delivery).await, [delivery_id, deliveries::id_of(&same)]);
}

async fn all_at_once(
    delivery: &crate::support::process::Service,
    orders: Vec<wire::CreateDeliveryRequest>,
) -> Vec<Result<wire::Delivery, tonic::Status>> {
    let mut calls = JoinSet::new();
    for order in orders {
        // A connection each: on one, calls might wait for one another.
        let mut client = clients::delivery(delivery);
        calls.spawn(async move {
            let created = client.create_delivery(order).await?;
            Ok(created.into_inner().delivery.expect("always present"))
        });
    }
    calls.join_all().await
}
