//! A Delivery as one writes it first: tonic's Server, one tonic Channel to Product, and each delivery a transaction of its
//! own on sqlx's pool. Without a database it writes nothing: what a call through it costs.
//!
//! One current-thread runtime and mimalloc, so that it is slower only by what it does.

mod pool;

use anyhow::Context;
use bench_peers::listen_to_nothing;
use pool::Pool;
use proto::delivery::v1::delivery_service_server::{DeliveryService, DeliveryServiceServer};
use proto::delivery::v1::{self as wire};
use proto::product::v1::product_service_client::ProductServiceClient;
use proto::product::v1::{CanDeliverRequest, Verdict};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone, Debug)]
struct Plain {
    products: ProductServiceClient<Channel>,
    pool: Option<Pool>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    listen_to_nothing();
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: plain-delivery ADDRESS PRODUCT-URL [DATABASE-URL]";
    let address = arguments.next().context(usage)?.parse()?;
    let channel = Endpoint::from_shared(arguments.next().context(usage)?)?.connect_lazy();
    let pool = match arguments.next() {
        Some(url) => Some(Pool::open(&url).await?),
        None => None,
    };
    let plain = Plain { products: ProductServiceClient::new(channel), pool };
    Server::builder().add_service(DeliveryServiceServer::new(plain)).serve(address).await?;
    Ok(())
}

#[tonic::async_trait]
impl DeliveryService for Plain {
    async fn create_delivery(
        &self,
        request: Request<wire::CreateDeliveryRequest>,
    ) -> Result<Response<wire::CreateDeliveryResponse>, Status> {
        let order = request.into_inner();
        let question = CanDeliverRequest {
            product_id: order.product_id.clone(),
            location_id: order.location_id.clone(),
            ..Default::default()
        };
        let decision = self.products.clone().can_deliver(question).await?.into_inner().decision;
        let decision = decision.ok_or_else(|| Status::internal("an answer without a decision"))?;
        if decision.verdict() != Verdict::Deliverable {
            return Err(Status::failed_precondition("not deliverable"));
        }
        let id = Uuid::now_v7();
        if let Some(pool) = &self.pool {
            pool.insert(id, &order, &decision)
                .await
                .map_err(|error| Status::unavailable(error.to_string()))?;
        }
        let admission = wire::Admission {
            verdict: wire::Verdict::Deliverable.into(),
            reason: "ALLOWED".to_owned(),
            source: wire::AdmissionSource::Live.into(),
            revision: decision.revision,
            check_time: decision.as_of_time,
            verify_by: None,
            deciding_rules: decision
                .deciding_rules
                .into_iter()
                .map(|rule| wire::DecidingRule { rule_id: rule.rule_id, version: rule.version })
                .collect(),
        };
        let delivery = wire::Delivery {
            delivery_id: id.to_string(),
            product_id: order.product_id,
            location_id: order.location_id,
            quantity: order.quantity.unwrap_or(1),
            state: wire::DeliveryState::Confirmed.into(),
            create_time: decision.as_of_time,
            update_time: decision.as_of_time,
            admission: Some(admission),
            version: 1,
            ..Default::default()
        };
        Ok(Response::new(wire::CreateDeliveryResponse { delivery: Some(delivery) }))
    }

    async fn get_delivery(
        &self,
        _: Request<wire::GetDeliveryRequest>,
    ) -> Result<Response<wire::GetDeliveryResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn list_deliveries(
        &self,
        _: Request<wire::ListDeliveriesRequest>,
    ) -> Result<Response<wire::ListDeliveriesResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn dispatch_delivery(
        &self,
        _: Request<wire::DispatchDeliveryRequest>,
    ) -> Result<Response<wire::DispatchDeliveryResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn complete_delivery(
        &self,
        _: Request<wire::CompleteDeliveryRequest>,
    ) -> Result<Response<wire::CompleteDeliveryResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn return_delivery(
        &self,
        _: Request<wire::ReturnDeliveryRequest>,
    ) -> Result<Response<wire::ReturnDeliveryResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn cancel_delivery(
        &self,
        _: Request<wire::CancelDeliveryRequest>,
    ) -> Result<Response<wire::CancelDeliveryResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
