//! Asks Product about the PENDING deliveries, oldest first, until it says something or their time is over.

use std::collections::HashSet;
use std::time::Duration;

use chassis::database::StoreError;
use deliverability::Timestamp;

use crate::domain::{Delivery, DeliveryId, RevisionToken, Source};
use crate::metrics::Verified;
use crate::products::{Answer, BadRevision, Products, Silence, Why};
use crate::store::{Settlement, Store};
use crate::time;

/// Most deliveries in one round: a few milliseconds of Product's time, and one short transaction.
const MAX_BATCH: u32 = 200;
/// How often to look when nothing is heard: other processes store PENDING deliveries too, and time runs out.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a claim is good for. A round ends well before that; a verifier that dies holds its claim up for so long.
const LEASE: Duration = Duration::from_secs(30);
/// When a round stops asking, so that its last call and its last commit still lie within the lease.
const ROUND: Duration = Duration::from_secs(15);
/// How long a delivery is left alone, at least, that Product can't answer now for reasons of its own, so that those behind
/// it are reached. As long as a lease, which is what leaves it alone.
const REST: Duration = LEASE;
/// It rests for this part of the time it has waited already: what nobody can answer is asked about ever more seldom.
const REST_FRACTION: i64 = 4;
/// The pauses while Product is silent: from the first to the last, each twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// Pauses vary by as much, so that several verifiers don't ask together.
const JITTER: f64 = 0.2;
/// Deliveries remembered to have been told of. Past that the memory starts afresh, and a line is told twice.
const MAX_TOLD: usize = 10_000;

/// Verifies for as long as its runtime lives.
pub async fn verify(store: Store, products: Products, verified: Verified) {
    let mut verifier =
        Verifier { store: store.clone(), products, told: HashSet::new(), batch: MAX_BATCH, verified };
    let mut pauses = Pauses::default();
    loop {
        let round = verifier.round().await;
        verifier.verified.count_round(round.as_ref().ok().copied());
        match round {
            Ok(Round::Full) => pauses = Pauses::default(),
            Ok(Round::Done) => {
                pauses = Pauses::default();
                tokio::select! {
                    () = store.next_pending() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
            // Nobody wakes it: what is stored as PENDING meanwhile says only that Product is still silent.
            Ok(Round::Silent) => tokio::time::sleep(pauses.next(rand::random())).await,
            Err(error) => {
                tracing::warn!(%error, "the verifier can't reach the database");
                tokio::time::sleep(pauses.next(rand::random())).await;
            }
        }
    }
}

struct Verifier {
    store: Store,
    products: Products,
    /// Deliveries whose min_revision has been complained of.
    told: HashSet<DeliveryId>,
    /// Deliveries in the next round: half as many after one that Product failed at, and at once, so that the one it fails
    /// at is found and rests; twice as many after one that went well.
    batch: u32,
    verified: Verified,
}

/// How a round went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// As much was done as a round does; there may be more.
    Full,
    /// All that there was has been done.
    Done,
    /// Product is silent, or fails at what it was asked.
    Silent,
}

/// Pauses that grow.
struct Pauses(Duration);

/// Deliveries that can be asked about together.
struct Group {
    min_revision: Option<RevisionToken>,
    deliveries: Vec<Delivery>,
}

// === impl Verifier ===

impl Verifier {
    async fn round(&mut self) -> Result<Round, StoreError> {
        let now = time::now();
        let expired = self.store.expire(MAX_BATCH, now).await?;
        self.verified.count_expired(expired);
        if expired > 0 {
            tracing::warn!(
                deliveries = expired,
                "expired: nobody could say in time whether they can be made"
            );
        }
        let lease_until = time::after(now, LEASE);
        let claimed = self.store.claim(self.batch, lease_until, now).await?;
        let is_full = claimed.len() >= self.batch as usize || expired >= u64::from(MAX_BATCH);
        let stop_at = tokio::time::Instant::now() + ROUND;
        for group in groups(claimed) {
            let in_time = tokio::time::Instant::now() < stop_at;
            if !in_time {
                self.store.release(lease_until).await?;
                return Ok(Round::Full);
            }
            if let Err(silence) = self.ask(group).await? {
                tracing::debug!(why = %silence.why, batch = self.batch, "Product is silent; what is PENDING stays so");
                self.store.release(lease_until).await?;
                let may_be_one = matches!(silence.why, Why::Failing | Why::Nonsense);
                if may_be_one && self.batch > 1 {
                    self.batch /= 2;
                    return Ok(Round::Full);
                }
                return Ok(Round::Silent);
            }
        }
        self.batch = (self.batch * 2).min(MAX_BATCH);
        Ok(if is_full { Round::Full } else { Round::Done })
    }

    /// Asks about one group and settles what Product said.
    async fn ask(&mut self, group: Group) -> Result<Result<(), Silence>, StoreError> {
        let oldest = group.deliveries.iter().map(|delivery| delivery.create_time).min();
        let orders: Vec<_> = group.deliveries.iter().map(|delivery| &delivery.order).collect();
        let traces: Vec<_> = group.deliveries.iter().filter_map(|delivery| delivery.trace).collect();
        match self.products.decide_batch(&orders, &traces, group.min_revision.as_ref()).await {
            Answer::Decided(decisions) => {
                let (mut settlements, mut unclear) = (Vec::new(), Vec::new());
                for (delivery, decision) in group.deliveries.iter().zip(decisions) {
                    let Delivery { id, version, .. } = *delivery;
                    match decision.map(|decision| decision.into_evidence(Source::Deferred)) {
                        Some(evidence) => settlements.push(Settlement { id, version, evidence }),
                        None => unclear.push(id),
                    }
                }
                let settled = self.store.settle(settlements, time::now()).await?;
                self.verified.count_settled(settled);
                tracing::info!(deliveries = settled.all(), "verified");
                self.leave_alone(unclear, oldest).await?;
            }
            // Neither would asking item by item help, since each has the same min_revision, nor may it be left out: the
            // caller wants an answer at least that fresh, and a no from an older catalogue might be no no at all. What
            // helps is time: a Product that has not noticed yet that it was restored refuses tokens of its own new epoch
            // until it does. So it stays PENDING, is asked for now and then, and at verify_by EXPIRES, which says the
            // truth: nobody could say.
            Answer::BadRevision(bad) => {
                self.tell(&group, &bad);
                self.leave_alone(ids(&group), oldest).await?;
            }
            Answer::Silent(silence) if silence.why == Why::RevisionNotReached => {
                self.leave_alone(ids(&group), oldest).await?;
            }
            Answer::Silent(silence) => {
                if self.batch == 1 {
                    self.leave_alone(ids(&group), oldest).await?;
                }
                return Ok(Err(silence));
            }
        }
        Ok(Ok(()))
    }

    async fn leave_alone(&self, ids: Vec<DeliveryId>, oldest: Option<Timestamp>) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.verified.count_rested(ids.len());
        let now = time::now();
        let waited_us = oldest.map_or(0, |oldest| now.unix_micros().saturating_sub(oldest.unix_micros()));
        let waited = Duration::from_micros(u64::try_from(waited_us / REST_FRACTION).unwrap_or(0));
        self.store.rest(ids, time::after(now, REST.max(waited))).await
    }

    /// Once for each delivery, though it will be asked about again.
    fn tell(&mut self, group: &Group, bad: &BadRevision) {
        for delivery in &group.deliveries {
            if self.told.len() >= MAX_TOLD {
                self.told.clear();
            }
            if self.told.insert(delivery.id) {
                tracing::warn!(delivery = %delivery.id, min_revision = %bad, "can't be verified; it will expire");
            }
        }
    }
}

fn ids(group: &Group) -> Vec<DeliveryId> {
    group.deliveries.iter().map(|delivery| delivery.id).collect()
}

/// By min_revision, since a batch has one: those without one first, since they need not wait for any, then the group of the
/// oldest delivery.
fn groups(claimed: Vec<Delivery>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for delivery in claimed {
        match groups.iter_mut().find(|group| group.min_revision == delivery.min_revision) {
            Some(group) => group.deliveries.push(delivery),
            None => {
                groups
                    .push(Group { min_revision: delivery.min_revision.clone(), deliveries: vec![delivery] });
            }
        }
    }
    groups.sort_by_key(|group| group.min_revision.is_some());
    groups
}

// === impl Pauses ===

impl Pauses {
    /// The next pause; `chance` lies between 0 and 1.
    fn next(&mut self, chance: f64) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LAST_PAUSE);
        pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance)
    }
}

impl Default for Pauses {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_one_second_to_ten_and_vary_by_a_fifth() {
        let mut pauses = Pauses::default();
        let seconds: Vec<_> = (0..6).map(|_| pauses.next(0.5).as_secs_f64()).collect();
        assert_eq!(seconds, [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]);
        assert_eq!(pauses.next(0.0), Duration::from_secs(8));
        assert_eq!(pauses.next(1.0), Duration::from_secs(12));
    }
}
