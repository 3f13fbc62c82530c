//! Creating a delivery: Product is asked, and the policy says what to do when it is silent.

use std::time::Duration;

use chassis::database::StoreError;
use chassis::deadline::Deadline;
use deliverability::{Timestamp, Verdict};

use crate::domain::{Delivery, DeliveryId, Order, RevisionToken, Source};
use crate::products::{Answer, BadRevision, Decision, Products, Silence, Why};
use crate::store::{Created, Store};
use crate::time;

/// Times that Product is asked when each decision ends before it can be stored. A catalogue whose rules change that often
/// has no lasting answer.
const MAX_ROUNDS: u32 = 3;

/// What a caller wants stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The caller's own id; `None`: make one.
    pub id: Option<DeliveryId>,
    /// What is to be delivered where.
    pub order: Order,
    /// What to do when Product is silent.
    pub policy: Policy,
    /// How fresh Product's answer must be.
    pub min_revision: Option<RevisionToken>,
}

/// What to do when Product is silent. See `metrics/admissions.rs`, which knows them by their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Store nothing and say so.
    Strict,
    /// Store it as PENDING and ask later.
    Defer,
}

/// How far DEFER goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeferLimits {
    /// How long Product is asked for.
    pub verify_within: Duration,
    /// How many may wait at once.
    pub max_pending: u32,
}

/// A delivery to answer with.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// As it is stored.
    pub delivery: Delivery,
    /// Whether the same request stored it before.
    pub is_repeated: bool,
}

/// Why a delivery was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is another with this id.
    #[error("there is another delivery with the id {0}")]
    Exists(DeliveryId),
    /// Product says no.
    #[error("not deliverable: {}", .0.reason)]
    NotDeliverable(Decision),
    /// Product can't answer to this min_revision.
    #[error("min_revision {0}")]
    BadRevision(BadRevision),
    /// Product is silent, and the policy is STRICT; or there was no time to ask.
    #[error("{}", .0.why)]
    ProductSilent(Silence),
    /// Product is silent, the policy is DEFER, and too many wait already.
    #[error("too many deliveries wait for Product")]
    TooManyPending,
    /// The database gave no answer: whether the delivery was stored is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates a delivery, or gives back the one that was created by the same request before.
///
/// # Errors
/// Nothing was stored, unless the database is silent.
pub async fn create(
    store: &Store,
    products: &Products,
    limits: DeferLimits,
    wanted: Wanted,
    deadline: Deadline,
) -> Result<Answered, CreateError> {
    // A repeated request gets its delivery even while Product is silent, and whatever Product would say today.
    if let Some(id) = wanted.id
        && let Some(before) = store.find_same(id, &wanted.order).await?
        && let Some(answered) = accepted(id, before)?
    {
        return Ok(answered);
    }
    let id = wanted.id.unwrap_or_else(DeliveryId::fresh);
    let asking = Asking { store, limits, id, wanted: &wanted, deadline };
    for _ in 0..MAX_ROUNDS {
        let decision = match products.decide(&wanted.order, wanted.min_revision.as_ref(), deadline).await {
            Answer::Decided(decision) => decision,
            Answer::BadRevision(bad) => return Err(CreateError::BadRevision(bad)),
            Answer::Silent(silence) => return asking.without_an_answer(silence).await,
        };
        if decision.verdict == Verdict::NotDeliverable {
            return Err(CreateError::NotDeliverable(decision));
        }
        if let Some(answered) = asking.confirm(decision).await? {
            return Ok(answered);
        }
    }
    let silence = Silence { attempts: MAX_ROUNDS, ..Silence::new(Why::Lapsed) };
    asking.without_an_answer(silence).await
}

/// A create on its way.
struct Asking<'a> {
    store: &'a Store,
    limits: DeferLimits,
    id: DeliveryId,
    wanted: &'a Wanted,
    deadline: Deadline,
}

// === impl Asking ===

impl Asking<'_> {
    /// Stores what Product said yes to; `None` if the yes ended before that.
    async fn confirm(&self, decision: Decision) -> Result<Option<Answered>, CreateError> {
        let valid_until = decision.valid_until;
        let evidence = decision.into_evidence(Source::Live);
        let delivery = Delivery::confirmed(self.id, self.wanted.order.clone(), evidence, time::now());
        self.save(delivery, valid_until).await
    }

    /// What the caller wants when Product is silent.
    async fn without_an_answer(&self, silence: Silence) -> Result<Answered, CreateError> {
        // A caller without the time for one question has not found Product silent; nobody has asked.
        let nobody_asked = silence.why == Why::CallersDeadline && silence.attempts == 0;
        if self.wanted.policy == Policy::Strict || nobody_asked {
            return Err(CreateError::ProductSilent(silence));
        }
        let now = time::now();
        let verify_by = time::after(now, self.limits.verify_within);
        let (order, min_revision) = (self.wanted.order.clone(), self.wanted.min_revision.clone());
        let delivery = Delivery::pending(self.id, order, min_revision, verify_by, now);
        // It rests on no decision, so none can end.
        self.save(delivery, None).await?.ok_or(CreateError::ProductSilent(silence))
    }

    async fn save(
        &self,
        delivery: Delivery,
        valid_until: Option<Timestamp>,
    ) -> Result<Option<Answered>, CreateError> {
        let created = self.store.create(delivery, valid_until, self.limits.max_pending, self.deadline);
        accepted(self.id, created.await?)
    }
}

/// What to answer with; `None`: the decision lapsed.
fn accepted(id: DeliveryId, created: Created) -> Result<Option<Answered>, CreateError> {
    match created {
        Created::Stored(delivery) => Ok(Some(Answered { delivery, is_repeated: false })),
        Created::Existing(delivery) => Ok(Some(Answered { delivery, is_repeated: true })),
        Created::OtherContent => Err(CreateError::Exists(id)),
        Created::TooManyPending => Err(CreateError::TooManyPending),
        Created::Lapsed => Ok(None),
    }
}
