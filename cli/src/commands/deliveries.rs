//! `deliveries`: lists them; its subcommands read one or move it along its life.

mod one;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{Delivery, DeliveryState, ListDeliveriesRequest};
use uuid::Uuid;

use crate::clients::{ConnectionFlags, DeliveryFlags, OutputFlags, Peer};
use crate::exit::{Exit, Failure};
use crate::{json, tables, words};
pub(super) use one::facts_of;

/// The most that one page may hold.
const MAX_PAGE: u32 = 1_000;

/// List deliveries, or read, dispatch, complete, return or cancel one.
///
/// The list is newest first; filters that are given must all hold. Ends with 0, also if there are none; 4 if Delivery answered with an error, 5 without an answer.
#[derive(ClapArgs, Debug)]
#[command(args_conflicts_with_subcommands = true, flatten_help = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Only those in this state.
    #[arg(long)]
    state: Option<State>,

    /// Only those of this product (a UUID).
    #[arg(long = "product", value_name = "UUID")]
    product_id: Option<Uuid>,

    /// Only those to this location (a UUID).
    #[arg(long = "location", value_name = "UUID")]
    location_id: Option<Uuid>,

    /// Only those with this reference, the whole of it.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reference: String,

    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u64,

    #[command(flatten)]
    to: To,
}

/// How all of it speaks to Delivery.
#[derive(ClapArgs, Debug)]
pub(super) struct To {
    #[command(flatten)]
    delivery: DeliveryFlags,
    #[command(flatten)]
    connection: ConnectionFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// What to do with one delivery.
#[derive(Subcommand, Debug)]
enum Command {
    /// Read one delivery, with how it was checked.
    Get(one::Which),
    /// It leaves the house: CONFIRMED becomes DISPATCHED. An old decision is asked for again.
    Dispatch(one::Change),
    /// It arrived: DISPATCHED becomes DELIVERED.
    Complete(one::Change),
    /// It came back: DISPATCHED becomes RETURNED.
    Return(one::Change),
    /// It will not be made: PENDING or CONFIRMED becomes CANCELLED.
    Cancel(one::Change),
}

/// States to list by.
#[derive(ValueEnum, Clone, Copy, Debug)]
enum State {
    Pending,
    Confirmed,
    Rejected,
    Expired,
    Dispatched,
    Delivered,
    Returned,
    Cancelled,
}

/// Lists, or does what the subcommand says.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let peer = Peer::delivery(&args.to.delivery, &args.to.connection)?;
    let json = args.to.output.json;
    let delivery = match args.command {
        None => return list(&peer, &args).await,
        Some(Command::Get(which)) => one::get(&peer, which).await?,
        Some(Command::Dispatch(change)) => one::dispatch(&peer, change).await?,
        Some(Command::Complete(change)) => one::complete(&peer, change).await?,
        Some(Command::Return(change)) => one::bring_back(&peer, change).await?,
        Some(Command::Cancel(change)) => one::cancel(&peer, change).await?,
    };
    let delivery = delivery.unwrap_or_default();
    tables::say(if json { json::print(&delivery)? } else { facts_of(&delivery) })?;
    Ok(Exit::Done)
}

/// Page by page: JSON goes out as it comes, a table when its widths are known.
async fn list(peer: &Peer, args: &Args) -> Result<Exit, Failure> {
    let mut left = args.limit;
    let mut rows = Vec::new();
    let mut page_token = String::new();
    while left > 0 {
        let request = ListDeliveriesRequest {
            page_size: u32::try_from(left).unwrap_or(MAX_PAGE).min(MAX_PAGE),
            page_token,
            state: args.state.map_or(DeliveryState::Unspecified, DeliveryState::from).into(),
            product_id: args.product_id.map(|id| id.to_string()),
            location_id: args.location_id.map(|id| id.to_string()),
            external_reference: args.reference.clone(),
        };
        let list =
            async |channel, request| DeliveryServiceClient::new(channel).list_deliveries(request).await;
        let page = peer.call(request, list).await?;
        left = left.saturating_sub(page.deliveries.len() as u64);
        for delivery in page.deliveries {
            if args.to.output.json {
                tables::say(json::print(&delivery)?)?;
            } else {
                rows.push(row(delivery));
            }
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if args.to.output.json {
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        tables::say("no deliveries")?;
        return Ok(Exit::Done);
    }
    let header = ["DELIVERY", "STATE", "UNITS", "PRODUCT", "LOCATION", "REFERENCE", "CREATED"];
    tables::say(tables::table(header, rows))?;
    if !page_token.is_empty() {
        eprintln!("There are more: --limit shows them.");
    }
    Ok(Exit::Done)
}

fn row(delivery: Delivery) -> [String; 7] {
    let state = words::state(delivery.state()).to_owned();
    let created = words::time(delivery.create_time.as_ref(), "");
    let Delivery { delivery_id, quantity, product_id, location_id, external_reference, .. } = delivery;
    [delivery_id, state, quantity.to_string(), product_id, location_id, external_reference, created]
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Confirmed => Self::Confirmed,
            State::Rejected => Self::Rejected,
            State::Expired => Self::Expired,
            State::Dispatched => Self::Dispatched,
            State::Delivered => Self::Delivered,
            State::Returned => Self::Returned,
            State::Cancelled => Self::Cancelled,
        }
    }
}
