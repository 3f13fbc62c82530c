//! `resolve`: where an address lies.

use clap::Args as ClapArgs;
use proto::product::v1::LocationKind;

use super::place::Address;
use crate::clients::{ConnectionFlags, OutputFlags, Peer, ProductFlags};
use crate::exit::{Exit, Failure};
use crate::{json, tables, words};

/// Find the deepest location that an address lies in.
///
/// Prints the path to it from the root. The last line's id is what `check` and `deliver` take as LOCATION. Ends with 0 if the location was found, 4 if not even
/// the country is known, 5 without an answer.
#[derive(ClapArgs, Debug)]
#[command(mut_arg("country", |country| country.required(true)))]
pub struct Args {
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    product: ProductFlags,
    #[command(flatten)]
    connection: ConnectionFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// Asks and prints.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let found = args.address.resolve(&Peer::product(&args.product, &args.connection)?).await?;
    if args.output.json {
        tables::say(json::print(&found)?)?;
        return Ok(Exit::Done);
    }
    let path = found.path.into_iter().map(|location| {
        let kind = words::short(location.kind().as_str_name(), "LOCATION_KIND_").to_owned();
        debug_assert!(location.kind() != LocationKind::Unspecified);
        [kind, location.code, location.name, location.location_id]
    });
    tables::say(tables::table(["KIND", "CODE", "NAME", "LOCATION"], path))?;
    Ok(Exit::Done)
}
