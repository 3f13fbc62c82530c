//! `deliver`: makes a delivery under an id of its own, so that it can always be sent again.

use std::fmt::Write as _;

use clap::{Args as ClapArgs, ValueEnum};
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{AdmissionPolicy, CreateDeliveryRequest, DeliveryState};
use uuid::Uuid;

use super::deliveries::facts_of;
use super::place::Place;
use crate::clients::{ConnectionFlags, DeliveryFlags, OutputFlags, Peer, ProductFlags, Service};
use crate::exit::{Exit, Failure};
use crate::{json, tables, words};

/// Make a delivery, if Product says that it can be made.
///
/// The delivery's id is made here unless given, so the same command with the same --id can be sent again safely: it answers
/// the stored delivery. Where an answer is lost, the command that repeats it is printed. Ends with 0 if the delivery is
/// stored (CONFIRMED, or PENDING with --policy defer), 1 for NOT_DELIVERABLE, 4 if Delivery answered with another error, 5
/// without an answer.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The product's id (a UUID).
    #[arg(value_name = "PRODUCT")]
    product_id: Uuid,

    #[command(flatten)]
    place: Place,

    /// How many units.
    #[arg(long, value_name = "UNITS")]
    quantity: Option<u32>,

    /// Your own reference, such as an order number; no personal data.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reference: String,

    /// The delivery's id (a UUID); made here if not given.
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,

    /// What to do when Product is silent: store nothing (strict), or store it as PENDING and check it later (defer).
    #[arg(long, default_value = "strict")]
    policy: Policy,

    /// Decide from a catalogue at least this fresh: a revision token of Product's.
    #[arg(long, value_name = "TOKEN")]
    min_revision: Option<String>,

    #[command(flatten)]
    delivery: DeliveryFlags,
    #[command(flatten)]
    product: ProductFlags,
    #[command(flatten)]
    connection: ConnectionFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// What to do when Product is silent.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Strict,
    Defer,
}

/// Sends it and prints what is stored.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let place = &args.place;
    let location_id = place.location_id(&Peer::product(&args.product, &args.connection)?).await?;
    let request = CreateDeliveryRequest {
        delivery_id: Some(args.id.unwrap_or_else(Uuid::now_v7).to_string()),
        product_id: args.product_id.to_string(),
        location_id,
        quantity: args.quantity,
        external_reference: args.reference.clone(),
        admission_policy: AdmissionPolicy::from(args.policy).into(),
        min_revision: args.min_revision.clone(),
    };
    let again = repeat(&request, &args);
    let create = async |channel, request| DeliveryServiceClient::new(channel).create_delivery(request).await;
    let answer = match Peer::delivery(&args.delivery, &args.connection)?.call(request, create).await {
        Ok(answer) => answer,
        Err(error) => {
            let refused = error.reason().as_deref() == Some("NOT_DELIVERABLE");
            let (unknown, may_pass) = (error.may_be_done(), error.may_pass());
            let failure = Failure::from(error);
            return Err(match failure {
                Failure::Told { message, .. } if refused => Failure::new(Exit::No, message),
                failure if unknown => failure.with_advice(&format!(
                    "Whether the delivery is stored is not known. This makes sure:\n  {again}"
                )),
                failure if may_pass => {
                    failure.with_advice(&format!("Nothing is stored. To try again:\n  {again}"))
                }
                failure => failure,
            });
        }
    };
    let delivery = answer.delivery.unwrap_or_default();
    if args.output.json {
        tables::say(json::print(&delivery)?)?;
        return Ok(Exit::Done);
    }
    let state = words::state(delivery.state());
    let meaning = match delivery.state() {
        DeliveryState::Pending => "stored; Product was silent and will be asked again",
        DeliveryState::Confirmed => "stored, and deliverable",
        _ => "stored before, by a call with the same id",
    };
    let stands = matches!(delivery.state(), DeliveryState::Confirmed | DeliveryState::Pending);
    tables::say(format!("{}: {meaning}\n\n{}", tables::verdict(state, stands), facts_of(&delivery)))?;
    Ok(Exit::Done)
}

impl From<Policy> for AdmissionPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Strict => Self::Strict,
            Policy::Defer => Self::Defer,
        }
    }
}

/// The command that sends exactly this again.
fn repeat(request: &CreateDeliveryRequest, args: &Args) -> String {
    let mut command = format!("{} deliver {} {}", words::program(), request.product_id, request.location_id);
    let mut flag = |name: &str, value: &str| {
        let _ = write!(command, " {name} {}", words::quoted(value));
    };
    if let Some(quantity) = request.quantity {
        flag("--quantity", &quantity.to_string());
    }
    if !request.external_reference.is_empty() {
        flag("--reference", &request.external_reference);
    }
    if args.policy == Policy::Defer {
        flag("--policy", "defer");
    }
    if let Some(token) = &request.min_revision {
        flag("--min-revision", token);
    }
    let delivery = args.delivery.delivery_url.to_string();
    if delivery != Service::Delivery.default_url() {
        flag(Service::Delivery.flag(), &delivery);
    }
    flag("--id", request.delivery_id.as_deref().unwrap_or_default());
    command
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_repeating_command_says_everything_that_was_said() {
        let (product, location, id) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let given = format!(
            "deliver {product} {location} --quantity 2 --policy defer --delivery http://d:1 --reference"
        );
        let args = Command::parse_from(given.split(' ').chain(["order 7"])).args;
        let request = CreateDeliveryRequest {
            delivery_id: Some(id.to_string()),
            product_id: product.to_string(),
            location_id: location.to_string(),
            quantity: Some(2),
            external_reference: "order 7".to_owned(),
            ..Default::default()
        };
        let repeated = repeat(&request, &args);
        let wanted = format!(
            " deliver {product} {location} --quantity 2 --reference 'order 7' --policy defer --delivery http://d:1 \
             --id {id}"
        );
        assert!(repeated.ends_with(&wanted), "{repeated}");
    }
}
