//! The endpoints of a service: which there are, what is known of each, and which one an attempt goes to.
//!
//! One set for a process. Of two endpoints taken by chance the less busy one is chosen (Mitzenmacher, "The Power of Two
//! Choices in Randomized Load Balancing", 2001), so that nobody runs to the same one. How busy it is comes from `load`; a
//! failure counts as a long answer, or an endpoint that fails fast would attract calls. Where all look bad the least bad is
//! taken. A breaker that is open is never passed by.

mod load;
mod reconnect;
mod resolve;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use load::{Load, Waiting};
pub use reconnect::{Reconnect, ReconnectSettings};
pub use resolve::{ResolveSettings, follow};

use crate::breaker::{Breaker, BreakerSettings, Change, State};
use crate::limit::{Limit, LimitSettings};
use crate::outcome::Kind;
use crate::random::Random;

/// Most endpoints of a set: each has connections and metrics of its own. More addresses than that are left out.
pub const MAX_ENDPOINTS: usize = 256;

/// One address of one process.
#[derive(Debug)]
pub struct Endpoint {
    /// Its address.
    pub address: SocketAddr,
    /// Lets calls through, or not.
    pub breaker: Breaker,
    /// How busy it is.
    pub load: Load,
    /// How many calls it may have, if that is adapted to what it can do.
    pub limit: Option<Limit>,
    /// Never used again, not for the same address either.
    pub(crate) id: u64,
    attempts: [AtomicU64; Kind::ALL.len()],
    openings: Arc<AtomicU64>,
}

/// See the module.
#[derive(Debug)]
pub struct Endpoints {
    current: ArcSwap<Vec<Arc<Endpoint>>>,
    breaker: BreakerSettings,
    limit: Option<LimitSettings>,
    random: Random,
    next_id: AtomicU64,
    lost: Notify,
}

/// The endpoints that a call has tried.
pub(crate) type Tried = SmallVec<[u64; 4]>;

/// What an attempt looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// What its call has tried before.
    pub(crate) tried: &'a Tried,
    /// Whether it must be one that was not.
    pub(crate) elsewhere: bool,
    /// Whether it has the time that a probe takes to say anything; else it goes where none is wanted, if it can.
    pub(crate) may_probe: bool,
}

/// Why there is no endpoint for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nowhere {
    /// There are none at all.
    Empty,
    /// None lets it through, for so long at least.
    Closed { retry_after: Duration },
}

// === impl Endpoints ===

impl Endpoints {
    /// None yet.
    #[must_use]
    pub fn new(breaker: BreakerSettings, limit: Option<LimitSettings>, random: Random) -> Self {
        Self {
            current: ArcSwap::default(),
            breaker,
            limit,
            random,
            next_id: AtomicU64::new(0),
            lost: Notify::new(),
        }
    }

    /// Makes the set what `addresses` say. What is known of those that stay is kept.
    pub fn set(&self, addresses: &[SocketAddr]) {
        let mut addresses = addresses.to_vec();
        addresses.sort_unstable();
        addresses.dedup();
        let found = addresses.len();
        addresses.truncate(MAX_ENDPOINTS);
        let old = self.current.load();
        if old.iter().map(|endpoint| endpoint.address).eq(addresses.iter().copied()) {
            return;
        }
        if found > MAX_ENDPOINTS {
            tracing::warn!(found, "only the first {MAX_ENDPOINTS} addresses are used");
        }
        tracing::info!(?addresses, "the endpoints changed");
        let kept = |address: &SocketAddr| old.iter().find(|endpoint| endpoint.address == *address).cloned();
        let new = addresses.iter().map(|address| kept(address).unwrap_or_else(|| self.make(*address)));
        self.current.store(Arc::new(new.collect()));
    }

    /// Those that there are now, in the order of their addresses.
    #[must_use]
    pub fn current(&self) -> Guard<Arc<Vec<Arc<Endpoint>>>> {
        self.current.load()
    }

    /// Waits until a connection could not be made; one that failed since the last wait counts.
    pub(crate) async fn lost_connection(&self) {
        self.lost.notified().await;
    }

    /// Notes that a connection could not be made: the name may have other addresses by now.
    pub(crate) fn note_lost_connection(&self) {
        self.lost.notify_one();
    }

    /// An endpoint that looks as if it let an attempt through, an untried one if there is one.
    pub(crate) fn pick(&self, wanted: Wanted<'_>, now: Instant) -> Result<Arc<Endpoint>, Nowhere> {
        let Wanted { tried, elsewhere, may_probe } = wanted;
        let endpoints = self.current.load();
        if tried.is_empty()
            && let Some(endpoint) = self.better_of_two(&endpoints, may_probe, now)
        {
            return Ok(Arc::clone(endpoint));
        }
        let open = || endpoints.iter().filter(|endpoint| endpoint.takes_calls(now));
        let untried = || open().filter(|endpoint| !tried.contains(&endpoint.id));
        let fitting = || untried().filter(|endpoint| may_probe || !endpoint.breaker.wants_probe(now));
        let again = || if elsewhere { None } else { least_busy(open(), now) };
        let picked = least_busy(fitting(), now).or_else(|| least_busy(untried(), now)).or_else(again);
        picked.map(Arc::clone).ok_or_else(|| match self.retry_after(now) {
            None => Nowhere::Empty,
            Some(retry_after) => Nowhere::Closed { retry_after },
        })
    }

    /// When the first of the breakers lets a call through; `None`: there are no endpoints.
    pub(crate) fn retry_after(&self, now: Instant) -> Option<Duration> {
        self.current.load().iter().map(|endpoint| endpoint.breaker.retry_after(now)).min()
    }

    /// Whether an attempt could go to one that was not tried.
    pub(crate) fn has_other(&self, tried: &Tried, now: Instant) -> bool {
        let endpoints = self.current.load();
        endpoints.iter().any(|endpoint| !tried.contains(&endpoint.id) && endpoint.takes_calls(now))
    }

    fn better_of_two<'a>(
        &self,
        endpoints: &'a [Arc<Endpoint>],
        may_probe: bool,
        now: Instant,
    ) -> Option<&'a Arc<Endpoint>> {
        let (one, other) = match endpoints {
            [] => return None,
            [only] => (only, only),
            _ => {
                let first = self.random.below(endpoints.len());
                let second = self.random.below(endpoints.len() - 1);
                (&endpoints[first], &endpoints[if second >= first { second + 1 } else { second }])
            }
        };
        match (one.takes_calls(now), other.takes_calls(now)) {
            (false, false) => None,
            (true, false) => Some(one),
            (false, true) => Some(other),
            // A probe has to be made by somebody, and what waits for one looks busy.
            (true, true) if other.breaker.wants_probe(now) => Some(if may_probe { other } else { one }),
            (true, true) if one.breaker.wants_probe(now) => Some(if may_probe { one } else { other }),
            (true, true) if other.load.cost(now) < one.load.cost(now) => Some(other),
            (true, true) => Some(one),
        }
    }

    fn make(&self, address: SocketAddr) -> Arc<Endpoint> {
        let now = Instant::now();
        let openings = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&openings);
        let on_change = Box::new(move |change: Change| {
            if change.to == State::Open {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            tell(address, change);
        });
        Arc::new(Endpoint {
            address,
            breaker: Breaker::new(self.breaker, self.random.clone(), now, on_change),
            load: Load::new(now),
            limit: self.limit.map(|settings| Limit::new(settings, now)),
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            attempts: [const { AtomicU64::new(0) }; Kind::ALL.len()],
            openings,
        })
    }
}

fn tell(address: SocketAddr, change: Change) {
    let Change { from, to, counts } = change;
    let (calls, failures, slow) = (counts.calls, counts.failures, counts.slow);
    match (from, to) {
        (State::Closed, State::Open) => {
            tracing::warn!(endpoint = %address, calls, failures, slow, "breaker open: calls are refused");
        }
        (_, State::Closed) => tracing::info!(endpoint = %address, "breaker closed: calls are let through"),
        // Once a second while an endpoint is away.
        _ => tracing::debug!(endpoint = %address, ?from, ?to, calls, failures, slow, "breaker"),
    }
}

fn least_busy<'a>(
    endpoints: impl Iterator<Item = &'a Arc<Endpoint>>,
    now: Instant,
) -> Option<&'a Arc<Endpoint>> {
    let cost = |endpoint: &Arc<Endpoint>| endpoint.load.cost(now);
    endpoints
        .map(|endpoint| (endpoint, cost(endpoint)))
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .map(|best| best.0)
}

// === impl Endpoint ===

impl Endpoint {
    /// How many attempts ended so.
    #[must_use]
    pub fn attempts(&self, kind: Kind) -> u64 {
        self.attempts[kind as usize].load(Ordering::Relaxed)
    }

    /// How often its breaker opened.
    #[must_use]
    pub fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, kind: Kind) {
        self.attempts[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn takes_calls(&self, now: Instant) -> bool {
        !self.breaker.looks_open(now)
            && self.limit.as_ref().is_none_or(|limit| limit.has_room(self.load.in_flight()))
    }
}
