//! `watch`: changes of the catalogue as they happen, for as long as it takes.

use std::time::Duration;

use clap::Args as ClapArgs;
use proto::product::v1::change::Object;
use proto::product::v1::product_service_client::ProductServiceClient;
use proto::product::v1::{
    BatchCanDeliverRequest, Change, Checkpoint, Location, Product, Rule, WatchChangesRequest,
    WatchChangesResponse,
};

use crate::clients::{CallError, ConnectionFlags, OutputFlags, Peer, ProductFlags};
use crate::exit::{Exit, Failure};
use crate::{json, tables, words};

/// The first wait before a broken stream is opened again; it doubles each time that fails.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest: a person who watches does not want to wait longer for a Product that is back.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Print changes of the catalogue as they happen.
///
/// They are those from now on, unless told otherwise. Each object is printed as it is after the change. A checkpoint says that everything up to it has been printed; give the
/// last one to --after to go on from there. When Product goes away, the watch waits for it and goes on from the last checkpoint,
/// so what came after that may be printed twice. With --json each line is a Change, or a WatchChangesResponse with nothing but
/// a checkpoint. Ctrl-C ends it with 0; 4 or 5 if the first try fails.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Begin after this checkpoint or revision token.
    #[arg(long, value_name = "TOKEN", conflicts_with = "from_start")]
    after: Option<String>,

    /// Begin with everything that the catalogue holds.
    #[arg(long)]
    from_start: bool,

    #[command(flatten)]
    product: ProductFlags,
    #[command(flatten)]
    connection: ConnectionFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// How far a watch has come.
struct Watch {
    product: Peer,
    json: bool,
    /// The last checkpoint's token; None: the start.
    after: Option<String>,
    /// Whether anything came since the stream was opened.
    heard: bool,
}

/// Watches until Ctrl-C.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let product = Peer::product(&args.product, &args.connection)?;
    let after = match (args.after, args.from_start) {
        (Some(token), _) => Some(token),
        (None, true) => None,
        (None, false) => Some(present(&product).await?),
    };
    let mut watch = Watch { product, json: args.output.json, after, heard: false };
    tokio::select! {
        ended = watch.follow() => Err(ended),
        _ = tokio::signal::ctrl_c() => Ok(Exit::Done),
    }
}

/// An empty batch tells the revision.
async fn present(product: &Peer) -> Result<String, CallError> {
    let ask = async |channel, request| ProductServiceClient::new(channel).batch_can_deliver(request).await;
    Ok(product.call(BatchCanDeliverRequest::default(), ask).await?.revision)
}

// === impl Watch ===

impl Watch {
    /// Opens the stream again and again, and says what ended it for good.
    async fn follow(&mut self) -> Failure {
        let mut wait = FIRST_WAIT;
        let mut once_open = false;
        loop {
            self.heard = false;
            let broken = match self.stream().await {
                Ok(broken) => broken,
                Err(unprintable) => return unprintable,
            };
            once_open |= self.heard;
            if !once_open || !broken.may_pass() {
                return broken.into();
            }
            wait = if self.heard { FIRST_WAIT } else { (wait * 2).min(LONGEST_WAIT) };
            if self.heard && !broken.is_connections_age() {
                let from = self.after.as_deref().unwrap_or("the start");
                eprintln!("Product is away; going on from {from} when it is back");
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Prints until the stream breaks.
    async fn stream(&mut self) -> Result<CallError, Failure> {
        let request = WatchChangesRequest { after_revision: self.after.clone() };
        let follow = async |channel, request| ProductServiceClient::new(channel).watch_changes(request).await;
        let mut feed = match self.product.open(request, follow).await {
            Ok(feed) => feed,
            Err(error) => return Ok(error),
        };
        loop {
            match feed.message().await {
                Ok(Some(message)) => self.print(message)?,
                Ok(None) => {
                    return Ok(self.product.stream_error(tonic::Status::unavailable("the feed ended")));
                }
                Err(status) => return Ok(self.product.stream_error(status)),
            }
        }
    }

    fn print(&mut self, message: WatchChangesResponse) -> Result<(), Failure> {
        self.heard = true;
        for change in message.changes {
            tables::say(if self.json { json::print(&change)? } else { line(change) })?;
        }
        let Some(checkpoint) = message.checkpoint else { return Ok(()) };
        // A checkpoint also comes every now and then to show that both sides live.
        if self.after.as_ref() != Some(&checkpoint.revision) {
            self.after = Some(checkpoint.revision.clone());
            tables::say(if self.json { checkpoint_json(checkpoint)? } else { checkpoint_line(&checkpoint) })?;
        }
        Ok(())
    }
}

fn checkpoint_json(checkpoint: Checkpoint) -> Result<String, Failure> {
    json::print(&WatchChangesResponse { changes: Vec::new(), checkpoint: Some(checkpoint) })
}

fn checkpoint_line(checkpoint: &Checkpoint) -> String {
    format!("{:<10} {}", "checkpoint", checkpoint.revision)
}

fn line(change: Change) -> String {
    let (kind, id, version, state, about) = match change.object {
        Some(Object::Product(product)) => {
            let state = state(product.state().as_str_name());
            let Product { product_id, version, name, .. } = product;
            ("product", product_id, version, state, name)
        }
        Some(Object::Location(location)) => {
            let state = state(location.state().as_str_name());
            let Location { location_id, version, name, .. } = location;
            ("location", location_id, version, state, name)
        }
        Some(Object::Rule(rule)) => {
            let effect = words::short(rule.effect().as_str_name(), "EFFECT_");
            let Rule { rule_id, version, note, deleted, .. } = rule;
            ("rule", rule_id, version, if deleted { "DELETED" } else { effect }, note)
        }
        None => ("unknown", String::new(), 0, "", String::new()),
    };
    format!("{kind:<10} {id}  v{version:<4} {state:<10} {about}").trim_end().to_owned()
}

fn state(name: &'static str) -> &'static str {
    words::short(name, "STATE_")
}
