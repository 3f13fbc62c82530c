//! DeliveryService: what callers may do with deliveries.

use chassis::deadline::Deadline;
use chassis::page;
use proto::delivery::v1 as wire;
use proto::delivery::v1::delivery_service_server::DeliveryService;
use tonic::{Request, Response, Status};

use super::statuses::{create_error, dispatch_error, refused, store_error, transition_error};
use super::{parse, render};
use crate::create::create;
use crate::dispatch::dispatch;
use crate::domain::{Refusal, Transition};
use crate::metrics::{AdmissionShard, Admissions};
use crate::products::Products;
use crate::server::Rules;
use crate::store::Store;
use crate::time;

/// Answers DeliveryService's calls.
#[derive(Clone, Debug)]
pub struct DeliveryHandlers {
    store: Store,
    products: Products,
    rules: Rules,
    /// Of this runtime.
    admissions: AdmissionShard,
}

// === impl DeliveryHandlers ===

impl DeliveryHandlers {
    /// Handlers of one runtime over a store, with a client of Product on it. `admissions` is shared by all of them in the
    /// process.
    #[must_use]
    pub fn new(store: Store, products: Products, rules: Rules, admissions: &Admissions) -> Self {
        Self { store, products, rules, admissions: admissions.shard() }
    }

    /// Makes a transition that Product has no say in.
    async fn make(
        &self,
        transition: Transition,
        delivery_id: &str,
        version: u32,
        deadline: Deadline,
    ) -> Result<Option<wire::Delivery>, Status> {
        let (id, version) = parse::transition(delivery_id, version)?;
        let made = self.store.transition(id, transition, version, None, time::now(), deadline).await;
        Ok(Some(render::delivery(made.map_err(transition_error)?)))
    }
}

#[tonic::async_trait]
impl DeliveryService for DeliveryHandlers {
    async fn create_delivery(
        &self,
        request: Request<wire::CreateDeliveryRequest>,
    ) -> Result<Response<wire::CreateDeliveryResponse>, Status> {
        let deadline = Deadline::current();
        let wanted = parse::wanted(&request.into_inner())?;
        let policy = wanted.policy;
        let created = create(&self.store, &self.products, self.rules.defer, wanted, deadline).await;
        self.admissions.count(policy, &created);
        let delivery = Some(render::delivery(created.map_err(create_error)?.delivery));
        Ok(Response::new(wire::CreateDeliveryResponse { delivery }))
    }

    async fn get_delivery(
        &self,
        request: Request<wire::GetDeliveryRequest>,
    ) -> Result<Response<wire::GetDeliveryResponse>, Status> {
        let id = parse::id(&request.get_ref().delivery_id)?;
        let stored = self.store.get(id).await.map_err(store_error)?;
        let stored = stored.ok_or_else(|| refused(&Refusal::NotFound { id }))?;
        Ok(Response::new(wire::GetDeliveryResponse { delivery: Some(render::delivery(stored)) }))
    }

    async fn list_deliveries(
        &self,
        request: Request<wire::ListDeliveriesRequest>,
    ) -> Result<Response<wire::ListDeliveriesResponse>, Status> {
        let listing = parse::listing(request.get_ref())?;
        let listed = self.store.list(listing.filter.clone(), listing.after, listing.page_size).await;
        let listed = listed.map_err(store_error)?;
        let next = listed.next.map(|cursor| page::token(&listing.filter, &cursor.to_bytes()));
        Ok(Response::new(wire::ListDeliveriesResponse {
            deliveries: listed.deliveries.into_iter().map(render::delivery).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn dispatch_delivery(
        &self,
        request: Request<wire::DispatchDeliveryRequest>,
    ) -> Result<Response<wire::DispatchDeliveryResponse>, Status> {
        let deadline = Deadline::current();
        let wire::DispatchDeliveryRequest { delivery_id, version } = request.into_inner();
        let (id, version) = parse::transition(&delivery_id, version)?;
        let recheck_after = self.rules.recheck_after;
        let dispatched = dispatch(&self.store, &self.products, recheck_after, id, version, deadline).await;
        let delivery = Some(render::delivery(dispatched.map_err(dispatch_error)?));
        Ok(Response::new(wire::DispatchDeliveryResponse { delivery }))
    }

    async fn complete_delivery(
        &self,
        request: Request<wire::CompleteDeliveryRequest>,
    ) -> Result<Response<wire::CompleteDeliveryResponse>, Status> {
        let deadline = Deadline::current();
        let wire::CompleteDeliveryRequest { delivery_id, version } = request.into_inner();
        let delivery = self.make(Transition::Complete, &delivery_id, version, deadline).await?;
        Ok(Response::new(wire::CompleteDeliveryResponse { delivery }))
    }

    async fn return_delivery(
        &self,
        request: Request<wire::ReturnDeliveryRequest>,
    ) -> Result<Response<wire::ReturnDeliveryResponse>, Status> {
        let deadline = Deadline::current();
        let wire::ReturnDeliveryRequest { delivery_id, version } = request.into_inner();
        let delivery = self.make(Transition::Return, &delivery_id, version, deadline).await?;
        Ok(Response::new(wire::ReturnDeliveryResponse { delivery }))
    }

    async fn cancel_delivery(
        &self,
        request: Request<wire::CancelDeliveryRequest>,
    ) -> Result<Response<wire::CancelDeliveryResponse>, Status> {
        let deadline = Deadline::current();
        let wire::CancelDeliveryRequest { delivery_id, version } = request.into_inner();
        let delivery = self.make(Transition::Cancel, &delivery_id, version, deadline).await?;
        Ok(Response::new(wire::CancelDeliveryResponse { delivery }))
    }
}
