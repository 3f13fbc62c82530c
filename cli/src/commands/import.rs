//! `import`: brings many rows in, chunk by chunk, while the next ones are read.

mod chunks;
mod lines;
mod report;

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args as ClapArgs;
use proto::product::v1::catalogue_service_client::CatalogueServiceClient;
use proto::product::v1::{ImportCatalogueRequest, ImportCatalogueResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::clients::{ConnectionFlags, OutputFlags, Peer, ProductFlags};
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use chunks::{Chunk, Place};
pub use report::{Report, Summary};

/// Chunks that are read and not yet sent, and that are sent and not yet answered: each side has one to work on while the
/// other works on the next. A chunk is a few megabytes.
const CHUNKS_AHEAD: usize = 1;
/// An answer names each bad row of a chunk with all its bad fields: 10,000 rows of a few kilobytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Bring products, locations and rules into the catalogue
///
/// The file holds JSON Lines, one ImportRow of candeliver.product.v1 a line:
///
///   {"product":{"product_id":"…","name":"Paperback novel","weight_g":300}}
///   {"location":{"location_id":"…","parent_id":"…","kind":"LOCATION_KIND_CITY","name":"Amsterdam"}}
///   {"rule":{"rule_id":"…","effect":"EFFECT_ALLOW","product":{"any":true},"place":{"location_id":"…"}}}
///
/// A row may refer to rows before it. It replaces the object of its id; equal ones are left as they are, so the same import
/// can be run again at any time. Bad rows are named with their line and left out; the others are stored. With --json, each
/// line of the answer is one chunk's ImportCatalogueResponse, whose row numbers are lines of the file. Ends with 0 if all
/// rows were good, 3 if some were bad, 2 if the file can't be read, 4 or 5 if Product refused or did not answer.
#[derive(ClapArgs, Debug)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The file; - for standard input.
    file: PathBuf,

    /// Check everything and store nothing. At most 2,000,000 rows.
    #[arg(long)]
    validate_only: bool,

    #[command(flatten)]
    product: ProductFlags,
    #[command(flatten)]
    connection: ConnectionFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// What a chunk's answer is to be held against.
struct Sent {
    place: Place,
    rows: usize,
}

/// Imports the file.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let (name, input, bytes): (String, Box<dyn Read + Send>, Option<u64>) = if args.file.as_os_str() == "-" {
        ("standard input".to_owned(), Box::new(io::stdin()), None)
    } else {
        let name = args.file.display().to_string();
        let unreadable = |error| Failure::file("read", &name, &error);
        let file = File::open(&args.file).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if about.is_dir() {
            return Err(Failure::new(Exit::Usage, format!("can't read {name}: it is a folder")));
        }
        (name, Box::new(file), about.is_file().then_some(about.len()))
    };
    let product = Peer::product(&args.product, &args.connection)?;
    let report = Report::new(name, Progress::new(bytes), args.output.json);
    let summary = import(&product, input, args.validate_only, report).await?;
    if !args.output.json {
        summary.print(args.validate_only)?;
    }
    Ok(if summary.bad == 0 { Exit::Done } else { Exit::BadRows })
}

/// Imports whatever `input` holds.
///
/// # Errors
/// The input can't be read, or Product ended the import.
pub async fn import(
    product: &Peer,
    input: impl Read + Send + 'static,
    validate_only: bool,
    mut report: Report,
) -> Result<Summary, Failure> {
    let started = Instant::now();
    let (to_product, requests) = mpsc::channel(CHUNKS_AHEAD);
    let open = async |channel, request| {
        let client = CatalogueServiceClient::new(channel);
        client.max_decoding_message_size(MAX_ANSWER_BYTES).import_catalogue(request).await
    };
    let mut answers = product.open(ReceiverStream::new(requests), open).await?;
    let (to_feeder, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let (to_report, mut sent) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::Builder::new()
        .name("rows".to_owned())
        .spawn(move || chunks::read(input, &to_feeder))
        .map_err(|error| Failure::new(Exit::No, format!("can't start a thread: {error}")))?;
    tokio::spawn(feed(chunks, to_product, to_report, validate_only));
    while let Some(outcome) = sent.recv().await {
        let Sent { place, rows } = outcome.map_err(|error| Failure::file("read", report.name(), &error))?;
        let answer = match rows {
            // Only lines that are no rows: Product knows nothing of them.
            0 => ImportCatalogueResponse::default(),
            _ => answer(product, &mut answers).await?,
        };
        report.chunk(place, answer)?;
    }
    Ok(report.end(started.elapsed()))
}

/// Hands chunks on to Product, and what must be known of them to the report, in the same order.
async fn feed(
    mut chunks: mpsc::Receiver<io::Result<Chunk>>,
    to_product: mpsc::Sender<ImportCatalogueRequest>,
    to_report: mpsc::Sender<io::Result<Sent>>,
    validate_only: bool,
) {
    while let Some(chunk) = chunks.recv().await {
        let (rows, sent) = match chunk {
            Ok(Chunk { rows, place }) => {
                let sent = Sent { place, rows: rows.len() };
                (rows, Ok(sent))
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        // Who does not listen any more has ended the import, and says why.
        if !rows.is_empty() && to_product.send(ImportCatalogueRequest { rows, validate_only }).await.is_err()
        {
            let _ = to_report.send(sent).await;
            return;
        }
        if to_report.send(sent).await.is_err() {
            return;
        }
    }
}

async fn answer(
    product: &Peer,
    answers: &mut Streaming<ImportCatalogueResponse>,
) -> Result<ImportCatalogueResponse, Failure> {
    let broken = match answers.message().await {
        Ok(Some(answer)) => return Ok(answer),
        Ok(None) => Failure::new(Exit::Refused, "Product ended the import before its last chunk"),
        Err(status) => product.stream_error(status).into(),
    };
    Err(broken.with_advice(
        "Running the same import again is safe, and completes it: rows that are stored already change nothing.",
    ))
}
