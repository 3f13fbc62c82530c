//! `rule`: what a rule says, or said at the version that a decision names.

use clap::Args as ClapArgs;
use proto::product::v1::catalogue_service_client::CatalogueServiceClient;
use proto::product::v1::place_selector::Selector as Place;
use proto::product::v1::product_selector::Selector as Product;
use proto::product::v1::{GetRuleRequest, GetRuleResponse};
use uuid::Uuid;

use crate::clients::{ConnectionFlags, OutputFlags, Peer, ProductFlags};
use crate::exit::{Exit, Failure};
use crate::{json, tables, words};

/// Show a rule as it is, or as it was at a version, and who wrote it.
///
/// `check` and `deliveries get` name the rules that decided, each with its version: this explains an old decision, whatever has
/// become of its rules. Ends with 0, 4 if there is no such rule or version, 5 without an answer.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The rule's id (a UUID).
    #[arg(value_name = "RULE")]
    rule_id: Uuid,

    /// Which version. Left out: the present one.
    #[arg(value_name = "VERSION", default_value_t = 0, hide_default_value = true)]
    version: u32,

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
    let request = GetRuleRequest { rule_id: args.rule_id.to_string(), version: args.version };
    let ask = async |channel, request| CatalogueServiceClient::new(channel).get_rule(request).await;
    let answer = product.call(request, ask).await?;
    tables::say(if args.output.json { json::print(&answer)? } else { facts_of(&answer) })?;
    Ok(Exit::Done)
}

fn facts_of(answer: &GetRuleResponse) -> String {
    let rule = answer.rule.clone().unwrap_or_default();
    let product = match rule.product.and_then(|product| product.selector) {
        Some(Product::Class(class)) => format!("class {class}"),
        Some(Product::ProductId(id)) => id,
        Some(Product::Any(_)) | None => "any".to_owned(),
    };
    let place = match rule.place.as_ref().and_then(|place| place.selector.clone()) {
        Some(Place::Zone(zone)) => format!("zone {zone}"),
        Some(Place::LocationId(id)) => id,
        Some(Place::Any(_)) | None => "any".to_owned(),
    };
    let mut facts = vec![("rule", rule.rule_id), ("version", rule.version.to_string())];
    let effect = wire_effect(rule.effect);
    facts.push(("effect", if rule.deleted { format!("none: deleted, was {effect}") } else { effect }));
    facts.extend([("product", product), ("place", place)]);
    let limits = [
        ("at most", rule.max_weight_g, "g"),
        ("at most", rule.max_side_mm, "mm on the longest side"),
        ("at most", rule.max_quantity, "units"),
    ];
    facts.extend(limits.into_iter().filter_map(|(name, limit, unit)| {
        Some((name, format!("{} {unit}", words::grouped(u64::from(limit?)))))
    }));
    if rule.valid_from.is_some() {
        facts.push(("from", words::time(rule.valid_from.as_ref(), "")));
    }
    if rule.valid_until.is_some() {
        facts.push(("until", words::time(rule.valid_until.as_ref(), "")));
    }
    if !rule.note.is_empty() {
        facts.push(("note", rule.note));
    }
    facts.push(("written", words::time(answer.change_time.as_ref(), "before that was kept")));
    let nobody = "nobody by name: callers needed not say who they are".to_owned();
    facts.push(("by", if answer.changed_by.is_empty() { nobody } else { answer.changed_by.clone() }));
    tables::facts(&facts)
}

fn wire_effect(effect: i32) -> String {
    let effect = proto::product::v1::Effect::try_from(effect).unwrap_or_default();
    words::short(effect.as_str_name(), "EFFECT_").to_owned()
}
