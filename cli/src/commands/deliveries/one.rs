//! One delivery: reading it, moving it along its life, and how it looks.

use clap::Args as ClapArgs;
use proto::delivery::v1 as wire;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use uuid::Uuid;

use crate::clients::{CallError, Peer};
use crate::{tables, words};

/// Which delivery.
#[derive(ClapArgs, Clone, Copy, Debug)]
pub struct Which {
    /// The delivery's id (a UUID).
    #[arg(value_name = "DELIVERY")]
    delivery_id: Uuid,
}

/// Which delivery is to change.
#[derive(ClapArgs, Clone, Copy, Debug)]
pub struct Change {
    #[command(flatten)]
    which: Which,

    /// Only if it is still at this version. Otherwise: whichever it is.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    version: u32,
}

type Answer = Result<Option<wire::Delivery>, CallError>;

/// Reads it.
pub async fn get(peer: &Peer, which: Which) -> Answer {
    let request = wire::GetDeliveryRequest { delivery_id: which.delivery_id.to_string() };
    let call = async |channel, request| DeliveryServiceClient::new(channel).get_delivery(request).await;
    Ok(peer.call(request, call).await?.delivery)
}

/// CONFIRMED → DISPATCHED.
pub async fn dispatch(peer: &Peer, change: Change) -> Answer {
    let Change { which, version } = change;
    let request = wire::DispatchDeliveryRequest { delivery_id: which.delivery_id.to_string(), version };
    let call = async |channel, request| DeliveryServiceClient::new(channel).dispatch_delivery(request).await;
    Ok(peer.call(request, call).await?.delivery)
}

/// DISPATCHED → DELIVERED.
pub async fn complete(peer: &Peer, change: Change) -> Answer {
    let Change { which, version } = change;
    let request = wire::CompleteDeliveryRequest { delivery_id: which.delivery_id.to_string(), version };
    let call = async |channel, request| DeliveryServiceClient::new(channel).complete_delivery(request).await;
    Ok(peer.call(request, call).await?.delivery)
}

/// DISPATCHED → RETURNED.
pub async fn bring_back(peer: &Peer, change: Change) -> Answer {
    let Change { which, version } = change;
    let request = wire::ReturnDeliveryRequest { delivery_id: which.delivery_id.to_string(), version };
    let call = async |channel, request| DeliveryServiceClient::new(channel).return_delivery(request).await;
    Ok(peer.call(request, call).await?.delivery)
}

/// PENDING or CONFIRMED → CANCELLED.
pub async fn cancel(peer: &Peer, change: Change) -> Answer {
    let Change { which, version } = change;
    let request = wire::CancelDeliveryRequest { delivery_id: which.delivery_id.to_string(), version };
    let call = async |channel, request| DeliveryServiceClient::new(channel).cancel_delivery(request).await;
    Ok(peer.call(request, call).await?.delivery)
}

/// Everything that is known of a delivery, for people.
pub fn facts_of(delivery: &wire::Delivery) -> String {
    let admission = delivery.admission.clone().unwrap_or_default();
    let mut facts = vec![
        ("delivery", delivery.delivery_id.clone()),
        ("state", words::state(delivery.state()).to_owned()),
        ("product", delivery.product_id.clone()),
        ("location", delivery.location_id.clone()),
        ("units", delivery.quantity.to_string()),
    ];
    if !delivery.external_reference.is_empty() {
        facts.push(("reference", delivery.external_reference.clone()));
    }
    if admission.verdict() == wire::Verdict::Unspecified {
        facts.push(("checked", "not yet, or never: Product has not said".to_owned()));
    } else {
        let verdict = words::short(admission.verdict().as_str_name(), "VERDICT_");
        let source = words::short(admission.source().as_str_name(), "ADMISSION_SOURCE_").to_lowercase();
        let when = words::time(admission.check_time.as_ref(), "at a time not said");
        facts.push(("checked", format!("{verdict} ({}), {source}, {when}", admission.reason)));
        facts.push(("revision", admission.revision.clone()));
    }
    if admission.verify_by.is_some() {
        facts.push(("verify by", words::time(admission.verify_by.as_ref(), "")));
    }
    let rules =
        admission.deciding_rules.iter().map(|rule| format!("{} version {}", rule.rule_id, rule.version));
    facts.extend(rules.map(|rule| ("rule", rule)));
    facts.push(("version", delivery.version.to_string()));
    facts.push(("created", words::time(delivery.create_time.as_ref(), "")));
    facts.push(("updated", words::time(delivery.update_time.as_ref(), "")));
    tables::facts(&facts)
}
