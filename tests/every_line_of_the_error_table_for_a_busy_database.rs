//! What the error table says of a database that takes no writes: the outcome is not known, try again in a moment, and the
//! same id settles it. Readers go on meanwhile.

use proto::product::v1 as wire;
use tonic::Code;

use crate::support::catalogue::{id, open_shop, product};
use crate::support::databases::{Throwaway, on_both};
use crate::support::operator::WriteLock;
use crate::support::refusal::{Refusal, refused};
use crate::support::{clients, deliveries, questions, services};

on_both!(every_line_of_the_error_table_for_a_busy_database);

async fn every_line_of_the_error_table_for_a_busy_database(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product_service = services::product(&product_database).await;
    let delivery = services::delivery(&delivery_database, product_service.address).await;
    let shop = open_shop(&product_service).await;
    let create = wire::CreateProductRequest { product: Some(product(&id(), "new", &[])) };
    let order = deliveries::order(&shop.milk, &shop.city);
    let (mut catalogue, mut client) = (clients::catalogue(&product_service), clients::delivery(&delivery));

    let silent = Refusal::new(Code::Unavailable, "STORE_UNAVAILABLE").retry();
    let locks = [
        WriteLock::take(&product_database, "catalogue_head").await,
        WriteLock::take(&delivery_database, "deliveries").await,
    ];
    let (product_refused, delivery_refused) =
        tokio::join!(catalogue.create_product(create.clone()), client.create_delivery(order.clone()));
    assert_eq!(refused(product_refused), silent);
    assert_eq!(refused(delivery_refused), silent);
    // Readers go on.
    questions::decide(&product_service, &shop.milk, &shop.city, None).await.expect("a decision");
    let get = wire::GetProductRequest { product_id: shop.milk.clone() };
    clients::product(&product_service).get_product(get).await.expect("a product");
    assert_eq!(deliveries::stored_ids(&delivery).await, [""; 0]);

    for lock in locks {
        lock.release().await;
    }
    catalogue.create_product(create).await.expect("the same again");
    let created = deliveries::create(&delivery, &order).await.expect("the same again");
    assert_eq!(deliveries::stored_ids(&delivery).await, [created.delivery_id]);
}
