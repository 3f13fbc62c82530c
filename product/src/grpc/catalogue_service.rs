//! CatalogueService: what catalogue managers may do.

use std::sync::Arc;

use chassis::deadline::Deadline;
use chassis::status::{Failure, Violation, Violations};
use deliverability::{Location, LocationId, Product, ProductId, Rule, RuleId};
use prost_types::FieldMask;
use proto::product::v1::catalogue_service_server::CatalogueService;
use proto::product::v1::{self as wire};
use tonic::{Request, Response, Status, Streaming};

use super::import::{Answers, Imports};
use super::mask::{self, Maskable};
use super::parse::{self, Ids};
use super::product_service::{listing, next_page_token, parse_id};
use super::render;
use super::statuses::{not_found, unavailable, version_not_found, write_error};
use crate::index::Index;
use crate::store::{Author, Checked, Intent, Kind, Known, Object, Saved, Store};

/// Answers CatalogueService's calls.
#[derive(Clone)]
pub struct CatalogueHandlers {
    store: Store,
    index: Arc<Index>,
    imports: Imports,
}

pub(super) type Parse<M, T> = fn(&M, Ids, &str) -> Result<T, Vec<Violation>>;

// === impl CatalogueHandlers ===

impl CatalogueHandlers {
    /// Handlers over a store and the index that follows it. `imports` is shared by all of them in the process.
    #[must_use]
    pub fn new(store: Store, index: Arc<Index>, imports: Imports) -> Self {
        Self { store, index, imports }
    }

    /// Carries an intent out and waits until this process's own index has it.
    async fn write<T>(&self, intent: Intent<T>, deadline: Deadline) -> Result<Saved<T>, Status>
    where
        T: Checked,
    {
        // Nothing is written into a database that is not the one that was read.
        self.index.read().map_err(|why| unavailable(&why))?;
        let saved = self.store.write(intent, Author::current()).await.map_err(write_error)?;
        self.index.settle(saved.head, deadline.instant()).await;
        Ok(saved)
    }
}

/// The object to create.
fn create<M, T>(message: Option<M>, field: &str, parse: Parse<M, T>) -> Result<Intent<T>, Failure>
where
    T: Checked + Object,
{
    let Some(message) = message else {
        return Err(Failure::invalid_fields(vec![Violation::new(field, "must be given")]));
    };
    let object = parse(&message, Ids::MadeIfAbsent, &format!("{field}.")).map_err(Failure::invalid_fields)?;
    if object.has_ended() {
        let state = Violation::new(field, "can't be created retired or deleted");
        return Err(Failure::invalid_fields(vec![state]));
    }
    Ok(Intent::Create(object.with_version(1)))
}

/// The change to make.
pub(super) fn update<M, T>(
    message: Option<M>,
    update_mask: Option<FieldMask>,
    field: &'static str,
    id: impl Fn(&M) -> Result<T::Id, deliverability::Invalid>,
    version: impl Fn(&M) -> u32,
    parse: Parse<M, T>,
    render: fn(T) -> M,
) -> Result<Intent<T>, Failure>
where
    M: Maskable + Send + 'static,
    T: Checked + Object,
{
    let mut bad = Violations::default();
    let paths = mask::paths::<M>(update_mask, &mut bad);
    let Some(sent) = message else {
        bad.add(field, "must be given");
        return Err(Failure::invalid_fields(bad.into_vec()));
    };
    let id = bad.check(format!("{field}.{field}_id"), id(&sent));
    let version = version(&sent);
    if version == 0 {
        bad.add(format!("{field}.version"), "must be the version that was read");
    }
    // Each field that is meant is looked at now, so that a request names all its bad fields at once; whether they fit the
    // other fields is seen when these are read.
    if let Err(violations) = parse(&sent, Ids::MadeIfAbsent, "") {
        let meant =
            |violation: &Violation| paths.iter().any(|path| violation.field.split('.').next() == Some(path));
        violations
            .into_iter()
            .filter(meant)
            .for_each(|v| bad.add(format!("{field}.{}", v.field), v.description));
    }
    let id = bad.finish(id).map_err(Failure::invalid_fields)?;
    let patch = move |stored: &T| {
        let changed = mask::overlay(render(stored.clone()), &sent, &paths);
        let changed = parse(&changed, Ids::Required, &format!("{field}."))?;
        if changed.has_ended() {
            let retired = "RETIRED is set by retiring, not by an update";
            return Err(vec![Violation::new(format!("{field}.state"), retired)]);
        }
        Ok(changed)
    };
    Ok(Intent::Update { id, version, patch: Box::new(patch) })
}

/// The object to end.
fn end<T>(field: &str, id: Result<T::Id, deliverability::Invalid>, version: u32) -> Result<Intent<T>, Failure>
where
    T: Checked + Object,
{
    let version = if version == 0 { None } else { Some(version) };
    Ok(Intent::End { id: parse_id(field, id)?, version })
}

/// The three rpcs that write one kind of object: they differ in their names alone.
macro_rules! writes {
    ($Object:ident, $object:ident, $id:ident, $Id:ident;
     $create:ident $CreateRequest:ident $CreateResponse:ident;
     $update:ident $UpdateRequest:ident $UpdateResponse:ident;
     $end:ident $EndRequest:ident $EndResponse:ident) => {
        impl CatalogueHandlers {
            async fn $create(
                &self,
                request: Request<wire::$CreateRequest>,
            ) -> Result<wire::$CreateResponse, Status> {
                let deadline = Deadline::current();
                let intent = create(request.into_inner().$object, stringify!($object), parse::$object)?;
                let Saved { object, head } = self.write::<$Object>(intent, deadline).await?;
                Ok(wire::$CreateResponse { $object: Some(render::$object(object)), revision: head.token() })
            }

            async fn $update(
                &self,
                request: Request<wire::$UpdateRequest>,
            ) -> Result<wire::$UpdateResponse, Status> {
                let deadline = Deadline::current();
                let request = request.into_inner();
                let intent = update(
                    request.$object,
                    request.update_mask,
                    stringify!($object),
                    |message| $Id::parse(&message.$id),
                    |message| message.version,
                    parse::$object,
                    render::$object,
                )?;
                let Saved { object, head } = self.write::<$Object>(intent, deadline).await?;
                Ok(wire::$UpdateResponse { $object: Some(render::$object(object)), revision: head.token() })
            }

            async fn $end(&self, request: Request<wire::$EndRequest>) -> Result<wire::$EndResponse, Status> {
                let deadline = Deadline::current();
                let request = request.into_inner();
                let intent = end(stringify!($id), $Id::parse(&request.$id), request.version)?;
                let Saved { object, head } = self.write::<$Object>(intent, deadline).await?;
                Ok(wire::$EndResponse { $object: Some(render::$object(object)), revision: head.token() })
            }
        }
    };
}

writes!(Product, product, product_id, ProductId;
    create_one_product CreateProductRequest CreateProductResponse;
    update_one_product UpdateProductRequest UpdateProductResponse;
    retire_one_product RetireProductRequest RetireProductResponse);
writes!(Location, location, location_id, LocationId;
    create_one_location CreateLocationRequest CreateLocationResponse;
    update_one_location UpdateLocationRequest UpdateLocationResponse;
    retire_one_location RetireLocationRequest RetireLocationResponse);
writes!(Rule, rule, rule_id, RuleId;
    create_one_rule CreateRuleRequest CreateRuleResponse;
    update_one_rule UpdateRuleRequest UpdateRuleResponse;
    delete_one_rule DeleteRuleRequest DeleteRuleResponse);

#[tonic::async_trait]
impl CatalogueService for CatalogueHandlers {
    type ImportCatalogueStream = Answers;

    async fn create_product(
        &self,
        request: Request<wire::CreateProductRequest>,
    ) -> Result<Response<wire::CreateProductResponse>, Status> {
        self.create_one_product(request).await.map(Response::new)
    }

    async fn update_product(
        &self,
        request: Request<wire::UpdateProductRequest>,
    ) -> Result<Response<wire::UpdateProductResponse>, Status> {
        self.update_one_product(request).await.map(Response::new)
    }

    async fn retire_product(
        &self,
        request: Request<wire::RetireProductRequest>,
    ) -> Result<Response<wire::RetireProductResponse>, Status> {
        self.retire_one_product(request).await.map(Response::new)
    }

    async fn create_location(
        &self,
        request: Request<wire::CreateLocationRequest>,
    ) -> Result<Response<wire::CreateLocationResponse>, Status> {
        self.create_one_location(request).await.map(Response::new)
    }

    async fn update_location(
        &self,
        request: Request<wire::UpdateLocationRequest>,
    ) -> Result<Response<wire::UpdateLocationResponse>, Status> {
        self.update_one_location(request).await.map(Response::new)
    }

    async fn retire_location(
        &self,
        request: Request<wire::RetireLocationRequest>,
    ) -> Result<Response<wire::RetireLocationResponse>, Status> {
        self.retire_one_location(request).await.map(Response::new)
    }

    async fn create_rule(
        &self,
        request: Request<wire::CreateRuleRequest>,
    ) -> Result<Response<wire::CreateRuleResponse>, Status> {
        self.create_one_rule(request).await.map(Response::new)
    }

    async fn update_rule(
        &self,
        request: Request<wire::UpdateRuleRequest>,
    ) -> Result<Response<wire::UpdateRuleResponse>, Status> {
        self.update_one_rule(request).await.map(Response::new)
    }

    async fn delete_rule(
        &self,
        request: Request<wire::DeleteRuleRequest>,
    ) -> Result<Response<wire::DeleteRuleResponse>, Status> {
        self.delete_one_rule(request).await.map(Response::new)
    }

    async fn get_rule(
        &self,
        request: Request<wire::GetRuleRequest>,
    ) -> Result<Response<wire::GetRuleResponse>, Status> {
        let wire::GetRuleRequest { rule_id, version } = request.into_inner();
        let id = parse_id("rule_id", RuleId::parse(&rule_id))?;
        let found: Option<Known<Rule>> = match version {
            0 => self.store.get(id).await,
            version => self.store.rule_at(id, version).await,
        }
        .map_err(Failure::from)?;
        let Some(Known { object, written }) = found else {
            let now = self.store.get::<Rule>(id).await.map_err(Failure::from)?;
            let Some(now) = now else { return Err(not_found(Kind::Rule, id.as_uuid()).into()) };
            return Err(version_not_found(&now.object, version).into());
        };
        let rule = Some(render::rule(object));
        let (change_time, changed_by) = render::written(written);
        Ok(Response::new(wire::GetRuleResponse { rule, change_time, changed_by }))
    }

    async fn list_rules(
        &self,
        request: Request<wire::ListRulesRequest>,
    ) -> Result<Response<wire::ListRulesResponse>, Status> {
        let request = request.into_inner();
        let filters = ("rules", request.include_deleted);
        let mut bad = Violations::default();
        let listing = listing(request.page_size, &request.page_token, &filters, None, &mut bad);
        let listing = bad.finish(listing).map_err(Failure::invalid_fields)?;
        let rules: Vec<Rule> = self.store.list(listing.clone()).await.map_err(Failure::from)?;
        let next_page_token =
            next_page_token(&listing, &filters, rules.len(), rules.last().map(|r| r.id.as_uuid()));
        let shown = rules.into_iter().filter(|rule| request.include_deleted || !rule.deleted);
        Ok(Response::new(wire::ListRulesResponse {
            rules: shown.map(render::rule).collect(),
            next_page_token,
        }))
    }

    async fn import_catalogue(
        &self,
        request: Request<Streaming<wire::ImportCatalogueRequest>>,
    ) -> Result<Response<Answers>, Status> {
        self.index.read().map_err(|why| unavailable(&why))?;
        let (store, index) = (self.store.clone(), Arc::clone(&self.index));
        self.imports.start(store, index, Author::current(), request.into_inner()).map(Response::new)
    }
}
