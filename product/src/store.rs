//! The catalogue as it is kept: in SQLite or PostgreSQL, in the same SQL.
//!
//! `write` is the only way in and `feed` the only way to follow; `read` looks at single rows. Rows become objects in
//! `rows`, tables are spoken to in `tables` with values as `columns` has them; `draft` and `checks` hold what a write must know
//! and what must hold; `history` keeps who changed what, and what rules said before; `words` tell of other processes' commits.

mod checks;
mod columns;
mod draft;
mod feed;
mod history;
mod object;
mod postal;
mod read;
mod refusal;
mod rows;
mod tables;
#[cfg(test)]
mod tests;
mod words;
mod write;

use std::sync::Arc;

use chassis::database::{Database, StoreError};
use chassis::on_database;
use sqlx::migrate::Migrator;
use tokio::sync::{Notify, Semaphore};

pub use checks::Checked;
pub use draft::Draft;
pub use feed::{Cursor, Entry, Page};
pub use history::{Author, Known, Written};
pub use object::{Kind, Object};
pub use read::Listing;
pub use refusal::Refusal;
pub use words::Words;
pub use write::{Effect, Intent, Saved, WriteError};

use crate::revision::Epoch;

/// The Product service's database. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    /// Wakes the index of this process after each of its own commits.
    commits: Arc<Notify>,
    /// One writer at a time.
    turn: Arc<Semaphore>,
}

/// What the tables must be, oldest first.
#[must_use]
pub fn migrations() -> Migrator {
    let mut migrator = sqlx::migrate!();
    // A newer release may have migrated already: it only adds to what this one needs.
    migrator.set_ignore_missing(true);
    migrator
}

// === impl Store ===

impl Store {
    /// The store in a database whose tables are up to date.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn open(database: Database) -> Result<Self, StoreError> {
        const FIRST_HEAD: &str = "INSERT INTO catalogue_head (only_row, epoch, revision) VALUES (1, $1, 0) \
                                  ON CONFLICT (only_row) DO NOTHING";
        let of_unit = database.clone();
        let unit = async move {
            let mut transaction = of_unit.write().await?;
            on_database!(transaction.connection(), c => {
                sqlx::query(FIRST_HEAD).bind(Epoch::fresh().as_uuid()).execute(c).await?;
            });
            transaction.commit().await
        };
        database.run(unit).await?;
        Ok(Self { database, commits: Arc::new(Notify::new()), turn: Arc::new(Semaphore::new(1)) })
    }

    /// The database beneath.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Waits for a commit of this process; one that came since the last wait counts.
    pub async fn next_commit(&self) {
        self.commits.notified().await;
    }

    /// Hears of other processes' commits, on PostgreSQL; never on SQLite, which has no such word.
    #[must_use]
    pub fn words(&self) -> Words {
        Words::of(self.database.postgres())
    }

    fn committed(&self) {
        self.commits.notify_one();
    }
}
