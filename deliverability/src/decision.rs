//! What is answered: yes or no, and why.

use crate::{RuleId, Timestamp};

/// Most deciding rules that a decision names: as many as the contract carries.
pub const MAX_DECIDING_RULES: usize = 100;

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The first reason that applied.
    pub reason: Reason,
    /// The embargoes; or the DENYs left standing; or the ALLOWs left standing; or, for a limit, the ALLOWs that are
    /// broken or can't be tested. In the order of their ids, the first 100.
    pub deciding_rules: Vec<RuleRef>,
    /// The next instant at which a rule that matches starts or ends; until then the decision can't change by itself.
    pub valid_until: Option<Timestamp>,
    /// For OVER_* and MEASURE_MISSING only.
    pub violated: Option<ViolatedLimit>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Yes.
    Deliverable,
    /// No.
    NotDeliverable,
}

/// Why, in the order in which reasons are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No such product.
    ProductUnknown,
    /// The product is out of use for ever.
    ProductRetired,
    /// The product is out of use for now.
    ProductSuspended,
    /// No such location.
    LocationUnknown,
    /// The location, or one that it lies in, is out of use for ever.
    LocationRetired,
    /// The location, or one that it lies in, is out of use for now.
    LocationSuspended,
    /// An EMBARGO matches.
    Embargoed,
    /// A DENY is left standing.
    Denied,
    /// No rule is left standing.
    NoRule,
    /// Over an ALLOW's weight limit.
    OverWeight,
    /// Over an ALLOW's size limit.
    OverSize,
    /// Over an ALLOW's quantity limit.
    OverQuantity,
    /// An ALLOW has a limit, and the product lacks the measure.
    MeasureMissing,
    /// Yes.
    Allowed,
}

/// A rule as it was when it decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// Which rule.
    pub id: RuleId,
    /// Its version at that time.
    pub version: u32,
}

/// A limit that was broken or could not be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViolatedLimit {
    /// What is limited. Of several measures that are missing, the weight.
    pub kind: LimitKind,
    /// The tightest among the deciding rules.
    pub limit: u64,
    /// What was asked for, in the same unit; absent: the product lacks the measure.
    pub actual: Option<u64>,
}

/// What an ALLOW can limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Weight × quantity in grams.
    WeightG,
    /// Longest side of one unit in millimetres.
    SideMm,
    /// Units.
    Quantity,
}

// === impl Decision ===

impl Decision {
    /// Yes for ALLOWED, no for every other reason.
    pub fn verdict(&self) -> Verdict {
        self.reason.verdict()
    }

    /// A decision that no rule took part in.
    pub(crate) fn without_rules(reason: Reason) -> Self {
        Self { reason, deciding_rules: Vec::new(), valid_until: None, violated: None }
    }
}

// === impl Verdict ===

impl Verdict {
    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deliverable => "DELIVERABLE",
            Self::NotDeliverable => "NOT_DELIVERABLE",
        }
    }
}

// === impl Reason ===

impl Reason {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 14] = [
        Self::ProductUnknown,
        Self::ProductRetired,
        Self::ProductSuspended,
        Self::LocationUnknown,
        Self::LocationRetired,
        Self::LocationSuspended,
        Self::Embargoed,
        Self::Denied,
        Self::NoRule,
        Self::OverWeight,
        Self::OverSize,
        Self::OverQuantity,
        Self::MeasureMissing,
        Self::Allowed,
    ];

    /// Yes for ALLOWED, no for every other reason.
    pub fn verdict(self) -> Verdict {
        if self == Self::Allowed { Verdict::Deliverable } else { Verdict::NotDeliverable }
    }

    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProductUnknown => "PRODUCT_UNKNOWN",
            Self::ProductRetired => "PRODUCT_RETIRED",
            Self::ProductSuspended => "PRODUCT_SUSPENDED",
            Self::LocationUnknown => "LOCATION_UNKNOWN",
            Self::LocationRetired => "LOCATION_RETIRED",
            Self::LocationSuspended => "LOCATION_SUSPENDED",
            Self::Embargoed => "EMBARGOED",
            Self::Denied => "DENIED",
            Self::NoRule => "NO_RULE",
            Self::OverWeight => "OVER_WEIGHT",
            Self::OverSize => "OVER_SIZE",
            Self::OverQuantity => "OVER_QUANTITY",
            Self::MeasureMissing => "MEASURE_MISSING",
            Self::Allowed => "ALLOWED",
        }
    }
}

// === impl LimitKind ===

impl LimitKind {
    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WeightG => "WEIGHT_G",
            Self::SideMm => "SIDE_MM",
            Self::Quantity => "QUANTITY",
        }
    }
}
