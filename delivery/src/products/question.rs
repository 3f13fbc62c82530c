//! What Product is asked. A question is cheap to clone, since it may be sent more than once.

use std::sync::Arc;

use chassis::trace::Trace;
use deliverability::{LocationId, ProductId};
use proto::product::v1 as wire;

use crate::domain::{Order, RevisionToken};

/// Whether one order can be delivered, now.
#[derive(Clone, Debug)]
pub struct Question {
    item: Item,
    trace: Option<Trace>,
    min_revision: Option<Arc<str>>,
}

/// The same of several orders, all at one revision.
#[derive(Clone, Debug)]
pub struct BatchQuestion {
    items: Arc<[Item]>,
    /// Those of its orders that are sampled.
    traces: Arc<[Trace]>,
    min_revision: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    product: ProductId,
    location: LocationId,
    quantity: u32,
}

// === impl Question ===

impl Question {
    pub(super) fn new(order: &Order, min_revision: Option<&RevisionToken>) -> Self {
        Self { item: Item::new(order), trace: Trace::current(), min_revision: shared(min_revision) }
    }

    /// Which traces the answer belongs to.
    pub(super) fn traces(&self) -> &[Trace] {
        self.trace.as_slice()
    }

    pub(super) fn to_message(&self) -> wire::CanDeliverRequest {
        wire::CanDeliverRequest {
            product_id: self.item.product.to_string(),
            location_id: self.item.location.to_string(),
            quantity: Some(self.item.quantity),
            at: None,
            min_revision: self.min_revision.as_deref().map(str::to_owned),
            explain: false,
        }
    }
}

// === impl BatchQuestion ===

impl BatchQuestion {
    /// How many orders it is about.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// About orders, some of them traced.
    pub(super) fn new(orders: &[&Order], traces: &[Trace], min_revision: Option<&RevisionToken>) -> Self {
        let items = orders.iter().map(|order| Item::new(order)).collect();
        Self { items, traces: traces.into(), min_revision: shared(min_revision) }
    }

    /// Which traces the answer belongs to.
    pub(super) fn traces(&self) -> &[Trace] {
        &self.traces
    }

    pub(super) fn to_message(&self) -> wire::BatchCanDeliverRequest {
        let item = |item: &Item| wire::BatchItem {
            correlation_id: String::new(),
            product_id: item.product.to_string(),
            location_id: item.location.to_string(),
            quantity: Some(item.quantity),
        };
        wire::BatchCanDeliverRequest {
            items: self.items.iter().map(item).collect(),
            min_revision: self.min_revision.as_deref().map(str::to_owned),
        }
    }
}

impl From<Vec<Question>> for BatchQuestion {
    /// Questions without a min_revision, together.
    fn from(questions: Vec<Question>) -> Self {
        let sampled =
            questions.iter().filter_map(|question| question.trace.filter(|trace| trace.is_sampled()));
        Self {
            items: questions.iter().map(|question| question.item).collect(),
            traces: sampled.collect(),
            min_revision: None,
        }
    }
}

// === impl Item ===

impl Item {
    fn new(order: &Order) -> Self {
        Self { product: order.product, location: order.location, quantity: order.quantity.get() }
    }
}

fn shared(token: Option<&RevisionToken>) -> Option<Arc<str>> {
    token.map(|token| Arc::from(token.as_str()))
}
