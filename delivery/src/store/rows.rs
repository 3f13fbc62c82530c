//! Rows as they lie in the table, and the deliveries they stand for.

use chassis::database::StoreError;
use chassis::trace::Trace;
use deliverability::{Invalid, LocationId, ProductId, Quantity, RuleId, RuleRef, Timestamp, Verdict};
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::{
    Admission, Delivery, DeliveryId, Evidence, ExternalReference, Fingerprint, Order, RevisionToken, Source,
    State, UnknownWord,
};

/// The columns of a `DeliveryRow`, for the constants that statements are.
macro_rules! columns {
    () => {
        "delivery_id, product_id, location_id, quantity, external_reference, fingerprint, state, verdict, reason, \
         source, revision, check_time_us, deciding_rules, verify_by_us, min_revision, version, create_time_us, \
         update_time_us, traceparent"
    };
}
pub(super) use columns;

#[derive(Clone, Debug, FromRow)]
pub(super) struct DeliveryRow {
    pub(super) delivery_id: Uuid,
    product_id: Uuid,
    location_id: Uuid,
    quantity: i64,
    external_reference: Option<String>,
    pub(super) fingerprint: Vec<u8>,
    state: String,
    verdict: Option<String>,
    reason: Option<String>,
    source: Option<String>,
    revision: Option<String>,
    check_time_us: Option<i64>,
    deciding_rules: String,
    verify_by_us: Option<i64>,
    min_revision: Option<String>,
    version: i64,
    create_time_us: i64,
    update_time_us: i64,
    traceparent: Option<String>,
}

/// A new delivery as its columns hold it.
pub(super) struct DeliveryColumns<'a> {
    pub(super) delivery_id: Uuid,
    pub(super) product_id: Uuid,
    pub(super) location_id: Uuid,
    pub(super) quantity: i64,
    pub(super) external_reference: Option<&'a str>,
    pub(super) fingerprint: &'a [u8],
    pub(super) state: &'static str,
    pub(super) evidence: EvidenceColumns<'a>,
    pub(super) verify_by_us: Option<i64>,
    pub(super) min_revision: Option<&'a str>,
    pub(super) version: i64,
    pub(super) create_time_us: i64,
    pub(super) update_time_us: i64,
    pub(super) traceparent: Option<String>,
}

/// Evidence as its columns hold it.
pub(super) struct EvidenceColumns<'a> {
    pub(super) verdict: Option<&'static str>,
    pub(super) reason: Option<&'a str>,
    pub(super) source: Option<&'static str>,
    pub(super) revision: Option<&'a str>,
    pub(super) check_time_us: Option<i64>,
    pub(super) deciding_rules: String,
}

/// What a stored value that is none of ours becomes.
struct Unreadable(String);

// === impl Unreadable ===

impl From<&'static str> for Unreadable {
    fn from(why: &'static str) -> Self {
        Self(why.to_owned())
    }
}

impl From<Invalid> for Unreadable {
    fn from(invalid: Invalid) -> Self {
        Self(invalid.to_string())
    }
}

impl From<UnknownWord> for Unreadable {
    fn from(unknown: UnknownWord) -> Self {
        Self(unknown.to_string())
    }
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<std::num::TryFromIntError> for Unreadable {
    fn from(error: std::num::TryFromIntError) -> Self {
        Self(error.to_string())
    }
}

// === impl DeliveryRow ===

impl DeliveryRow {
    /// The delivery that the row stands for.
    pub(super) fn into_delivery(self) -> Result<Delivery, StoreError> {
        let id = self.delivery_id;
        self.read().map_err(|Unreadable(why)| StoreError::Corrupt(format!("delivery {id}: {why}")))
    }

    fn read(self) -> Result<Delivery, Unreadable> {
        let admission = match self.verdict.as_deref() {
            None => Admission::Unchecked {
                verify_by: self.verify_by_us.map(Timestamp::from_unix_micros).transpose()?,
            },
            Some(verdict) => Admission::Checked(Evidence {
                verdict: read_verdict(verdict)?,
                reason: self.reason.ok_or("a verdict without a reason")?,
                source: Source::parse(&self.source.ok_or("a verdict without a source")?)?,
                revision: RevisionToken::parse(&self.revision.ok_or("a verdict without a revision")?)?,
                check_time: Timestamp::from_unix_micros(
                    self.check_time_us.ok_or("a verdict without a time")?,
                )?,
                deciding_rules: read_rules(&self.deciding_rules)?,
            }),
        };
        Ok(Delivery {
            id: DeliveryId::from_uuid(self.delivery_id)?,
            order: Order {
                product: ProductId::from_uuid(self.product_id)?,
                location: LocationId::from_uuid(self.location_id)?,
                quantity: Quantity::new(u32::try_from(self.quantity)?)?,
                external_reference: self
                    .external_reference
                    .as_deref()
                    .map(ExternalReference::parse)
                    .transpose()?,
            },
            state: State::parse(&self.state)?,
            admission,
            min_revision: self.min_revision.as_deref().map(RevisionToken::parse).transpose()?,
            version: u32::try_from(self.version)?,
            create_time: Timestamp::from_unix_micros(self.create_time_us)?,
            update_time: Timestamp::from_unix_micros(self.update_time_us)?,
            trace: self.traceparent.as_deref().and_then(Trace::parse),
        })
    }
}

// === impl DeliveryColumns ===

impl<'a> DeliveryColumns<'a> {
    /// A delivery on its way into its columns.
    pub(super) fn new(delivery: &'a Delivery, fingerprint: &'a Fingerprint) -> Self {
        let order = &delivery.order;
        let verify_by = match &delivery.admission {
            Admission::Unchecked { verify_by } => *verify_by,
            Admission::Checked(_) => None,
        };
        Self {
            delivery_id: delivery.id.as_uuid(),
            product_id: order.product.as_uuid(),
            location_id: order.location.as_uuid(),
            quantity: i64::from(order.quantity.get()),
            external_reference: order.external_reference.as_ref().map(ExternalReference::as_str),
            fingerprint: fingerprint.as_bytes(),
            state: delivery.state.as_str(),
            evidence: EvidenceColumns::new(delivery.admission.evidence()),
            verify_by_us: verify_by.map(Timestamp::unix_micros),
            min_revision: delivery.min_revision.as_ref().map(RevisionToken::as_str),
            version: i64::from(delivery.version),
            create_time_us: delivery.create_time.unix_micros(),
            update_time_us: delivery.update_time.unix_micros(),
            traceparent: delivery.trace.map(|trace| trace.to_string()),
        }
    }
}

// === impl EvidenceColumns ===

impl<'a> EvidenceColumns<'a> {
    /// Evidence on its way into its columns; no evidence makes them NULL.
    pub(super) fn new(evidence: Option<&'a Evidence>) -> Self {
        Self {
            verdict: evidence.map(|evidence| evidence.verdict.as_str()),
            reason: evidence.map(|evidence| evidence.reason.as_str()),
            source: evidence.map(|evidence| evidence.source.as_str()),
            revision: evidence.map(|evidence| evidence.revision.as_str()),
            check_time_us: evidence.map(|evidence| evidence.check_time.unix_micros()),
            deciding_rules: write_rules(evidence.map_or(&[], |evidence| &evidence.deciding_rules)),
        }
    }
}

/// Rules as they are stored: JSON text.
fn write_rules(rules: &[RuleRef]) -> String {
    // Neither a UUID nor a number has a character that JSON escapes.
    let pairs: Vec<_> = rules.iter().map(|rule| format!("[\"{}\",{}]", rule.id, rule.version)).collect();
    format!("[{}]", pairs.join(","))
}

fn read_rules(stored: &str) -> Result<Vec<RuleRef>, Unreadable> {
    let pairs: Vec<(String, u32)> = serde_json::from_str(stored)?;
    pairs.into_iter().map(|(id, version)| Ok(RuleRef { id: RuleId::parse(&id)?, version })).collect()
}

fn read_verdict(stored: &str) -> Result<Verdict, Unreadable> {
    [Verdict::Deliverable, Verdict::NotDeliverable]
        .into_iter()
        .find(|verdict| verdict.as_str() == stored)
        .ok_or_else(|| Unreadable(format!("{stored:?} is no verdict")))
}
