//! Deliveries as they are kept: in SQLite or PostgreSQL, in the same SQL.
//!
//! | to know | read |
//! |---|---|
//! | how rows become deliveries | `rows.rs` |
//! | how one is stored once, whoever sends it how often | `create.rs` |
//! | how its state changes | `transition.rs` |
//! | how verifiers share what is PENDING | `verify.rs` |
//! | how deliveries are found | `read.rs`, `list.rs` |
//!
//! Each method is one unit of work on the store's runtime, done to its end whatever becomes of the caller. Time is an
//! argument, but for one check: see `create.rs`.

mod create;
mod list;
mod read;
mod rows;
mod transition;
mod verify;

use std::sync::Arc;

use chassis::database::Database;
use sqlx::migrate::Migrator;
use tokio::sync::Notify;

pub use create::Created;
pub use list::{Cursor, Filter, MAX_SCANNED_ROWS, Page};
pub use transition::TransitionError;
pub use verify::Settlement;

/// The Delivery service's database. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    /// Wakes the verifier of this process when something is to be verified.
    pending: Arc<Notify>,
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
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, pending: Arc::new(Notify::new()) }
    }

    /// The database beneath.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Waits until this process stores a PENDING delivery; one that came since the last wait counts.
    pub async fn next_pending(&self) {
        self.pending.notified().await;
    }
}
