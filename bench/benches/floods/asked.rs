//! What is asked of a service: by a healthy client, and by who floods it with the same.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proto::delivery::v1 as delivery;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::product::v1::catalogue_service_client::CatalogueServiceClient;
use proto::product::v1::product_service_client::ProductServiceClient;
use proto::product::v1::{self as product, import_row, place_selector, product_selector};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use crate::attack::floods::Target;

pub const DEADLINE: Duration = Duration::from_secs(2);

/// A question about a product and a place to which it can be delivered.
#[derive(Clone, Debug)]
pub struct Asked {
    product_id: String,
    location_id: String,
    creates: bool,
}

// === impl Asked ===

impl Asked {
    /// Asks Product, in whose catalogue both are put.
    pub async fn can_deliver(address: SocketAddr) -> Self {
        let [product_id, location_id, rule_id] = std::array::from_fn(|_| Uuid::now_v7().to_string());
        let place = product::Location {
            location_id: location_id.clone(),
            kind: product::LocationKind::Region.into(),
            name: "anywhere".to_owned(),
            ..Default::default()
        };
        let thing = product::Product {
            product_id: product_id.clone(),
            name: "anything".to_owned(),
            ..Default::default()
        };
        let rule = product::Rule {
            rule_id,
            effect: product::Effect::Allow.into(),
            product: Some(product::ProductSelector { selector: Some(product_selector::Selector::Any(true)) }),
            place: Some(product::PlaceSelector {
                selector: Some(place_selector::Selector::LocationId(location_id.clone())),
            }),
            ..Default::default()
        };
        let rows =
            [import_row::Row::Location(place), import_row::Row::Product(thing), import_row::Row::Rule(rule)];
        let rows = rows.map(|row| product::ImportRow { row: Some(row) }).to_vec();
        let chunk = product::ImportCatalogueRequest { rows, validate_only: false };
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        let chunks = futures_util::stream::iter([chunk]);
        let mut answers =
            CatalogueServiceClient::new(channel).import_catalogue(chunks).await.unwrap().into_inner();
        assert_eq!(answers.message().await.unwrap().unwrap().created, 3);
        Self { product_id, location_id, creates: false }
    }

    /// Asks Delivery, which asks that Product, for a delivery more each time.
    pub fn create_delivery(self) -> Self {
        Self { creates: true, ..self }
    }

    pub fn path(&self) -> &'static str {
        if self.creates {
            "/candeliver.delivery.v1.DeliveryService/CreateDelivery"
        } else {
            "/candeliver.product.v1.ProductService/CanDeliver"
        }
    }

    pub fn target(&self) -> Target {
        // The two ids are fields 1 and 2 of the one message, 2 and 3 of the other, and shorter than 128 bytes.
        let first = if self.creates { 2 } else { 1 };
        let mut message = Vec::new();
        for (number, id) in (first..).zip([&self.product_id, &self.location_id]) {
            message.push(number << 3 | 2);
            message.push(u8::try_from(id.len()).unwrap());
            message.extend_from_slice(id.as_bytes());
        }
        Target { path: self.path().to_owned(), message }
    }

    /// How long an answer took; None if it was an error.
    pub async fn ask(self, channel: Channel) -> Option<Duration> {
        let Self { product_id, location_id, creates } = self;
        let asked = Instant::now();
        let answered = if creates {
            let order = delivery::CreateDeliveryRequest { product_id, location_id, ..Default::default() };
            let answer = DeliveryServiceClient::new(channel).create_delivery(in_time(order)).await;
            answer.map(drop)
        } else {
            let question = product::CanDeliverRequest { product_id, location_id, ..Default::default() };
            ProductServiceClient::new(channel).can_deliver(in_time(question)).await.map(drop)
        };
        answered.ok().map(|()| asked.elapsed())
    }
}

fn in_time<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}
