//! `check`: can this product be delivered there, and why.

use clap::Args as ClapArgs;
use prost_types::Timestamp;
use proto::product::v1::product_service_client::ProductServiceClient;
use proto::product::v1::{CanDeliverRequest, Decision, Explanation, RuleRef, Verdict};
use uuid::Uuid;

use super::place::Place;
use crate::clients::{ConnectionFlags, OutputFlags, Peer, ProductFlags};
use crate::exit::{Exit, Failure};
use crate::{json, tables, words};

/// Ask whether a product can be delivered to a location.
///
/// An id that names nothing is a "no" with that reason, not an error. Ends with 0 for DELIVERABLE, 1 for NOT_DELIVERABLE, 4
/// if Product answered with an error, 5 without an answer: silence is never a no.
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

    /// Decide for this instant instead of now, such as 2027-03-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,

    /// Answer from a catalogue at least this fresh: a revision token, from any answer or from a write.
    #[arg(long, value_name = "TOKEN")]
    min_revision: Option<String>,

    /// Show every rule that matches and what became of it.
    #[arg(long)]
    explain: bool,

    #[command(flatten)]
    product: ProductFlags,
    #[command(flatten)]
    connection: ConnectionFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// Asks and prints.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let product = Peer::product(&args.product, &args.connection)?;
    let request = CanDeliverRequest {
        product_id: args.product_id.to_string(),
        location_id: args.place.location_id(&product).await?,
        quantity: args.quantity,
        at: args.at,
        min_revision: args.min_revision,
        explain: args.explain,
    };
    let ask = async |channel, request| ProductServiceClient::new(channel).can_deliver(request).await;
    let answer = product.call(request, ask).await?;
    let decision = answer.decision.clone().unwrap_or_default();
    let exit = match decision.verdict() {
        Verdict::Deliverable => Exit::Done,
        Verdict::NotDeliverable => Exit::No,
        Verdict::Unspecified => {
            return Err(Failure::new(Exit::Refused, "Product answered without a verdict"));
        }
    };
    if args.output.json {
        tables::say(json::print(&answer)?)?;
    } else {
        print(&decision, args.explain)?;
    }
    Ok(exit)
}

fn print(decision: &Decision, explain: bool) -> Result<(), Failure> {
    let verdict = words::short(decision.verdict().as_str_name(), "VERDICT_");
    let verdict = tables::verdict(verdict, decision.verdict() == Verdict::Deliverable);
    let code = words::short(decision.reason().as_str_name(), "REASON_");
    tables::say(format!("{verdict}: {} ({code})\n", words::reason(decision.reason())))?;
    let mut facts = Vec::new();
    if let Some(limit) = &decision.violated_limit {
        facts.push(("limit", words::violated_limit(limit)));
    }
    let rules: Vec<_> = decision.deciding_rules.iter().map(rule).collect();
    facts.push((
        "decided by",
        if rules.is_empty() { "no rule".to_owned() } else { rules.join("\n            ") },
    ));
    facts.push(("valid until", words::time(decision.valid_until.as_ref(), "the catalogue changes")));
    facts.push(("as of", words::time(decision.as_of_time.as_ref(), "not said")));
    facts.push(("revision", decision.revision.clone()));
    tables::say(tables::facts(&facts))?;
    if explain && decision.explanation.is_empty() {
        tables::say("\nNo rule matches the product and the location.")?;
    } else if explain {
        let rows = decision.explanation.iter().map(explained);
        tables::say(format!("\n{}", tables::prose(["OUTCOME", "EFFECT", "RULE", "WHY"], rows)))?;
    }
    Ok(())
}

fn explained(line: &Explanation) -> [String; 4] {
    let outcome = words::short(line.outcome().as_str_name(), "RULE_OUTCOME_").to_owned();
    let effect = words::short(line.effect().as_str_name(), "EFFECT_").to_owned();
    let id = line.rule.as_ref().map(|rule| rule.rule_id.clone()).unwrap_or_default();
    [outcome, effect, id, line.text.clone()]
}

fn rule(rule: &RuleRef) -> String {
    format!("{} version {}", rule.rule_id, rule.version)
}
