//! The feed: what changed after a point, in revision order, up to the head of the same snapshot.
//!
//! It is a query over the tables themselves, so no log can fall out of step with them. Rows only ever move up, so pages
//! may be of different snapshots: an object that moves up between two pages comes again, later, as it is then.

use std::hash::BuildHasher;

use chassis::database::{Connection, StoreError};
use chassis::on_database;
use deliverability::{Change, Location, Product, Rule};
use foldhash::quality::FixedState;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::Store;
use super::object::Kind;
use super::rows::{self, Row, Stored};
use super::tables::{self, Table};
use crate::revision::{Epoch, Head, Revision};

const HEAD: &str = "SELECT epoch, revision FROM catalogue_head WHERE only_row = 1";

/// The same in every process of one release.
const FINGERPRINTS: FixedState = FixedState::with_seed(0x6361_6e64);

/// A place in the feed: everything up to it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    revision: Revision,
    kind: Kind,
    id: Uuid,
}

/// What the feed tells of one object.
#[derive(Debug)]
pub struct Entry {
    /// Where in the feed.
    pub cursor: Cursor,
    /// Of its row: another one for each state of it.
    pub fingerprint: u64,
    /// As it is now.
    pub change: Change,
}

/// A piece of the feed.
#[derive(Debug)]
pub struct Page {
    /// The head of the snapshot that the page is of.
    pub head: Head,
    /// In the order of their places.
    pub changes: Vec<Entry>,
    /// Whether nothing is left between the last change and the head.
    pub complete: bool,
}

// === impl Cursor ===

impl Cursor {
    /// Everything of a revision has been read.
    #[must_use]
    pub fn after(revision: Revision) -> Self {
        Self { revision, kind: Kind::Rule, id: Uuid::max() }
    }

    /// Where an object is, whatever its revision.
    #[cfg(test)]
    pub fn of(kind: Kind, id: Uuid) -> Self {
        Self { revision: Revision::ZERO, kind, id }
    }

    /// The revision that is being read.
    #[must_use]
    pub fn revision(self) -> Revision {
        self.revision
    }

    /// The object that was read last.
    #[must_use]
    pub fn object(self) -> (Kind, Uuid) {
        (self.kind, self.id)
    }

    /// The id after which a kind's rows of this cursor's revision are yet to be read.
    fn id_of(self, kind: Kind) -> Uuid {
        match kind.cmp(&self.kind) {
            std::cmp::Ordering::Less => Uuid::max(),
            std::cmp::Ordering::Equal => self.id,
            std::cmp::Ordering::Greater => Uuid::nil(),
        }
    }
}

// === impl Page ===

impl Page {
    /// The place in the feed where the page ends; `None` if it is empty and not the last.
    #[must_use]
    pub fn end(&self) -> Option<Cursor> {
        if self.complete {
            return Some(Cursor::after(self.head.revision));
        }
        self.changes.last().map(|entry| entry.cursor)
    }
}

// === impl Store ===

impl Store {
    /// How far the catalogue has come.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn head(&self) -> Result<Head, StoreError> {
        let database = self.database.clone();
        self.database.run(async move { head(&mut database.read().await?.connection()).await }).await
    }

    /// At most `limit` changes after a place in the feed.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn feed(&self, after: Cursor, limit: u32) -> Result<Page, StoreError> {
        let database = self.database.clone();
        self.database
            .run(async move {
                let mut snapshot = database.snapshot().await?;
                let page = page(&mut snapshot.connection(), after, limit).await?;
                snapshot.rollback().await?;
                Ok(page)
            })
            .await
    }
}

pub(super) async fn head(connection: &mut Connection<'_>) -> Result<Head, StoreError> {
    let (epoch, revision): (Uuid, i64) =
        on_database!(connection, c => sqlx::query_as(HEAD).fetch_one(c).await?);
    Ok(Head { epoch: Epoch::new(epoch), revision: Revision::new(revision) })
}

async fn page(connection: &mut Connection<'_>, after: Cursor, limit: u32) -> Result<Page, StoreError> {
    let head = head(connection).await?;
    let mut changes = Vec::new();
    if after >= Cursor::after(head.revision) {
        return Ok(Page { head, changes, complete: true });
    }
    // A kind that fills the page bounds what is worth reading of the next kinds.
    let mut upto = head.revision;
    upto =
        read::<Product>(connection, after, upto, limit, Kind::Product, Change::Product, &mut changes).await?;
    upto = read::<Location>(connection, after, upto, limit, Kind::Location, Change::Location, &mut changes)
        .await?;
    read::<Rule>(connection, after, upto, limit, Kind::Rule, Change::Rule, &mut changes).await?;
    changes.sort_unstable_by_key(|entry| entry.cursor);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let complete = changes.len() < limit;
    changes.truncate(limit);
    Ok(Page { head, changes, complete })
}

/// Reads one kind and says up to which revision the others are still of interest.
async fn read<T: Table>(
    connection: &mut Connection<'_>,
    after: Cursor,
    upto: Revision,
    limit: u32,
    kind: Kind,
    wrap: fn(T) -> Change,
    changes: &mut Vec<Entry>,
) -> Result<Revision, StoreError> {
    let key = T::KEY;
    let sql = format!(
        "{} WHERE (revision, {key}) > ($1, $2) AND revision <= $3 ORDER BY revision, {key} LIMIT $4",
        tables::select::<T>()
    );
    let rows: Vec<T::Row> = on_database!(connection, c => {
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(after.revision.number())
            .bind(after.id_of(kind))
            .bind(upto.number())
            .bind(i64::from(limit))
            .fetch_all(c)
            .await?
    });
    let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let mut last = upto;
    for row in rows {
        let (id, fingerprint) = (row.id(), FINGERPRINTS.hash_one(&row));
        let Stored { object, revision } = rows::read(row)?;
        last = revision;
        changes.push(Entry { cursor: Cursor { revision, kind, id }, fingerprint, change: wrap(object) });
    }
    Ok(if full { last } else { upto })
}
