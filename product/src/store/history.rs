//! Who changed what, and what rules said before: a decision names rules and versions, and can be explained long after they
//! have changed.
//!
//! Every write is a revision, and has one row that says who made it and when. A rule's present version is in its table; those
//! before it are put aside in the transaction that overwrites them, so what is only created costs nothing here.

use chassis::clock;
use chassis::database::{Connection, StoreError};
use chassis::identity::Identity;
use chassis::on_database;
use deliverability::{Rule, RuleId, Timestamp};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::Store;
use super::draft::Shelved;
use super::rows::{self, RuleRow, Stored};
use super::tables::{self, Table};
use crate::revision::Revision;

const HISTORY: &str = "rule_history";

/// Rules that one statement puts aside: one value each, far below SQLite's limit.
const BATCH_ROWS: usize = 500;

/// A database that was restored in part may hold rows of what was lost, under the same revision.
const NOTE_AUTHOR: &str = "INSERT INTO revisions (revision, changed_at_us, changed_by) VALUES ($1, $2, $3) \
     ON CONFLICT (revision) DO UPDATE SET changed_at_us = excluded.changed_at_us, changed_by = excluded.changed_by";
const AUTHOR: &str = "SELECT changed_at_us, changed_by FROM revisions WHERE revision = $1";

/// Who writes, by the name in his certificate; nobody, where callers need not say who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author(Option<Identity>);

/// When a revision was written, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// When, by the clock of the process that wrote it.
    pub at: Timestamp,
    /// By whom; `None`: callers needed not say.
    pub by: Option<String>,
}

/// An object with the story of the write that made it so.
#[derive(Clone, Debug, PartialEq)]
pub struct Known<T> {
    /// As it is, or was at the version that was asked for.
    pub object: T,
    /// `None`: it was written by a release that did not keep it.
    pub written: Option<Written>,
}

// === impl Author ===

impl Author {
    /// Whoever made the call whose handler asks.
    #[must_use]
    pub fn current() -> Self {
        Self(chassis::identity::current())
    }

    /// Somebody by name.
    #[cfg(test)]
    pub fn named(name: &str) -> Self {
        Self(Identity::parse(name).ok())
    }
}

// === impl Store ===

impl Store {
    /// One object as it is, tombstones included, and who made it so.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn get<T>(&self, id: T::Id) -> Result<Option<Known<T>>, StoreError>
    where
        T: Shelved,
    {
        let database = self.database.clone();
        let id = T::uuid(id);
        self.database
            .run(async move {
                let mut session = database.read().await?;
                let connection = &mut session.connection();
                let found = tables::by_ids::<T>(connection, &[id]).await?;
                known(connection, found.into_iter().next()).await
            })
            .await
    }

    /// One rule as it was at a version, and who made it so. `None`: it never was at that version, or was so only before its
    /// history was kept.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn rule_at(&self, id: RuleId, version: u32) -> Result<Option<Known<Rule>>, StoreError> {
        let database = self.database.clone();
        self.database
            .run(async move {
                let mut session = database.read().await?;
                let connection = &mut session.connection();
                // Both in one statement: between two the version might move from the one table to the other.
                let sql = format!("{} UNION ALL {}", select_version(Rule::TABLE), select_version(HISTORY));
                let row: Option<RuleRow> = on_database!(&mut *connection, c => {
                    let query = sqlx::query_as(AssertSqlSafe(sql));
                    query.bind(id.as_uuid()).bind(i64::from(version)).fetch_optional(c).await?
                });
                let found = row.map(rows::read).transpose()?;
                known(connection, found).await
            })
            .await
    }
}

fn select_version(table: &str) -> String {
    format!("SELECT {} FROM {table} WHERE rule_id = $1 AND version = $2", Rule::COLUMNS.join(", "))
}

/// The rows of a revision never change, so that this needs no snapshot.
async fn known<T>(
    connection: &mut Connection<'_>,
    found: Option<Stored<T>>,
) -> Result<Option<Known<T>>, StoreError> {
    let Some(Stored { object, revision }) = found else { return Ok(None) };
    let row: Option<(i64, Option<String>)> = on_database!(connection, c => {
        sqlx::query_as(AUTHOR).bind(revision.number()).fetch_optional(c).await?
    });
    let written = row.map(|(at, by)| match Timestamp::from_unix_micros(at) {
        Ok(at) => Ok(Written { at, by }),
        Err(invalid) => Err(StoreError::Corrupt(format!("revision {}: {invalid}", revision.number()))),
    });
    Ok(Some(Known { object, written: written.transpose()? }))
}

/// Notes who makes a revision, in its transaction.
pub(super) async fn note_author(
    connection: &mut Connection<'_>,
    revision: Revision,
    Author(identity): &Author,
) -> Result<(), StoreError> {
    let (now, by) = (clock::unix_micros(), identity.as_ref().map(Identity::as_str));
    on_database!(connection, c => {
        sqlx::query(NOTE_AUTHOR).bind(revision.number()).bind(now).bind(by).execute(c).await.map(drop)?;
    });
    Ok(())
}

/// Puts rules aside as they are, in the transaction that is about to overwrite them.
pub(super) async fn put_aside(connection: &mut Connection<'_>, ids: &[Uuid]) -> Result<(), StoreError> {
    for batch in ids.chunks(BATCH_ROWS) {
        match connection {
            Connection::Sqlite(c) => {
                let places = Connection::Sqlite(c).placeholders(1, batch.len());
                let query = sqlx::query(AssertSqlSafe(copy(&format!("IN {places}"))));
                let query = query.persistent(batch.len() == BATCH_ROWS);
                batch.iter().fold(query, |query, id| query.bind(*id)).execute(&mut **c).await?;
            }
            Connection::Postgres(c) => {
                sqlx::query(AssertSqlSafe(copy("= ANY ($1)"))).bind(batch).execute(&mut **c).await?;
            }
        }
    }
    Ok(())
}

fn copy(condition: &str) -> String {
    let columns = Rule::COLUMNS.join(", ");
    let sets: Vec<_> = Rule::COLUMNS.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    format!(
        "INSERT INTO {HISTORY} ({columns}) SELECT {columns} FROM {} WHERE {} {condition} \
         ON CONFLICT (rule_id, version) DO UPDATE SET {}",
        Rule::TABLE,
        Rule::KEY,
        sets.join(", ")
    )
}
