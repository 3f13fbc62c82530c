//! Deliveries as they are kept: in SQLite or PostgreSQL, in the same SQL.
//!
//! | to know | read |
//! |---|---|
//! | how rows become deliveries | `rows.rs` |
//! | how one is stored once, whoever sends it how often | `create.rs` |
//! | how its state changes | `transition.rs` |
//! | how what queues up is read and committed together | `queue.rs`, `writer.rs`, `writer/` |
//! | how verifiers share what is PENDING, settle it, and how much it is | `verify.rs`, `settle.rs`, `pending.rs` |
//! | what must be waited for before a delivery that was found is acknowledged again | `standby.rs` |
//! | how those that are long over are removed | `archive.rs` |
//! | how deliveries are found | `read.rs`, `list.rs` |
//!
//! Each method is one unit of work on the store's runtime, done to its end whatever becomes of the caller, or part of a
//! batch there, which leaves out whoever gave up before it began. Time is an argument, but for whether a decision still
//! holds: `writer/creates.rs` looks at the clock before the insert, `writer/attempt.rs` before COMMIT.

mod archive;
mod commits;
mod create;
mod fault;
mod list;
mod pending;
mod queue;
mod read;
mod rows;
mod settle;
mod sqlite;
mod standby;
mod ticket;
mod transition;
mod verify;
mod writer;

use std::sync::Arc;

use chassis::database::Database;
use chassis::metrics::Collector;
use sqlx::migrate::Migrator;
use tokio::sync::Notify;

pub use archive::{Finals, Place};
use commits::CommitMetrics;
pub use commits::Commits;
pub use create::Created;
pub use list::{Cursor, Filter, MAX_SCANNED_ROWS, Page};
pub use pending::{Backlog, MAX_COUNTED};
use queue::Queue;
use read::{Read, Reader};
pub use settle::{Settled, Settlement};
use standby::Standbys;
use ticket::Ticket;
pub use transition::TransitionError;
use writer::{Entry, Writer};

/// The Delivery service's database. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    /// Wakes the verifier of this process when something is to be verified.
    pending: Arc<Notify>,
    reads: Queue<Read>,
    writes: Queue<Entry>,
    /// What was found and is to be acknowledged again; on PostgreSQL only.
    found: Option<Queue<Ticket<()>>>,
    commits: Arc<Commits>,
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
        let (pending, commits) = (Arc::new(Notify::new()), Arc::new(Commits::default()));
        let reader = Reader { database: database.clone() };
        let writer = Writer {
            database: database.clone(),
            pending: Arc::clone(&pending),
            commits: Arc::clone(&commits),
        };
        let reads = Queue::start(database.runtime(), reader);
        let writes = Queue::start(database.runtime(), writer);
        let found = database
            .postgres()
            .map(|_| Queue::start(database.runtime(), Standbys { database: database.clone() }));
        Self { database, pending, reads, writes, found, commits }
    }

    /// What was committed since.
    #[must_use]
    pub fn commits(&self) -> &Commits {
        &self.commits
    }

    /// The same for the metrics page.
    #[must_use]
    pub fn metrics(&self) -> Box<dyn Collector> {
        Box::new(CommitMetrics(Arc::clone(&self.commits)))
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
