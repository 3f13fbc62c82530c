//! Messages into objects that can't be wrong; every bad field is named, all at once.

use chassis::page;
use chassis::status::{Failure, Violation, Violations};
use deliverability::{LocationId, ProductId, Quantity};
use proto::delivery::v1 as wire;
use tonic::Status;

use crate::create::{Policy, Wanted};
use crate::domain::{DeliveryId, ExternalReference, Order, RevisionToken, State};
use crate::store::{Cursor, Filter};

/// A page that is asked for.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) filter: Filter,
    pub(super) after: Cursor,
    pub(super) page_size: u32,
}

pub(super) fn wanted(request: &wire::CreateDeliveryRequest) -> Result<Wanted, Status> {
    let mut bad = Violations::default();
    let id = bad.check_optional("delivery_id", request.delivery_id.as_deref().map(DeliveryId::parse));
    let product = bad.check("product_id", ProductId::parse(&request.product_id));
    let location = bad.check("location_id", LocationId::parse(&request.location_id));
    let quantity = request.quantity.map_or_else(|| Ok(Quantity::default()), Quantity::new);
    let quantity = bad.check("quantity", quantity);
    let external_reference = reference(&request.external_reference, &mut bad);
    let policy = match wire::AdmissionPolicy::try_from(request.admission_policy) {
        Ok(wire::AdmissionPolicy::Unspecified | wire::AdmissionPolicy::Strict) => Some(Policy::Strict),
        Ok(wire::AdmissionPolicy::Defer) => Some(Policy::Defer),
        Err(_) => {
            bad.add("admission_policy", "must be one of the policies that AdmissionPolicy lists");
            None
        }
    };
    let token = request.min_revision.as_deref().map(RevisionToken::parse);
    let min_revision = bad.check_optional("min_revision", token);
    let wanted = (|| {
        let order = Order { product: product?, location: location?, quantity: quantity?, external_reference };
        Some(Wanted { id, order, policy: policy?, min_revision })
    })();
    bad.finish(wanted).map_err(invalid)
}

pub(super) fn listing(request: &wire::ListDeliveriesRequest) -> Result<Listing, Status> {
    let mut bad = Violations::default();
    let page_size = bad.check("page_size", page::size(request.page_size));
    let state = match wire::DeliveryState::try_from(request.state) {
        Ok(state) => parse_state(state),
        Err(_) => {
            bad.add("state", "must be one of the states that DeliveryState lists");
            None
        }
    };
    let filter = Filter {
        state,
        product: bad.check_optional("product_id", request.product_id.as_deref().map(ProductId::parse)),
        location: bad.check_optional("location_id", request.location_id.as_deref().map(LocationId::parse)),
        external_reference: reference(&request.external_reference, &mut bad),
    };
    // A token can only be held against filters that are themselves what was meant.
    let key = if bad.is_empty() {
        bad.check("page_token", page::key(&request.page_token, &filter)).flatten()
    } else {
        None
    };
    let after = key.map_or(Cursor::START, Cursor::from_bytes);
    let listing = page_size.map(|page_size| Listing { filter, after, page_size });
    bad.finish(listing).map_err(invalid)
}

/// Which delivery, and the version it was read at; 0 is whichever it is.
pub(super) fn transition(delivery_id: &str, version: u32) -> Result<(DeliveryId, Option<u32>), Status> {
    Ok((id(delivery_id)?, (version != 0).then_some(version)))
}

pub(super) fn id(delivery_id: &str) -> Result<DeliveryId, Status> {
    let mut bad = Violations::default();
    let id = bad.check("delivery_id", DeliveryId::parse(delivery_id));
    bad.finish(id).map_err(invalid)
}

fn invalid(bad: Vec<Violation>) -> Status {
    Failure::invalid_fields(bad).into()
}

/// Empty is none.
fn reference(text: &str, bad: &mut Violations) -> Option<ExternalReference> {
    let given = (!text.is_empty()).then(|| ExternalReference::parse(text));
    bad.check_optional("external_reference", given)
}

fn parse_state(state: wire::DeliveryState) -> Option<State> {
    match state {
        wire::DeliveryState::Unspecified => None,
        wire::DeliveryState::Pending => Some(State::Pending),
        wire::DeliveryState::Confirmed => Some(State::Confirmed),
        wire::DeliveryState::Rejected => Some(State::Rejected),
        wire::DeliveryState::Expired => Some(State::Expired),
        wire::DeliveryState::Dispatched => Some(State::Dispatched),
        wire::DeliveryState::Delivered => Some(State::Delivered),
        wire::DeliveryState::Returned => Some(State::Returned),
        wire::DeliveryState::Cancelled => Some(State::Cancelled),
    }
}

#[cfg(test)]
mod tests {
    use chassis::status;

    use super::*;

    fn fields(status: &Status) -> Vec<String> {
        status::violations(status).into_iter().map(|violation| violation.field).collect()
    }

    fn create() -> wire::CreateDeliveryRequest {
        wire::CreateDeliveryRequest {
            product_id: "2eb73728-2fea-475e-b536-5e1458294a90".to_owned(),
            location_id: "2eb73728-2fea-475e-b536-5e1458294a91".to_owned(),
            ..wire::CreateDeliveryRequest::default()
        }
    }

    #[test]
    fn what_is_absent_has_its_default() {
        let wanted = wanted(&create()).unwrap();
        assert_eq!((wanted.id, wanted.policy, wanted.min_revision), (None, Policy::Strict, None));
        assert_eq!((wanted.order.quantity.get(), wanted.order.external_reference), (1, None));
    }

    #[test]
    fn every_bad_field_of_a_create_is_named() {
        let request = wire::CreateDeliveryRequest {
            delivery_id: Some(String::new()),
            product_id: "x".to_owned(),
            location_id: String::new(),
            quantity: Some(0),
            external_reference: "a\0b".to_owned(),
            admission_policy: 9,
            min_revision: Some("no token".to_owned()),
        };
        let named = fields(&wanted(&request).unwrap_err());
        let all = [
            "delivery_id",
            "product_id",
            "location_id",
            "quantity",
            "external_reference",
            "admission_policy",
            "min_revision",
        ];
        assert_eq!(named, all);
    }

    #[test]
    fn every_bad_field_of_a_listing_is_named() {
        let request = wire::ListDeliveriesRequest {
            page_size: 1_001,
            page_token: "x".to_owned(),
            state: 99,
            product_id: Some("x".to_owned()),
            location_id: Some(String::new()),
            external_reference: "\n".to_owned(),
        };
        let named = fields(&listing(&request).unwrap_err());
        assert_eq!(named, ["page_size", "state", "product_id", "location_id", "external_reference"]);
        let token_alone = wire::ListDeliveriesRequest {
            page_token: "x".to_owned(),
            ..wire::ListDeliveriesRequest::default()
        };
        assert_eq!(fields(&listing(&token_alone).unwrap_err()), ["page_token"]);
    }
}
