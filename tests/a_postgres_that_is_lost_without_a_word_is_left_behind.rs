//! The machine of a PostgreSQL loses its power: no connection ends, and none ever answers again. Once new connections lead
//! somewhere, both services write there within seconds, whatever still waits for an answer on the old ones.

use std::time::Duration;

use crate::support::databases::Throwaway;
use crate::support::proxy::Proxy;
use crate::support::trial::{Says, Trial};

/// As long as a unit of work may take, and a moment. The kernel would take a quarter of an hour.
const BACK_WITHIN: Duration = Duration::from_secs(15);
/// More than a service has connections: each has answered a moment ago then, and is used without a test.
const WRITES: usize = 15;

#[tokio::test]
async fn a_postgres_that_is_lost_without_a_word_is_left_behind() {
    let Some(of_product) = Throwaway::postgres().await else { return };
    let of_delivery = Throwaway::postgres().await.expect("it was there a moment ago");
    let (product, delivery) = (Proxy::start(of_product.url()).await, Proxy::start(of_delivery.url()).await);
    let trial = Trial::start(product.url(), delivery.url(), &[]).await;
    let trial = trial.where_it_says(&[Says::Away, Says::TooLate]);

    let loss = async {
        for _ in 0..WRITES {
            trial.writes().await.expect("all is well");
        }
        product.fall_silent();
        delivery.fall_silent();
        trial.writes().await.expect_err("nobody answers");
        trial.until_nothing_is_written().await;
        product.speak_again();
        delivery.speak_again();
        trial.until_all_is_written_within(BACK_WITHIN).await;
    };
    let ((), failed) = trial.during(loss).await;
    assert!(failed > 0, "nobody answered");
    trial.has_lost_nothing().await;
}
