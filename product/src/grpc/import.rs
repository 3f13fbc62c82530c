//! ImportCatalogue: rows in, one answer per committed chunk.
//!
//! Its work is done on the store's runtime: a chunk takes milliseconds to decode and to read, and a thread that serves owes
//! its callers an answer in less than one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chassis::shutdown::Shutdown;
use chassis::status::{self, Failure, Violation, Violations};
use deliverability::Change;
use futures_util::Stream;
use proto::product::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use super::parse::{self, Ids};
use super::statuses::{draining, reason};
use crate::index::Index;
use crate::revision::Head;
use crate::store::{Author, Draft, Effect, Refusal, Store};

#[cfg(test)]
mod tests;

/// Rows in one chunk: one transaction of a few hundred milliseconds, during which no one else writes.
const MAX_CHUNK_ROWS: usize = 10_000;
/// Rows that are only checked: each is remembered to the end, since later ones may refer to it.
const MAX_VALIDATED_ROWS: u64 = 1_000_000;
/// Imports at once in one process: they write one after another anyway.
const MAX_IMPORTS: usize = 4;
/// Of them, those that only validate: each remembers its rows, about 1 KiB a row.
const MAX_VALIDATIONS: usize = 1;
/// When to come again where there are too many.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long an import may keep silent between two chunks.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bad rows that one answer names: with all fields bad about 1 MiB of the 4 MiB that clients take.
const MAX_ROW_ERRORS: usize = 2_000;
/// Bytes of a bad row's id that are given back: a UUID and what may have been added to it.
const MAX_OBJECT_ID_BYTES: usize = 64;
/// How long a chunk's answer waits for the index: it reads a chunk back in well under a second.
const INDEX_WAIT: Duration = Duration::from_secs(10);
/// Chunks committed and not yet in the index: the next one is stored while the last one is read back.
const CHUNKS_AHEAD: usize = 1;
/// Rows that are read without a pause: about as long as a decision may wait. Others have their turn then.
const ROWS_A_TURN: u64 = 256;

type Answer = Result<wire::ImportCatalogueResponse, Status>;
/// A chunk's answer that waits for the index to be at its revision.
type Committed = Result<(Head, wire::ImportCatalogueResponse), Status>;

/// The imports of a process: how many there may be, and when all must end.
#[derive(Clone)]
pub struct Imports {
    permits: Arc<Semaphore>,
    validations: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// The answers of one import. Dropping them, as its caller's deadline does, ends it.
pub struct Answers(mpsc::Receiver<Answer>);

struct Import {
    /// It is under way until the task that holds it has ended, whatever has become of its caller.
    _permit: OwnedSemaphorePermit,
    store: Store,
    /// Who brings the rows.
    author: Author,
    /// Set by the first chunk.
    mode: Option<Mode>,
    validations: Arc<Semaphore>,
    draft: Draft,
    rows_before: u64,
}

/// What an import is for.
enum Mode {
    Store,
    /// It holds the place of one that validates.
    Validate(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
}

// === impl Answers ===

impl Stream for Answers {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        self.0.poll_recv(context)
    }
}

// === impl Imports ===

impl Imports {
    /// None yet; all end when the shutdown starts.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        let (permits, validations) = (Semaphore::new(MAX_IMPORTS), Semaphore::new(MAX_VALIDATIONS));
        Self { permits: Arc::new(permits), validations: Arc::new(validations), shutdown }
    }

    /// Starts an import. It ends with the stream of chunks, with the first chunk that is malformed as a whole, or, between
    /// two chunks, with the process.
    pub(super) fn start(
        &self,
        store: Store,
        index: Arc<Index>,
        author: Author,
        chunks: Streaming<wire::ImportCatalogueRequest>,
    ) -> Result<Answers, Status> {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let permit =
            permit.map_err(|_| Failure::overloaded("too many imports are under way", RETRY_AFTER))?;
        let (committed, waiting) = mpsc::channel(CHUNKS_AHEAD);
        let (sender, answers) = mpsc::channel(CHUNKS_AHEAD);
        let validations = Arc::clone(&self.validations);
        let (mode, draft, rows_before) = (None, Draft::default(), 0);
        let runtime = store.database().runtime().clone();
        let import = Import { _permit: permit, store, author, mode, validations, draft, rows_before };
        runtime.spawn(import.run(chunks, committed, self.shutdown.clone()));
        runtime.spawn(answer(waiting, index, sender));
        Ok(Answers(answers))
    }
}

/// Answers each chunk once the index is at its revision. When nobody waits for answers any more, the import has nobody to
/// tell either and ends.
async fn answer(mut waiting: mpsc::Receiver<Committed>, index: Arc<Index>, answers: mpsc::Sender<Answer>) {
    let answering = async {
        while let Some(outcome) = waiting.recv().await {
            if let Ok((head, _)) = &outcome {
                index.settle(*head, Instant::now() + INDEX_WAIT).await;
            }
            if answers.send(outcome.map(|(_, answer)| answer)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = answering => {}
        () = answers.closed() => {}
    }
}

// === impl Import ===

impl Import {
    async fn run(
        mut self,
        mut chunks: Streaming<wire::ImportCatalogueRequest>,
        committed: mpsc::Sender<Committed>,
        shutdown: Shutdown,
    ) {
        loop {
            let chunk = tokio::select! {
                chunk = chunks.message() => chunk,
                () = tokio::time::sleep(IDLE_TIMEOUT) => Err(idle().into()),
                () = shutdown.started() => Err(draining().into()),
                () = committed.closed() => return,
            };
            let outcome = match chunk {
                Ok(None) => return,
                Ok(Some(chunk)) => self.store_chunk(chunk).await.map_err(Status::from),
                Err(status) => Err(malformed(status)),
            };
            let ended = outcome.is_err();
            if committed.send(outcome).await.is_err() || ended {
                return;
            }
        }
    }

    async fn store_chunk(
        &mut self,
        chunk: wire::ImportCatalogueRequest,
    ) -> Result<(Head, wire::ImportCatalogueResponse), Failure> {
        let validate_only = self.validates(&chunk)?;
        self.check_size(chunk.rows.len(), validate_only)?;
        let first_row = self.rows_before + 1;
        let mut answer =
            wire::ImportCatalogueResponse { first_row, rows: count(chunk.rows.len()), ..Default::default() };

        let mut rows = Vec::with_capacity(chunk.rows.len());
        let mut numbers = Vec::with_capacity(chunk.rows.len());
        for (number, row) in (first_row..).zip(&chunk.rows) {
            match parse_row(row) {
                Ok(change) => {
                    rows.push(change);
                    numbers.push(number);
                }
                Err(violations) => {
                    answer.errors.push(row_error(number, row, &Refusal::InvalidFields(violations)));
                }
            }
            if number.is_multiple_of(ROWS_A_TURN) {
                tokio::task::yield_now().await;
            }
        }
        let (draft, author) = (std::mem::take(&mut self.draft), self.author.clone());
        let imported = self.store.import(rows, draft, validate_only, author).await?;
        self.draft = imported.draft;
        self.rows_before += u64::from(answer.rows);

        for (number, result) in numbers.into_iter().zip(imported.results) {
            match result {
                Ok(Effect::Created) => answer.created += 1,
                Ok(Effect::Updated) => answer.updated += 1,
                Ok(Effect::Unchanged) => answer.unchanged += 1,
                Err(refusal) => {
                    let position = usize::try_from(number - first_row).unwrap_or_default();
                    answer.errors.push(row_error(number, &chunk.rows[position], &refusal));
                }
            }
        }
        answer.errors.sort_by_key(|error| error.row);
        answer.errors.truncate(MAX_ROW_ERRORS);
        answer.revision = imported.head.token();
        Ok((imported.head, answer))
    }

    /// Whether nothing is to be stored: the first chunk says so, for all.
    fn validates(&mut self, chunk: &wire::ImportCatalogueRequest) -> Result<bool, Failure> {
        if self.mode.is_none() {
            self.mode = Some(if chunk.validate_only {
                let permit = Arc::clone(&self.validations).try_acquire_owned();
                let busy = |_| Failure::overloaded("another import is being validated", RETRY_AFTER);
                Mode::Validate(permit.map_err(busy)?)
            } else {
                Mode::Store
            });
        }
        Ok(matches!(self.mode, Some(Mode::Validate(_))))
    }

    fn check_size(&self, rows: usize, validate_only: bool) -> Result<(), Failure> {
        let mut bad = Violations::default();
        if rows == 0 || rows > MAX_CHUNK_ROWS {
            bad.add("rows", format!("must be 1 to {MAX_CHUNK_ROWS} in a chunk, and are {rows}"));
        }
        if validate_only && self.rows_before + u64::from(count(rows)) > MAX_VALIDATED_ROWS {
            bad.add("rows", format!("must be at most {MAX_VALIDATED_ROWS} in an import that only validates"));
        }
        bad.finish(Some(())).map_err(Failure::invalid_fields)
    }
}

pub(super) fn parse_row(row: &wire::ImportRow) -> Result<Change, Vec<Violation>> {
    use wire::import_row::Row;
    match &row.row {
        Some(Row::Product(product)) => parse::product(product, Ids::Required, "").map(Change::Product),
        Some(Row::Location(location)) => parse::location(location, Ids::Required, "").map(Change::Location),
        Some(Row::Rule(rule)) => parse::rule(rule, Ids::Required, "").map(Change::Rule),
        None => Err(vec![Violation::new("row", "must have one of product, location and rule")]),
    }
}

fn row_error(number: u64, row: &wire::ImportRow, refusal: &Refusal) -> wire::RowError {
    use wire::import_row::Row;
    let id = match &row.row {
        Some(Row::Product(product)) => &product.product_id,
        Some(Row::Location(location)) => &location.location_id,
        Some(Row::Rule(rule)) => &rule.rule_id,
        None => "",
    };
    let object_id = id[..id.floor_char_boundary(MAX_OBJECT_ID_BYTES)].to_owned();
    let fields = refusal.violations().into_iter();
    let fields =
        fields.map(|bad| wire::FieldError { field: bad.field, description: bad.description }).collect();
    wire::RowError { row: number, object_id, reason: reason(refusal).to_owned(), fields }
}

/// An import that holds its place and sends nothing.
fn idle() -> Failure {
    let seconds = IDLE_TIMEOUT.as_secs();
    let message =
        format!("no chunk came for {seconds} s: start again, what was stored before stays unchanged");
    Failure::new(Code::DeadlineExceeded, "IMPORT_IDLE", message)
}

/// A chunk that never became a message: tonic's word for it is INTERNAL, and the fault is the client's.
fn malformed(status: Status) -> Status {
    match (status::reason(&status), status.code()) {
        (Some(_), _) => status,
        (None, Code::OutOfRange) => {
            Failure::new(Code::OutOfRange, "MESSAGE_TOO_LARGE", status.message().to_owned()).into()
        }
        (None, Code::Cancelled) => status,
        (None, _) => Failure::new(Code::InvalidArgument, "MALFORMED_REQUEST", "a chunk can't be read").into(),
    }
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
