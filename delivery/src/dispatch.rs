//! Dispatching a delivery: the last moment at which a no still helps, so an old decision is asked for again.

use std::time::Duration;

use chassis::deadline::Deadline;
use deliverability::Verdict;

use crate::domain::{Delivery, DeliveryId, Refusal, Source, Step, Transition};
use crate::products::{Answer, Decision, Products, Silence, Why};
use crate::store::{Store, TransitionError};
use crate::time;

/// Why a delivery was not dispatched. Its state is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// It can't be, or the database gave no answer.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// Product says no now.
    #[error("not deliverable any more: {}", .0.reason)]
    NotDeliverable(Decision),
    /// Product is silent.
    #[error("{}", .0.why)]
    ProductSilent(Silence),
}

/// Dispatches a delivery that was read at a version (`None`: whichever it is), and asks Product again first if the decision
/// is older than `recheck_after`.
///
/// # Errors
/// It was not dispatched, unless the database is silent.
pub async fn dispatch(
    store: &Store,
    products: &Products,
    recheck_after: Duration,
    id: DeliveryId,
    read: Option<u32>,
    deadline: Deadline,
) -> Result<Delivery, DispatchError> {
    let stored = store.get(id).await.map_err(TransitionError::Store)?;
    let stored = stored.ok_or(TransitionError::Refused(Refusal::NotFound { id }))?;
    // What can't be dispatched anyway is not asked about.
    let step = stored.step(Transition::Dispatch, read).map_err(TransitionError::Refused)?;
    if step == Step::Made {
        return Ok(stored);
    }
    let checked = stored.admission.evidence().map(|evidence| evidence.check_time);
    let is_old = checked.is_none_or(|checked| time::age(checked, time::now()) >= recheck_after);
    let evidence = if is_old { Some(recheck(products, &stored, deadline).await?) } else { None };
    let evidence = evidence.map(|decision| decision.into_evidence(Source::Live));
    Ok(store.transition(id, Transition::Dispatch, read, evidence, time::now(), deadline).await?)
}

/// A new yes. Asked without a min_revision: the old decision's revision may be of a catalogue that has been replaced from a
/// backup since, and then nothing could ever be dispatched.
async fn recheck(
    products: &Products,
    stored: &Delivery,
    deadline: Deadline,
) -> Result<Decision, DispatchError> {
    match products.decide(&stored.order, None, deadline).await {
        Answer::Decided(decision) if decision.verdict == Verdict::Deliverable => Ok(decision),
        Answer::Decided(decision) => Err(DispatchError::NotDeliverable(decision)),
        Answer::Silent(silence) => Err(DispatchError::ProductSilent(silence)),
        // Product complains of what it was not sent.
        Answer::BadRevision(_) => Err(DispatchError::ProductSilent(Silence::new(Why::Nonsense))),
    }
}
