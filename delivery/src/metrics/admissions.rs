//! How creates were answered, by what their callers want when Product is silent: counted by each runtime for itself.

use std::fmt;
use std::sync::Arc;

use chassis::metrics::{Collector, DescriptorEncoder, Registry, Shard, Sharded, counters};

use crate::create::{Answered, CreateError, Policy};
use crate::domain::State;

const POLICIES: [&str; 2] = ["STRICT", "DEFER"];

/// The creates of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Admissions(Sharded<PLACES>);

/// The creates of one runtime.
#[derive(Clone, Debug)]
pub struct AdmissionShard(Arc<Shard<PLACES>>);

/// What a create came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Confirmed,
    Pending,
    Repeated,
    NotDeliverable,
    ProductSilent,
    BadRevision,
    TooManyPending,
    OtherContent,
    StoreFailed,
}

const OUTCOMES: [Outcome; 9] = [
    Outcome::Confirmed,
    Outcome::Pending,
    Outcome::Repeated,
    Outcome::NotDeliverable,
    Outcome::ProductSilent,
    Outcome::BadRevision,
    Outcome::TooManyPending,
    Outcome::OtherContent,
    Outcome::StoreFailed,
];

const PLACES: usize = POLICIES.len() * OUTCOMES.len();

// === impl Admissions ===

impl Admissions {
    /// Puts them on the page.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    /// The counts of one more runtime.
    #[must_use]
    pub fn shard(&self) -> AdmissionShard {
        AdmissionShard(self.0.shard())
    }
}

impl Collector for Admissions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let places =
            POLICIES.iter().flat_map(|policy| OUTCOMES.iter().map(move |outcome| (*policy, *outcome)));
        let counts = places.zip(self.0.totals()).map(|((policy, outcome), count)| {
            ([("policy", policy), ("source", outcome.source()), ("outcome", outcome.as_str())], count)
        });
        let help = "Creates that were answered, by what their callers want when Product is silent, by whether \
                    it was asked meanwhile, and by what came of it";
        counters(&mut encoder, "admissions", help, counts)
    }
}

// === impl AdmissionShard ===

impl AdmissionShard {
    /// Counts a create that was answered.
    pub fn count(&self, policy: Policy, created: &Result<Answered, CreateError>) {
        self.0.add(policy as usize * OUTCOMES.len() + Outcome::of(created) as usize, 1);
    }
}

// === impl Outcome ===

impl Outcome {
    fn of(created: &Result<Answered, CreateError>) -> Self {
        match created {
            Ok(Answered { is_repeated: true, .. }) => Self::Repeated,
            Ok(Answered { delivery, .. }) if delivery.state == State::Pending => Self::Pending,
            Ok(_) => Self::Confirmed,
            Err(CreateError::Exists(_)) => Self::OtherContent,
            Err(CreateError::NotDeliverable(_)) => Self::NotDeliverable,
            Err(CreateError::BadRevision(_)) => Self::BadRevision,
            Err(CreateError::ProductSilent(_)) => Self::ProductSilent,
            Err(CreateError::TooManyPending) => Self::TooManyPending,
            Err(CreateError::Store(_)) => Self::StoreFailed,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "CONFIRMED",
            Self::Pending => "PENDING",
            Self::Repeated => "REPEATED",
            Self::NotDeliverable => "NOT_DELIVERABLE",
            Self::ProductSilent => "PRODUCT_SILENT",
            Self::BadRevision => "BAD_REVISION",
            Self::TooManyPending => "TOO_MANY_PENDING",
            Self::OtherContent => "OTHER_CONTENT",
            Self::StoreFailed => "STORE_FAILED",
        }
    }

    /// Whether Product decided while the caller waited, is to decide later, or has no part in it.
    fn source(self) -> &'static str {
        match self {
            Self::Confirmed | Self::NotDeliverable => "LIVE",
            Self::Pending => "DEFERRED",
            Self::Repeated
            | Self::ProductSilent
            | Self::BadRevision
            | Self::TooManyPending
            | Self::OtherContent
            | Self::StoreFailed => "NONE",
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::metrics::{page, registry};

    use super::*;
    use crate::products::BadRevision;

    #[test]
    fn each_outcome_and_each_policy_has_its_place() {
        for (place, outcome) in OUTCOMES.into_iter().enumerate() {
            assert_eq!(outcome as usize, place, "{outcome:?}");
        }
        assert_eq!([Policy::Strict as usize, Policy::Defer as usize], [0, 1]);
    }

    #[test]
    fn creates_are_told_by_policy_source_and_outcome_and_those_that_never_were_as_none() {
        let admissions = Admissions::default();
        let (first, second) = (admissions.shard(), admissions.shard());
        first.count(Policy::Strict, &Err(CreateError::TooManyPending));
        second.count(Policy::Defer, &Err(CreateError::TooManyPending));
        first.count(Policy::Defer, &Err(CreateError::TooManyPending));
        first.count(Policy::Defer, &Err(CreateError::BadRevision(BadRevision::EpochMismatch)));
        let mut registry = registry();
        admissions.register(&mut registry);
        let page = page(&registry).unwrap();
        for told in [
            "{policy=\"STRICT\",source=\"NONE\",outcome=\"TOO_MANY_PENDING\"} 1",
            "{policy=\"DEFER\",source=\"NONE\",outcome=\"TOO_MANY_PENDING\"} 2",
            "{policy=\"DEFER\",source=\"NONE\",outcome=\"BAD_REVISION\"} 1",
            "{policy=\"STRICT\",source=\"LIVE\",outcome=\"CONFIRMED\"} 0",
            "{policy=\"DEFER\",source=\"DEFERRED\",outcome=\"PENDING\"} 0",
        ] {
            assert!(page.contains(&format!("\ncandeliver_admissions_total{told}\n")), "{told} in {page}");
        }
    }
}
