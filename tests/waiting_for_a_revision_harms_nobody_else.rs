//! Callers who ask for a revision that Product does not have wait in vain, and those who don't go on being answered.

use futures_util::future::join_all;
use proto::delivery::v1::CreateDeliveryRequest;

use crate::support::callers::{Callers, assert_all_ok};
use crate::support::catalogue::open_shop;
use crate::support::databases::Throwaway;
use crate::support::{deliveries, questions, services};

/// Twice as many as a breaker needs to judge by.
const WAITING: usize = 20;

#[tokio::test]
async fn waiting_for_a_revision_harms_nobody_else() {
    let (product_database, database) = (Throwaway::sqlite(), Throwaway::sqlite());
    let product = services::product(&product_database).await;
    let shop = open_shop(&product).await;
    let delivery = services::delivery(&database, product.address).await;
    let callers = Callers::of(&delivery, &shop).await;

    let too_fresh = || CreateDeliveryRequest {
        min_revision: Some(questions::far_ahead(&shop.revision)),
        ..deliveries::order(&shop.milk, &shop.city)
    };
    let orders: Vec<_> = (0..WAITING).map(|_| too_fresh()).collect();
    let waiting = join_all(orders.iter().map(|order| deliveries::create(&delivery, order)));
    let in_vain = waiting.await;
    assert!(in_vain.iter().all(Result::is_err), "{in_vain:?}");
    assert_all_ok(&callers.create(20).await);
}
