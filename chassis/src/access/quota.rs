//! What one caller may take of a process at most: calls in flight, and calls in a second.
//!
//! The rate is a token bucket in whole numbers, kept as one: the instant up to which calls are paid for (the generic cell rate
//! algorithm, ITU-T I.371). It holds one second's worth, so in any time of T seconds at most (T + 1) × rate calls get in. There
//! are as many quotas as identities in the access file, and each is two numbers that its caller's calls write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;
use tokio::time::Instant;
use tonic::Code;

use crate::connections::Seldom;
use crate::identity::Identity;
use crate::status::Failure;

/// The most that a line may say: far more than a process serves. Times a bucket's units it fits 64 bits for centuries.
const MAX: u32 = 1_000_000;
/// What one call costs: a rate of one a second pays one unit in each millisecond.
const CALL_UNITS: u64 = 1_000;
/// When a refused caller may come again at the soonest: some calls' time, so that its load has changed by then.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A quota as it is written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    calls_in_flight: Option<u32>,
    calls_per_second: Option<u32>,
}

/// The calls of one identity, of all its connections and on all runtimes.
#[derive(Debug)]
pub(crate) struct Quota {
    identity: Identity,
    in_flight: Option<Limit>,
    per_second: Option<Limit>,
    began: Instant,
    complaints: Mutex<Seldom>,
}

/// One of the two, and how far it is used.
#[derive(Debug)]
struct Limit {
    max: u32,
    /// Calls in flight, or the units up to which calls are paid for.
    used: AtomicU64,
    refused: AtomicU64,
    /// Made once: refusing must cost next to nothing.
    refusal: HeaderMap,
}

/// A call that got in; dropping it is its end.
#[derive(Debug)]
pub(crate) struct Entered(Option<Arc<Quota>>);

/// How many calls were refused so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) in_flight: u64,
    pub(crate) per_second: u64,
}

// === impl Written ===

impl Written {
    /// What is wrong with it, if anything.
    pub(super) fn problem(self) -> Option<String> {
        let is_good = |limit: Option<u32>| limit.is_none_or(|limit| (1..=MAX).contains(&limit));
        if self.calls_in_flight.or(self.calls_per_second).is_none() {
            return Some("limits nothing: it wants calls_in_flight or calls_per_second or both".to_owned());
        }
        let is_good = is_good(self.calls_in_flight) && is_good(self.calls_per_second);
        (!is_good).then(|| format!("must have limits of 1 to {MAX}"))
    }
}

// === impl Quota ===

impl Quota {
    pub(super) fn new(identity: Identity, written: Written) -> Self {
        let limit = |max: Option<u32>, name, retry_after: fn(u32) -> Duration| {
            max.map(|max| Limit::new(max, name, &identity, retry_after(max)))
        };
        let in_flight = limit(written.calls_in_flight, "calls_in_flight", |_| RETRY_AFTER);
        // When a bucket that is empty now has a token again.
        let next_token = |max| RETRY_AFTER.max(Duration::from_secs(1) / max);
        let per_second = limit(written.calls_per_second, "calls_per_second", next_token);
        let (began, complaints) = (Instant::now(), Mutex::default());
        Self { identity, in_flight, per_second, began, complaints }
    }

    /// Takes the right to one more call. What is refused costs nothing. The clock is looked at only where there is a rate.
    ///
    /// # Errors
    /// A limit is reached: the headers are the call's whole answer.
    pub(crate) fn enter(self: &Arc<Self>, now: impl FnOnce() -> Instant) -> Result<Entered, HeaderMap> {
        if let Some(limit) = &self.in_flight
            && !limit.take(|used| used < u64::from(limit.max), |used| used + 1)
        {
            return Err(self.refuse(limit));
        }
        let entered = Entered(Some(Arc::clone(self)));
        if let Some(limit) = &self.per_second {
            let rate = u64::from(limit.max);
            let elapsed = now().saturating_duration_since(self.began).as_millis();
            let now = u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_mul(rate);
            let pay = |paid: u64| paid.max(now).saturating_add(CALL_UNITS);
            if !limit.take(|paid| pay(paid) <= now.saturating_add(rate * CALL_UNITS), pay) {
                return Err(self.refuse(limit));
            }
        }
        Ok(entered)
    }

    pub(super) fn refused(&self) -> Refused {
        let refused =
            |limit: &Option<Limit>| limit.as_ref().map_or(0, |limit| limit.refused.load(Ordering::Relaxed));
        Refused { in_flight: refused(&self.in_flight), per_second: refused(&self.per_second) }
    }

    /// Told now and then: whoever calls too much does so thousands of times.
    fn refuse(&self, limit: &Limit) -> HeaderMap {
        limit.refused.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut complaints) = self.complaints.try_lock() {
            complaints.warn(&format!("calls of {} are refused: it is over its limits", self.identity));
        }
        limit.refusal.clone()
    }
}

// === impl Limit ===

impl Limit {
    fn new(max: u32, name: &'static str, identity: &Identity, retry_after: Duration) -> Self {
        let message = format!("{identity} is at its limit, {name} = {max}");
        let refusal = Failure::new(Code::ResourceExhausted, "IDENTITY_LIMITED", message)
            .metadata("limit", name)
            .metadata("max", max.to_string())
            .retry_after(retry_after);
        let refusal = refusal.into_status().into_http::<()>().into_parts().0.headers;
        Self { max, used: AtomicU64::new(0), refused: AtomicU64::new(0), refusal }
    }

    fn take(&self, fits: impl Fn(u64) -> bool, with_one_more: impl Fn(u64) -> u64) -> bool {
        let next = |used| fits(used).then(|| with_one_more(used));
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

// === impl Entered ===

impl Entered {
    /// A call of somebody who has no quota.
    pub(crate) fn freely() -> Self {
        Self(None)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let limit = self.0.as_ref().and_then(|quota| quota.in_flight.as_ref());
        if let Some(limit) = limit {
            limit.used.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(calls_in_flight: Option<u32>, calls_per_second: Option<u32>) -> Arc<Quota> {
        let identity = Identity::parse("spiffe://example.org/orders").unwrap();
        Arc::new(Quota::new(identity, Written { calls_in_flight, calls_per_second }))
    }

    /// How many of so many calls get in at an instant.
    fn entering(quota: &Arc<Quota>, calls: usize, at: Duration) -> Vec<Entered> {
        (0..calls).filter_map(|_| quota.enter(|| quota.began + at).ok()).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_call_more_than_may_be_in_flight_is_refused_until_another_ends() {
        let quota = quota(Some(2), None);
        let mut held = entering(&quota, 5, SECOND);
        assert_eq!((held.len(), quota.refused()), (2, Refused { in_flight: 3, per_second: 0 }));
        held.pop();
        assert_eq!(entering(&quota, 5, SECOND).len(), 1);
    }

    #[test]
    fn a_second_s_worth_gets_in_at_once_and_then_as_many_as_the_rate_says() {
        for rate in [1, 3, 7, 500, 10_007] {
            let quota = quota(None, Some(rate));
            let rate = rate as usize;
            assert_eq!(entering(&quota, 2 * rate, SECOND).len(), rate, "a burst");
            let mut more = 0;
            for millisecond in 1..=1_000 {
                more += entering(&quota, rate / 500 + 2, SECOND + Duration::from_millis(millisecond)).len();
            }
            assert_eq!(more, rate, "in a second after it, to the call");
            assert_eq!(entering(&quota, 2 * rate, 100 * SECOND).len(), rate, "no more is saved up");
        }
    }

    #[test]
    fn a_call_that_the_rate_refuses_is_not_in_flight_and_one_in_flight_costs_no_token() {
        let quota = quota(Some(1), Some(2));
        drop(entering(&quota, 1, SECOND));
        let held = entering(&quota, 9, SECOND);
        assert_eq!((held.len(), quota.refused()), (1, Refused { in_flight: 8, per_second: 0 }));
        drop(held);
        assert!(entering(&quota, 3, SECOND).is_empty());
        assert_eq!(quota.refused().per_second, 3);
        assert_eq!(entering(&quota, 1, 2 * SECOND).len(), 1, "none is held by what was refused");
    }

    #[test]
    fn threads_that_race_never_get_in_more_often_than_may_be() {
        let quota = quota(Some(1_000), Some(1_000));
        let entered = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let entered_here = entering(&quota, 1_000, SECOND).len() as u64;
                    entered.fetch_add(entered_here, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(entered.into_inner(), 1_000);
        assert_eq!(quota.in_flight.as_ref().unwrap().used.load(Ordering::Relaxed), 0);
    }
}
