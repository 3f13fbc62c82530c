//! What Delivery has acknowledged is there after SIGKILL: once, as it was sent, and nothing else is.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use futures_util::future::join_all;
use proto::delivery::v1 as wire;
use tonic::transport::Channel;
use tonic::{Code, Status};
use wire::delivery_service_client::DeliveryServiceClient;

use crate::support::catalogue::{Shop, open_shop};
use crate::support::databases::{Throwaway, on_both};
use crate::support::deliveries::{id_of, order};
use crate::support::process::Service;
use crate::support::{clients, deliveries, eventually, services};

const KILLS: usize = 20;
const CALLERS: usize = 6;
/// So many are acknowledged between two kills that each of them comes under load.
const ACKNOWLEDGED_BETWEEN_KILLS: usize = 4 * CALLERS;

on_both!(every_acknowledged_delivery_survives_sigkill);

async fn every_acknowledged_delivery_survives_sigkill(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, delivery_database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let shop = open_shop(&product).await;
    let mut delivery = services::delivery(&delivery_database, product.address).await;

    let load = Load {
        client: clients::delivery(&delivery),
        shop,
        acknowledged: RefCell::default(),
        ended: Cell::new(false),
    };
    let killing = async {
        for _ in 0..KILLS {
            load.acknowledges(ACKNOWLEDGED_BETWEEN_KILLS).await;
            let address = delivery.kill();
            delivery = restarted(address, &delivery_database, &product).await;
        }
        load.ended.set(true);
        delivery
    };
    let (delivery, _) = tokio::join!(killing, join_all((0..CALLERS).map(|caller| load.order_as(caller))));

    let acknowledged = load.acknowledged.into_inner();
    let mut stored = HashMap::new();
    for found in deliveries::all(&delivery).await {
        let again = stored.insert(found.delivery_id.clone(), found);
        assert_eq!(again, None, "stored once");
    }
    for (id, sent) in &acknowledged {
        is_as_sent(stored.get(id).expect("what was acknowledged is there"), sent);
    }
    assert_eq!(stored.len(), acknowledged.len(), "nothing is there that nobody asked for");
}

async fn restarted(address: std::net::SocketAddr, database: &Throwaway, product: &Service) -> Service {
    let (database_url, product_url) = (database.url(), product.url());
    let arguments = ["--database-url", &database_url, "--product-url", &product_url];
    Service::start("delivery", Some(address), &arguments).await
}

/// What several callers do at once.
struct Load {
    client: DeliveryServiceClient<Channel>,
    shop: Shop,
    /// What was sent and acknowledged, by delivery id.
    acknowledged: RefCell<HashMap<String, wire::CreateDeliveryRequest>>,
    ended: Cell<bool>,
}

// === impl Load ===

impl Load {
    /// Waits until so many more deliveries are acknowledged.
    async fn acknowledges(&self, more: usize) {
        let goal = self.acknowledged.borrow().len() + more;
        eventually("deliveries are acknowledged", async || match self.acknowledged.borrow().len() {
            enough if enough >= goal => Ok(()),
            count => Err(count),
        })
        .await;
    }

    /// Orders one delivery after the other, each until its outcome is known.
    async fn order_as(&self, caller: usize) {
        let mut sent = 0;
        while !self.ended.get() {
            sent += 1;
            let wanted = wire::CreateDeliveryRequest {
                quantity: Some(sent),
                external_reference: format!("caller {caller}, order {sent}"),
                ..order(&self.shop.rock, &self.shop.city)
            };
            // The same id again and again: were the first one stored, the second would not be.
            let answer = eventually("an answer", async || {
                let outcome = self.client.clone().create_delivery(wanted.clone()).await;
                outcome.map_err(outcome_unknown)
            })
            .await;
            is_as_sent(&answer.into_inner().delivery.expect("always present"), &wanted);
            self.acknowledged.borrow_mut().insert(id_of(&wanted), wanted);
        }
    }
}

/// The only errors that a killed server may leave behind.
fn outcome_unknown(status: Status) -> Status {
    assert!(matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{status:?}");
    status
}

fn is_as_sent(stored: &wire::Delivery, sent: &wire::CreateDeliveryRequest) {
    assert_eq!(stored.delivery_id, id_of(sent));
    assert_eq!((&stored.product_id, &stored.location_id), (&sent.product_id, &sent.location_id));
    assert_eq!(
        (Some(stored.quantity), &stored.external_reference),
        (sent.quantity, &sent.external_reference)
    );
    assert_eq!((stored.state(), stored.version), (wire::DeliveryState::Confirmed, 1));
}
