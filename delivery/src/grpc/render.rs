//! Objects into messages.

use deliverability::{RuleRef, Timestamp, Verdict};
use prost_types::Timestamp as WireTime;
use proto::delivery::v1 as wire;

use crate::domain::{Admission, Delivery, Evidence, ExternalReference, Source, State};

pub(crate) fn delivery(delivery: Delivery) -> wire::Delivery {
    let order = delivery.order;
    wire::Delivery {
        delivery_id: delivery.id.to_string(),
        product_id: order.product.to_string(),
        location_id: order.location.to_string(),
        quantity: order.quantity.get(),
        external_reference: order
            .external_reference
            .as_ref()
            .map_or("", ExternalReference::as_str)
            .to_owned(),
        state: state(delivery.state).into(),
        admission: Some(admission(delivery.admission)),
        version: delivery.version,
        create_time: Some(timestamp(delivery.create_time)),
        update_time: Some(timestamp(delivery.update_time)),
    }
}

fn admission(admission: Admission) -> wire::Admission {
    match admission {
        Admission::Unchecked { verify_by } => {
            wire::Admission { verify_by: verify_by.map(timestamp), ..wire::Admission::default() }
        }
        Admission::Checked(Evidence { verdict, reason, source, revision, check_time, deciding_rules }) => {
            wire::Admission {
                verdict: self::verdict(verdict).into(),
                reason,
                source: self::source(source).into(),
                revision: revision.as_str().to_owned(),
                check_time: Some(timestamp(check_time)),
                verify_by: None,
                deciding_rules: deciding_rules.into_iter().map(rule).collect(),
            }
        }
    }
}

fn rule(rule: RuleRef) -> wire::DecidingRule {
    wire::DecidingRule { rule_id: rule.id.to_string(), version: rule.version }
}

fn timestamp(instant: Timestamp) -> WireTime {
    let micros = instant.unix_micros();
    let nanos = micros.rem_euclid(1_000_000) * 1_000;
    WireTime { seconds: micros.div_euclid(1_000_000), nanos: i32::try_from(nanos).unwrap_or_default() }
}

fn verdict(verdict: Verdict) -> wire::Verdict {
    match verdict {
        Verdict::Deliverable => wire::Verdict::Deliverable,
        Verdict::NotDeliverable => wire::Verdict::NotDeliverable,
    }
}

fn source(source: Source) -> wire::AdmissionSource {
    match source {
        Source::Live => wire::AdmissionSource::Live,
        Source::Deferred => wire::AdmissionSource::Deferred,
    }
}

fn state(state: State) -> wire::DeliveryState {
    match state {
        State::Pending => wire::DeliveryState::Pending,
        State::Confirmed => wire::DeliveryState::Confirmed,
        State::Rejected => wire::DeliveryState::Rejected,
        State::Expired => wire::DeliveryState::Expired,
        State::Dispatched => wire::DeliveryState::Dispatched,
        State::Delivered => wire::DeliveryState::Delivered,
        State::Returned => wire::DeliveryState::Returned,
        State::Cancelled => wire::DeliveryState::Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_named_alike_here_and_in_the_contract() {
        for here in State::ALL {
            assert_eq!(state(here).as_str_name(), format!("DELIVERY_STATE_{}", here.as_str()));
        }
    }

    #[test]
    fn a_time_before_1970_keeps_its_microseconds() {
        let instant = Timestamp::from_unix_micros(-1).unwrap();
        assert_eq!(timestamp(instant), WireTime { seconds: -1, nanos: 999_999_000 });
    }
}
