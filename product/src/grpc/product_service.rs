//! ProductService: what other services may ask.

use std::sync::Arc;

use chassis::deadline::Deadline;
use chassis::metrics::Shard;
use chassis::status::{Failure, Violations};
use chassis::{clock, page};
use deliverability::{
    Address, Code, Location, LocationId, Name, Postcode, Product, ProductId, Question, State, Timestamp,
};
use proto::product::v1::product_service_server::ProductService;
use proto::product::v1::{self as wire};
use tonic::{Code as GrpcCode, Request, Response, Status};
use uuid::Uuid;

use super::statuses::{not_found, read_at_least, unavailable};
use super::watch::{Changes, Watches};
use super::{parse, render};
use crate::index::{Index, Reading};
use crate::metrics::{Decisions, REASONS};
use crate::revision::Head;
use crate::store::{Kind, Known, Listing, Store};

/// Questions in one batch: about 200 kB of request, and under a millisecond of work.
const MAX_BATCH_ITEMS: usize = 1_000;
/// Bytes of a correlation id: a UUID or two.
const MAX_CORRELATION_BYTES: usize = 64;

/// Answers ProductService's calls.
#[derive(Clone)]
pub struct ProductHandlers {
    store: Store,
    index: Arc<Index>,
    watches: Watches,
    /// Of this runtime.
    decisions: Arc<Shard<REASONS>>,
}

// === impl ProductHandlers ===

impl ProductHandlers {
    /// Handlers of one runtime over a store and the index that follows it. `watches` and `decisions` are shared by all of
    /// them in the process.
    #[must_use]
    pub fn new(store: Store, index: Arc<Index>, watches: Watches, decisions: &Decisions) -> Self {
        Self { store, index, watches, decisions: decisions.shard() }
    }

    fn decide(&self, reading: &Reading, question: &Question, explain: bool) -> wire::Decision {
        let (decision, explanation) = if explain {
            reading.catalogue.explain(question)
        } else {
            (reading.catalogue.decide(question), Vec::new())
        };
        self.decisions.add(decision.reason as usize, 1);
        let explanation = explanation.into_iter().map(render::explanation).collect();
        wire::Decision { explanation, ..render::decision(&decision) }
    }

    fn as_of_time(&self) -> Option<prost_types::Timestamp> {
        self.index.current_at().map(render::timestamp)
    }
}

/// The wall clock, as rules see it.
fn now() -> Timestamp {
    Timestamp::from_unix_micros(clock::unix_micros())
        .unwrap_or_else(|_| unreachable!("the clock is in this era"))
}

fn min_revision(token: Option<&str>, bad: &mut Violations) -> Option<Head> {
    bad.check_optional("min_revision", token.map(Head::parse))
}

/// The fields of a question that a request and an item of a batch share.
fn question(
    product_id: &str,
    location_id: &str,
    quantity: Option<u32>,
    at: Timestamp,
    bad: &mut Violations,
) -> Option<Question> {
    let product = bad.check("product_id", ProductId::parse(product_id));
    let location = bad.check("location_id", LocationId::parse(location_id));
    let quantity = bad.check("quantity", parse::quantity(quantity));
    Some(Question { product: product?, location: location?, quantity: quantity?, at })
}

#[tonic::async_trait]
impl ProductService for ProductHandlers {
    type WatchChangesStream = Changes;

    async fn can_deliver(
        &self,
        request: Request<wire::CanDeliverRequest>,
    ) -> Result<Response<wire::CanDeliverResponse>, Status> {
        let deadline = Deadline::current();
        let request = request.into_inner();
        let (question, min_revision) = single(&request).map_err(Failure::invalid_fields)?;

        let reading = read_at_least(&self.index, min_revision, deadline).await?;
        let decision = wire::Decision {
            revision: reading.token.clone(),
            as_of_time: self.as_of_time(),
            ..self.decide(&reading, &question, request.explain)
        };
        Ok(Response::new(wire::CanDeliverResponse { decision: Some(decision) }))
    }

    async fn batch_can_deliver(
        &self,
        request: Request<wire::BatchCanDeliverRequest>,
    ) -> Result<Response<wire::BatchCanDeliverResponse>, Status> {
        let deadline = Deadline::current();
        let request = request.into_inner();
        let (questions, min_revision) = batch(&request).map_err(Failure::invalid_fields)?;

        let reading = read_at_least(&self.index, min_revision, deadline).await?;
        // All from one snapshot at one instant: a question that is asked twice gets one answer, without a look for it.
        let mut reasons = [0; REASONS];
        let results = request.items.into_iter().zip(&questions).map(|(item, question)| {
            let decision = reading.catalogue.decide(question);
            reasons[decision.reason as usize] += 1;
            wire::BatchResult {
                correlation_id: item.correlation_id,
                decision: Some(render::decision(&decision)),
            }
        });
        let results = results.collect();
        (0..)
            .zip(reasons)
            .filter(|(_, count)| *count > 0)
            .for_each(|(place, count)| self.decisions.add(place, count));
        Ok(Response::new(wire::BatchCanDeliverResponse {
            results,
            revision: reading.token.clone(),
            as_of_time: self.as_of_time(),
        }))
    }

    async fn resolve_location(
        &self,
        request: Request<wire::ResolveLocationRequest>,
    ) -> Result<Response<wire::ResolveLocationResponse>, Status> {
        let address = address(&request.into_inner()).map_err(Failure::invalid_fields)?;
        let reading = self.index.read().map_err(|why| unavailable(&why))?;
        let Some(found) = reading.catalogue.resolve(&address) else {
            let country = address.country.as_str();
            let failure = Failure::new(
                GrpcCode::NotFound,
                "LOCATION_NOT_FOUND",
                format!("no location has the country code {country}"),
            );
            return Err(failure.resource("location", country).into());
        };
        let path = reading.catalogue.path(found).into_iter().map(render::path_entry).collect();
        Ok(Response::new(wire::ResolveLocationResponse {
            location_id: found.to_string(),
            path,
            revision: reading.token.clone(),
        }))
    }

    async fn get_product(
        &self,
        request: Request<wire::GetProductRequest>,
    ) -> Result<Response<wire::GetProductResponse>, Status> {
        let id = parse_id("product_id", ProductId::parse(&request.get_ref().product_id))?;
        let found: Option<Known<Product>> = self.store.get(id).await.map_err(Failure::from)?;
        let found = found.ok_or_else(|| not_found(Kind::Product, id.as_uuid()))?;
        let product = Some(render::product(found.object));
        let (change_time, changed_by) = render::written(found.written);
        Ok(Response::new(wire::GetProductResponse { product, change_time, changed_by }))
    }

    async fn list_products(
        &self,
        request: Request<wire::ListProductsRequest>,
    ) -> Result<Response<wire::ListProductsResponse>, Status> {
        let request = request.into_inner();
        let filters = ("products", request.include_retired);
        let mut bad = Violations::default();
        let listing = listing(request.page_size, &request.page_token, &filters, None, &mut bad);
        let listing = bad.finish(listing).map_err(Failure::invalid_fields)?;
        let products: Vec<Product> = self.store.list(listing.clone()).await.map_err(Failure::from)?;
        let next_page_token =
            next_page_token(&listing, &filters, products.len(), products.last().map(|p| p.id.as_uuid()));
        let shown = products.into_iter().filter(|p| request.include_retired || p.state != State::Retired);
        Ok(Response::new(wire::ListProductsResponse {
            products: shown.map(render::product).collect(),
            next_page_token,
        }))
    }

    async fn get_location(
        &self,
        request: Request<wire::GetLocationRequest>,
    ) -> Result<Response<wire::GetLocationResponse>, Status> {
        let id = parse_id("location_id", LocationId::parse(&request.get_ref().location_id))?;
        let found: Option<Known<Location>> = self.store.get(id).await.map_err(Failure::from)?;
        let found = found.ok_or_else(|| not_found(Kind::Location, id.as_uuid()))?;
        let location = Some(render::location(found.object));
        let (change_time, changed_by) = render::written(found.written);
        Ok(Response::new(wire::GetLocationResponse { location, change_time, changed_by }))
    }

    async fn list_locations(
        &self,
        request: Request<wire::ListLocationsRequest>,
    ) -> Result<Response<wire::ListLocationsResponse>, Status> {
        let request = request.into_inner();
        let mut bad = Violations::default();
        let parent = bad.check_optional("parent_id", request.parent_id.as_deref().map(LocationId::parse));
        let parent = parent.map(LocationId::as_uuid);
        let filters = ("locations", request.include_retired, &request.parent_id);
        let listing = listing(request.page_size, &request.page_token, &filters, parent, &mut bad);
        let listing = bad.finish(listing).map_err(Failure::invalid_fields)?;
        let locations: Vec<Location> = self.store.list(listing.clone()).await.map_err(Failure::from)?;
        let next_page_token =
            next_page_token(&listing, &filters, locations.len(), locations.last().map(|l| l.id.as_uuid()));
        let shown = locations.into_iter().filter(|l| request.include_retired || l.state != State::Retired);
        Ok(Response::new(wire::ListLocationsResponse {
            locations: shown.map(render::location).collect(),
            next_page_token,
        }))
    }

    async fn watch_changes(
        &self,
        request: Request<wire::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        let mut bad = Violations::default();
        let token = request.get_ref().after_revision.as_deref();
        let after = bad.check_optional("after_revision", token.map(Head::parse));
        bad.finish(Some(())).map_err(Failure::invalid_fields)?;
        let changes = self.watches.start(self.store.clone(), Arc::clone(&self.index), after).await?;
        Ok(Response::new(changes))
    }
}

pub(super) fn single(
    request: &wire::CanDeliverRequest,
) -> Result<(Question, Option<Head>), Vec<chassis::status::Violation>> {
    let mut bad = Violations::default();
    let at = match request.at {
        Some(at) => bad.check("at", parse::timestamp(at)).unwrap_or_else(now),
        None => now(),
    };
    let question = question(&request.product_id, &request.location_id, request.quantity, at, &mut bad);
    let min_revision = min_revision(request.min_revision.as_deref(), &mut bad);
    bad.finish(question.map(|question| (question, min_revision)))
}

pub(super) fn batch(
    request: &wire::BatchCanDeliverRequest,
) -> Result<(Vec<Question>, Option<Head>), Vec<chassis::status::Violation>> {
    let mut bad = Violations::default();
    if request.items.len() > MAX_BATCH_ITEMS {
        bad.add("items", format!("must be at most {MAX_BATCH_ITEMS}, and are {}", request.items.len()));
        return Err(bad.into_vec());
    }
    let min_revision = min_revision(request.min_revision.as_deref(), &mut bad);
    let at = now();
    let mut questions = Vec::with_capacity(request.items.len());
    for (position, item) in request.items.iter().enumerate() {
        if let Some(question) = batch_item(item, at, &mut Violations::default()) {
            questions.push(question);
        } else {
            // Read again to be told with its place, which a good one needs not.
            let mut bad_item = Violations::under(format!("items[{position}]."));
            batch_item(item, at, &mut bad_item);
            bad.extend(bad_item);
        }
    }
    bad.finish(Some((questions, min_revision)))
}

fn batch_item(item: &wire::BatchItem, at: Timestamp, bad: &mut Violations) -> Option<Question> {
    let fits = item.correlation_id.len() <= MAX_CORRELATION_BYTES;
    if !fits {
        bad.add("correlation_id", format!("must be at most {MAX_CORRELATION_BYTES} bytes long"));
    }
    question(&item.product_id, &item.location_id, item.quantity, at, bad).filter(|_| fits)
}

pub(super) fn address(
    request: &wire::ResolveLocationRequest,
) -> Result<Address, Vec<chassis::status::Violation>> {
    let given = |text: &str| if text.trim().is_empty() { None } else { Some(text.trim().to_owned()) };
    let mut bad = Violations::default();
    let country = bad.check("country", Code::parse_country(&request.country.trim().to_uppercase()));
    let region = bad.check_optional("region", given(&request.region).map(|text| Name::parse(&text)));
    let city = bad.check_optional("city", given(&request.city).map(|text| Name::parse(&text)));
    let postcode =
        bad.check_optional("postcode", given(&request.postcode).map(|text| Postcode::parse(&text)));
    bad.finish(country.map(|country| Address { country, region, city, postcode }))
}

/// An id that a request consists of.
pub(super) fn parse_id<T>(field: &str, parsed: Result<T, deliverability::Invalid>) -> Result<T, Failure> {
    let mut bad = Violations::default();
    let id = bad.check(field, parsed);
    bad.finish(id).map_err(Failure::invalid_fields)
}

/// What a request for a page asks for.
pub(super) fn listing(
    page_size: u32,
    page_token: &str,
    filters: &impl std::hash::Hash,
    parent: Option<Uuid>,
    bad: &mut Violations,
) -> Option<Listing> {
    let limit = bad.check("page_size", page::size(page_size));
    let after = bad.check("page_token", page::key::<16>(page_token, filters));
    Some(Listing { after: after?.map_or(Uuid::nil(), Uuid::from_bytes), limit: limit?, parent })
}

/// The token of the page after one that ended with `last`; empty after the last page.
pub(super) fn next_page_token(
    listing: &Listing,
    filters: &impl std::hash::Hash,
    rows: usize,
    last: Option<Uuid>,
) -> String {
    match last {
        Some(last) if u32::try_from(rows) == Ok(listing.limit) => page::token(filters, last.as_bytes()),
        _ => String::new(),
    }
}
