//! The smallest honest Product: answers CanDeliver out of a map, with an answer of the same size as the real one's.

use std::collections::HashMap;
use std::sync::Arc;

use proto::product::v1::product_service_server::ProductService;
use proto::product::v1::{self as wire};
use tonic::{Request, Response, Status};

/// The pair that is asked for, in each language's peer the same: a book of the sample catalogue, and Amsterdam.
pub const PRODUCT: &str = "027f21eb-dff8-5a45-a968-83723d4b7023";
/// See [`PRODUCT`].
pub const LOCATION: &str = "552c3cc0-c918-5453-af41-5955783465e4";
const RULE: &str = "3f0c5a0e-9d3b-5b1e-8f57-6f0f4a1d2c3b";
/// As long as a real token.
const REVISION: &str = "AQGTUcbDeXvLp8MJ4bUmkQAAAAAAAAAB";
/// Any instant of today.
const AS_OF: prost_types::Timestamp = prost_types::Timestamp { seconds: 1_795_000_000, nanos: 123_456_000 };

/// Decisions by product, then by location.
type Answers = HashMap<String, HashMap<String, wire::Decision>>;

/// Says that nobody listens to tracing. sqlx, which one of these peers needs, builds tracing for all of them so that it writes
/// to `log` where nothing is set: nine percent of a call's instructions, for nothing. Every real service sets something.
pub fn listen_to_nothing() {
    let nothing = tracing::subscriber::NoSubscriber::default();
    // It fails where something is set already, which does as well.
    let _ = tracing::subscriber::set_global_default(nothing);
}

/// Answers out of a map.
#[derive(Clone, Debug)]
pub struct Hello {
    answers: Arc<Answers>,
}

// === impl Hello ===

impl Hello {
    /// One that knows the pair that is asked for.
    #[must_use]
    pub fn new() -> Self {
        let decision = wire::Decision {
            verdict: wire::Verdict::Deliverable.into(),
            reason: wire::Reason::Allowed.into(),
            deciding_rules: vec![wire::RuleRef { rule_id: RULE.to_owned(), version: 1 }],
            revision: REVISION.to_owned(),
            as_of_time: Some(AS_OF),
            ..Default::default()
        };
        let of_product = HashMap::from([(LOCATION.to_owned(), decision)]);
        Self { answers: Arc::new(HashMap::from([(PRODUCT.to_owned(), of_product)])) }
    }
}

impl Default for Hello {
    fn default() -> Self {
        Self::new()
    }
}

#[tonic::async_trait]
impl ProductService for Hello {
    type WatchChangesStream = tokio_stream::Empty<Result<wire::WatchChangesResponse, Status>>;

    async fn can_deliver(
        &self,
        request: Request<wire::CanDeliverRequest>,
    ) -> Result<Response<wire::CanDeliverResponse>, Status> {
        let question = request.get_ref();
        let known =
            self.answers.get(&question.product_id).and_then(|answers| answers.get(&question.location_id));
        let decision = known.cloned().unwrap_or_else(|| wire::Decision {
            verdict: wire::Verdict::NotDeliverable.into(),
            reason: wire::Reason::ProductUnknown.into(),
            ..Default::default()
        });
        Ok(Response::new(wire::CanDeliverResponse { decision: Some(decision) }))
    }

    async fn batch_can_deliver(
        &self,
        _: Request<wire::BatchCanDeliverRequest>,
    ) -> Result<Response<wire::BatchCanDeliverResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn resolve_location(
        &self,
        _: Request<wire::ResolveLocationRequest>,
    ) -> Result<Response<wire::ResolveLocationResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_product(
        &self,
        _: Request<wire::GetProductRequest>,
    ) -> Result<Response<wire::GetProductResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn list_products(
        &self,
        _: Request<wire::ListProductsRequest>,
    ) -> Result<Response<wire::ListProductsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_location(
        &self,
        _: Request<wire::GetLocationRequest>,
    ) -> Result<Response<wire::GetLocationResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn list_locations(
        &self,
        _: Request<wire::ListLocationsRequest>,
    ) -> Result<Response<wire::ListLocationsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn watch_changes(
        &self,
        _: Request<wire::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
