//! `up`: both services as processes of their own on this machine, so that either can be broken for real.

mod addresses;
mod folder;
mod sample;
mod signals;
mod welcome;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use crate::clients::{ConnectionFlags, Peer, Service};
use crate::exit::{Exit, Failure};
use crate::tables;
use addresses::Addresses;
use folder::Folder;
use signals::Signals;
use welcome::Welcome;
use worker::Worker;

/// How long one call to a service that has just been started may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Start both services on this machine, with a sample catalogue; Ctrl-C ends them.
///
/// Databases and logs lie in one folder. An empty catalogue gets the sample. Prints where the services are and what to try.
///
/// The services are processes of their own: `kill -STOP` and `kill -CONT` with the printed process ids show what happens when
/// one falls silent and comes back. They end with this program, however it ends, and finish first what they have begun. Every
/// setting of theirs that is not a flag here can be given as its CANDELIVER_… variable. Ends with 0 after Ctrl-C or SIGTERM, 1
/// if a service could not start or ended by itself, 2 if the folder or an address can't be used, 130 after a second Ctrl-C.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The folder for databases and logs; made if missing.
    #[arg(long, env = "CANDELIVER_DATA", value_name = "FOLDER", default_value = ".candeliver")]
    data: PathBuf,

    #[command(flatten)]
    addresses: Addresses,

    /// Leave an empty catalogue empty.
    #[arg(long)]
    no_sample: bool,
}

/// Starts, waits, ends.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let folder = Folder::open(&args.data)?;
    let addresses = args.addresses.choose()?;
    let mut signals = Signals::listen()?;
    let mut workers =
        [Worker::start_product(&folder, &addresses)?, Worker::start_delivery(&folder, &addresses)?];
    let outcome = tokio::select! {
        failure = serve(&mut workers, &folder, !args.no_sample) => Err(failure),
        () = signals.next() => Ok(Exit::Done),
    };
    stop(workers, &mut signals).await?;
    if outcome.is_ok() {
        tables::say("candeliver: both services have ended")?;
    }
    outcome
}

/// Greets when both serve, and says what went wrong, then or later.
async fn serve(workers: &mut [Worker; 2], folder: &Folder, with_sample: bool) -> Failure {
    match begin(workers, folder, with_sample).await {
        Ok(()) => {}
        Err(failure) => return failure,
    }
    let [product, delivery] = workers;
    tokio::select! {
        failure = product.ended() => failure,
        failure = delivery.ended() => failure,
    }
}

async fn begin(workers: &mut [Worker; 2], folder: &Folder, with_sample: bool) -> Result<(), Failure> {
    let [product, delivery] = workers;
    let timeout = ConnectionFlags::within(CALL_TIMEOUT);
    let peer = Peer::new(Service::Product, &product.url()?, &timeout)?;
    let ready = async {
        product.serving().await?;
        if with_sample { sample::load_if_empty(&peer).await } else { Ok(None) }
    };
    let (loaded, delivering) = tokio::join!(ready, delivery.serving());
    delivering?;
    let welcome = Welcome {
        product: &*product,
        delivery: &*delivery,
        data: folder.path(),
        rows_loaded: loaded?,
        has_sample: sample::is_there(&peer).await?,
    };
    tables::say(welcome.text()?)?;
    Ok(())
}

/// Lets both finish what they have begun; a second signal ends them at once.
async fn stop(workers: [Worker; 2], signals: &mut Signals) -> Result<(), Failure> {
    let [mut product, mut delivery] = workers;
    product.tell_to_end();
    delivery.tell_to_end();
    tokio::select! {
        _ = async { tokio::join!(product.wait_for_the_end(), delivery.wait_for_the_end()) } => Ok(()),
        () = signals.next() => {
            // Dropping a worker kills its process.
            drop((product, delivery));
            std::process::exit(signals::EXIT_CODE_INTERRUPTED)
        }
    }
}
