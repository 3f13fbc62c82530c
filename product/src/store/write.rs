//! The one way in which the catalogue changes: a transaction that takes the next revision, checks, and writes.

use std::sync::Arc;
use std::time::Duration;

use chassis::database::{Connection, StoreError, Transaction};
use chassis::on_database;
use chassis::status::Violation;
use deliverability::{Change, Location, Product, Rule};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use uuid::Uuid;

use super::Store;
use super::checks::Checked;
use super::draft::Draft;
use super::history::{self, Author};
use super::object::Object;
use super::refusal::Refusal;
use crate::revision::{Epoch, Head, Revision};

/// Writers wait here for one another, so they commit in the order of their revisions and without gaps.
const TAKE_REVISION: &str =
    "UPDATE catalogue_head SET revision = revision + 1 WHERE only_row = 1 RETURNING epoch, revision";
/// A hint for other processes; they also look for themselves.
const NOTIFY: &str = "SELECT pg_notify('candeliver_catalogue', '')";

/// How long a write waits for those before it in this process: some chunks of imports side by side.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows of an import that are checked without a pause: the store's runtime has one thread or two, and reads wait for it.
const ROWS_A_TURN: usize = 256;

/// New values for an object, made from what is stored.
pub type Patch<T> = Box<dyn FnOnce(&T) -> Result<T, Vec<Violation>> + Send>;

/// What a caller wants to become of one object.
pub enum Intent<T: Object> {
    /// Store a new one.
    Create(T),
    /// Change one that was read at a version.
    Update {
        /// Which one.
        id: T::Id,
        /// The version it was read at.
        version: u32,
        /// The change.
        patch: Patch<T>,
    },
    /// End one.
    End {
        /// Which one.
        id: T::Id,
        /// The version it was read at; `None`: whichever it is.
        version: Option<u32>,
    },
    /// Make it so, whatever was there.
    Put(T),
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// There was none before.
    Created,
    /// It was other before.
    Updated,
    /// It was so before.
    Unchanged,
}

/// An object after a write.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved<T> {
    /// As it is stored.
    pub object: T,
    /// The revision of the write, or the present one if it changed nothing.
    pub head: Head,
}

/// A chunk of an import after its transaction.
#[derive(Debug)]
pub struct Imported {
    /// The revision of the chunk, or the present one if it changed nothing.
    pub head: Head,
    /// One for each row, in the rows' order.
    pub results: Vec<Result<Effect, Refusal>>,
    /// What was only checked, so that the next chunk can refer to it.
    pub draft: Draft,
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It does not fit.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whose turn it is in this process.
type Turn = OwnedSemaphorePermit;

struct WriteTransaction {
    transaction: Transaction<'static>,
    _turn: Turn,
    /// What the catalogue is at once this commits.
    next: Head,
}

// === impl Intent ===

impl<T: Object> Intent<T> {
    fn id(&self) -> T::Id {
        match self {
            Self::Create(object) | Self::Put(object) => object.id(),
            Self::Update { id, .. } | Self::End { id, .. } => *id,
        }
    }

    /// The object that the caller wants, if the one that is stored lets it.
    fn resolve(self, before: Option<&T>, uuid: Uuid) -> Result<T, Refusal> {
        let kind = T::KIND;
        let found = before.ok_or(Refusal::NotFound { kind, id: uuid });
        match self {
            Self::Put(object) => match before {
                Some(before) if before.has_ended() && !same_content(before, &object) => Err(ended(before)),
                _ => Ok(object),
            },
            Self::Create(object) => match before {
                Some(before) if !same_content(before, &object) => Err(Refusal::Exists { kind, id: uuid }),
                _ => Ok(object),
            },
            Self::Update { version, patch, .. } => {
                let before = found?;
                if before.version() != version {
                    return Err(Refusal::VersionMismatch { kind, stored: before.version(), read: version });
                }
                if before.has_ended() {
                    return Err(ended(before));
                }
                patch(before).map_err(Refusal::InvalidFields)
            }
            Self::End { version, .. } => {
                let before = found?;
                match version {
                    // A repeated call carries the version from before the first one.
                    Some(read) if read != before.version() && !before.has_ended() => {
                        Err(Refusal::VersionMismatch { kind, stored: before.version(), read })
                    }
                    _ => Ok(before.clone().ended()),
                }
            }
        }
    }
}

fn ended<T: Object>(object: &T) -> Refusal {
    let state = if T::KIND == super::object::Kind::Rule { "deleted" } else { "retired" };
    debug_assert!(object.has_ended());
    Refusal::Ended { kind: T::KIND, state }
}

fn same_content<T: Object>(stored: &T, wanted: &T) -> bool {
    *stored == wanted.clone().with_version(stored.version())
}

// === impl Store ===

impl Store {
    /// Carries one intent of somebody's out.
    ///
    /// # Errors
    /// It does not fit, or the database is silent: then the outcome is not known.
    pub async fn write<T>(&self, intent: Intent<T>, author: Author) -> Result<Saved<T>, WriteError>
    where
        T: Checked,
    {
        let (store, turn) = (self.clone(), self.turn().await?);
        let unit = async move {
            let saved = write(&store, turn, intent, &author).await;
            if let Err(WriteError::Store(error)) = &saved {
                store.database.weigh(error);
            }
            saved
        };
        let saved = self.database.run(unit).await?;
        self.committed();
        Ok(saved)
    }

    /// Stores the rows that fit as one revision and says of each what became of it. With `validate_only` nothing is
    /// stored, and `draft` is what the chunks before would have stored.
    ///
    /// # Errors
    /// The database is silent: then the outcome is not known.
    pub async fn import(
        &self,
        rows: Vec<Change>,
        draft: Draft,
        validate_only: bool,
        author: Author,
    ) -> Result<Imported, StoreError> {
        let (store, turn) = (self.clone(), self.turn().await?);
        let unit = async move { import(&store, turn, rows, draft, validate_only, &author).await };
        let imported = self.database.run(unit).await?;
        self.committed();
        Ok(imported)
    }

    /// Starts a new epoch: every revision token given out so far becomes foreign.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn new_epoch(&self) -> Result<Head, StoreError> {
        const NEW_EPOCH: &str =
            "UPDATE catalogue_head SET epoch = $1 WHERE only_row = 1 RETURNING epoch, revision";
        let database = self.database.clone();
        let unit = async move {
            let mut transaction = database.write().await?;
            let row: (Uuid, i64) = on_database!(transaction.connection(), c => {
                sqlx::query_as(NEW_EPOCH).bind(Epoch::fresh().as_uuid()).fetch_one(c).await?
            });
            notify(&mut transaction).await?;
            transaction.commit().await?;
            Ok(Head { epoch: Epoch::new(row.0), revision: Revision::new(row.1) })
        };
        self.database.run(unit).await
    }

    /// The head's row lets one write at a time: those that wait for it here keep no connection from readers, and have not begun.
    async fn turn(&self) -> Result<Turn, StoreError> {
        let turn = timeout(TURN_TIMEOUT, Arc::clone(&self.turn).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or(StoreError::Overloaded)
    }
}

async fn write<T>(
    store: &Store,
    turn: Turn,
    intent: Intent<T>,
    author: &Author,
) -> Result<Saved<T>, WriteError>
where
    T: Checked,
{
    let mut draft = Draft::default();
    let mut transaction = WriteTransaction::begin(store, turn).await?;
    let id = intent.id();
    let connection = &mut transaction.transaction.connection();
    draft.load::<T>(connection, [id]).await?;
    let before = T::shelf(&draft).get(id).cloned();
    let wanted = intent.resolve(before.as_ref(), T::uuid(id))?;
    draft.load_surroundings(connection, &[wanted.clone().into_change()]).await?;
    admit(&mut draft, wanted)?;
    // What is stored now was there before, or has just been admitted.
    let object =
        T::shelf(&draft).get(id).cloned().ok_or(Refusal::NotFound { kind: T::KIND, id: T::uuid(id) })?;
    let head = transaction.finish(&draft, false, author).await?;
    Ok(Saved { object, head })
}

async fn import(
    store: &Store,
    turn: Turn,
    rows: Vec<Change>,
    mut draft: Draft,
    validate_only: bool,
    author: &Author,
) -> Result<Imported, StoreError> {
    let mut transaction = WriteTransaction::begin(store, turn).await?;
    let connection = &mut transaction.transaction.connection();
    let (mut products, mut locations, mut rules) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        match row {
            Change::Product(product) => products.push(product.id),
            Change::Location(location) => locations.push(location.id),
            Change::Rule(rule) => rules.push(rule.id),
        }
    }
    draft.load::<Product>(connection, products).await?;
    draft.load::<Location>(connection, locations).await?;
    draft.load::<Rule>(connection, rules).await?;
    draft.load_surroundings(connection, &rows).await?;
    let mut put = |row: Change| match row {
        Change::Product(product) => put(&mut draft, product),
        Change::Location(location) => put(&mut draft, location),
        Change::Rule(rule) => put(&mut draft, rule),
    };
    let mut results = Vec::with_capacity(rows.len());
    for row in rows {
        results.push(put(row));
        if results.len().is_multiple_of(ROWS_A_TURN) {
            tokio::task::yield_now().await;
        }
    }
    let head = transaction.finish(&draft, validate_only, author).await?;
    Ok(Imported { head, results, draft: if validate_only { draft } else { Draft::default() } })
}

fn put<T: Checked>(draft: &mut Draft, row: T) -> Result<Effect, Refusal> {
    let (id, before) = (row.id(), T::shelf(draft).get(row.id()).cloned());
    let wanted = Intent::Put(row).resolve(before.as_ref(), T::uuid(id))?;
    admit(draft, wanted)
}

/// Writes an object into the draft if it fits and is not there already.
fn admit<T: Checked>(draft: &mut Draft, wanted: T) -> Result<Effect, Refusal> {
    let before = T::shelf(draft).get(wanted.id()).cloned();
    if before.as_ref().is_some_and(|before| same_content(before, &wanted)) {
        return Ok(Effect::Unchanged);
    }
    wanted.check(before.as_ref(), draft)?;
    wanted.note(before.as_ref(), draft);
    let version = before.as_ref().map_or(1, |before| before.version() + 1);
    T::shelf_mut(draft).put(wanted.with_version(version));
    Ok(if before.is_some() { Effect::Updated } else { Effect::Created })
}

async fn notify(transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
    if let Connection::Postgres(connection) = transaction.connection() {
        sqlx::query(NOTIFY).execute(connection).await?;
    }
    Ok(())
}

// === impl WriteTransaction ===

impl WriteTransaction {
    async fn begin(store: &Store, turn: Turn) -> Result<Self, StoreError> {
        let mut transaction = store.database.write().await?;
        let (epoch, revision): (Uuid, i64) =
            on_database!(transaction.connection(), c => sqlx::query_as(TAKE_REVISION).fetch_one(c).await?);
        let next = Head { epoch: Epoch::new(epoch), revision: Revision::new(revision) };
        Ok(Self { transaction, _turn: turn, next })
    }

    /// Commits what the draft holds; rolls back, and so takes no revision, if it holds nothing.
    async fn finish(
        mut self,
        draft: &Draft,
        validate_only: bool,
        author: &Author,
    ) -> Result<Head, StoreError> {
        if draft.is_empty() || validate_only {
            self.transaction.rollback().await?;
            return Ok(Head { revision: Revision::new(self.next.revision.number() - 1), ..self.next });
        }
        let connection = &mut self.transaction.connection();
        draft.save(connection, self.next.revision).await?;
        history::note_author(connection, self.next.revision, author).await?;
        notify(&mut self.transaction).await?;
        self.transaction.commit().await?;
        Ok(self.next)
    }
}
