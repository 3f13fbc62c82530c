//! One database, SQLite or PostgreSQL, on a runtime of its own.
//!
//! A pool's sockets stay on the reactor that made them, and a cancelled BEGIN leaves a session inside a transaction that
//! the next borrower works in. So every unit of work is a task on the store's runtime, which outlives serving: its
//! caller may give up, the unit finishes what it began.

mod backup;
mod error;
mod figures;
mod lent;
mod migrate;
mod session;
mod settings;
#[cfg(feature = "throwaway")]
pub mod throwaway;
mod trust;

use std::future::{Future, ready};
use std::io::ErrorKind;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Executor as _, Row as _};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use error::StoreError;
use figures::Figures;
pub use lent::UNIT_TIMEOUT;
use lent::{ANSWER_TIMEOUT, Begun, Lent};
use session::{BEGIN_POSTGRES, BEGIN_SNAPSHOT, BEGIN_SQLITE};
pub use session::{Connection, PgConnection, Session, SqliteConnection, Transaction};
pub use settings::DatabaseSettings;
use trust::Trust;

/// How long a unit of work waits for a connection: below the deadline that most callers set.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a write waits for SQLite's one writer: some chunks of imports side by side.
const WRITER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long PostgreSQL works on one statement before it gives up: an import's largest takes well under a second.
const STATEMENT_TIMEOUT: &str = "10s";
/// How long PostgreSQL keeps a transaction that nobody works in: only a lost client leaves one.
const IDLE_TRANSACTION_TIMEOUT: &str = "10s";
/// Connections end at this age, whatever else keeps them: long before whatever they piled up on either side matters.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// How often a standby is asked whether it has been promoted.
const STANDBY_POLL: Duration = Duration::from_millis(100);
/// Readers of one SQLite file; each is a thread.
const SQLITE_READERS: u32 = 4;
/// Page cache of the SQLite writer, in KiB (a negative number of pages means that): an import's hot index pages fit.
const SQLITE_WRITER_CACHE: &str = "-65536";
/// Rows of one answer that an SQLite connection's thread may be ahead of who reads them, about 1 KiB each. Each time the one
/// has to wait for the other costs a thread hop; at 50, which is sqlx's own, that is a third of a large read.
const SQLITE_ROWS_AHEAD: usize = 1_024;
/// How long the connections may take to say goodbye at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Units of work under way and waiting. What waits longer than ACQUIRE_TIMEOUT fails anyway.
const MAX_UNITS: usize = 1_024;
/// Threads of the store's runtime at most, and no more than there are cores: it waits for sockets; SQLite brings threads of
/// its own. On one core a second one would only be woken to find nothing.
const MAX_STORE_THREADS: usize = 2;

/// A database's pools and the runtime they live on. Clones share them.
#[derive(Clone, Debug)]
pub struct Database {
    pools: Pools,
    runtime: Handle,
    units: Arc<Semaphore>,
    trust: Trust,
    figures: Arc<Figures>,
}

#[derive(Clone, Debug)]
enum Pools {
    /// SQLite has one writer at a time: a pool of one makes the others wait here, not in "database is locked".
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// Starts the runtime that a service's database, and all that follows it, lives on.
///
/// # Errors
/// The operating system gives no threads.
pub fn start_runtime() -> std::io::Result<Runtime> {
    let threads = std::thread::available_parallelism()?.get().min(MAX_STORE_THREADS);
    Builder::new_multi_thread().worker_threads(threads).thread_name("store").enable_all().build()
}

/// Ends a database and its runtime, once serving is over. Clients have their answers by then: what a silent database holds
/// back is not worth a long wait.
pub fn end(runtime: Runtime, database: &Database) {
    let closing = async { timeout(CLOSE_TIMEOUT, database.close()).await };
    if runtime.block_on(closing).is_err() {
        tracing::warn!("the database holds its connections; ending without it");
    }
    runtime.shutdown_timeout(CLOSE_TIMEOUT);
}

// === impl Database ===

impl Database {
    /// Connects to `url` (`sqlite://path` or `postgres://…`); to be called on the store's runtime.
    ///
    /// # Errors
    /// The URL is none of the two, or the database does not answer.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        let trust = Trust::default();
        let pools = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => connect_sqlite(url).await?,
            Some("postgres" | "postgresql") => connect_postgres(url, max_connections, trust.clone()).await?,
            _ => return Err(StoreError::Setting("must begin with sqlite:// or postgres://".to_owned())),
        };
        let units = Arc::new(Semaphore::new(MAX_UNITS));
        Ok(Self { pools, runtime: Handle::current(), units, trust, figures: Arc::default() })
    }

    /// Runs one unit of work to its end on the store's runtime, whatever becomes of the caller. A PostgreSQL that is silent for
    /// too long ends it, and its connections with it.
    ///
    /// # Errors
    /// Too many units are under way, or what the unit itself answers.
    pub async fn run<T, E, F>(&self, unit: F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.units).try_acquire_owned().map_err(|_| self.figures.refused())?;
        let (trust, is_remote) = (self.trust.clone(), self.postgres().is_some());
        let task = self.runtime.spawn(async move {
            // A file answers, or says that it can't.
            let outcome = if is_remote { lent::in_time(&trust, unit).await } else { unit.await };
            if let Err(error) = &outcome {
                trust.weigh_any(error);
            }
            drop(permit);
            outcome
        });
        task.await.unwrap_or_else(|panicked| Err(StoreError::Corrupt(panicked.to_string()).into()))
    }

    /// The runtime that units of work run on.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A connection for single statements that change nothing.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn read(&self) -> Result<Session, StoreError> {
        let waiting = self.figures.wait();
        let acquired = match &self.pools {
            Pools::Sqlite { readers, .. } => readers.acquire().await.map(Session::Sqlite),
            Pools::Postgres(pool) => Lent::from(pool, &self.trust).await.map(Session::Postgres),
        };
        waiting.over(&self.pools, acquired)
    }

    /// A transaction that sees one state of the database and changes nothing.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn snapshot(&self) -> Result<Transaction<'static>, StoreError> {
        let waiting = self.figures.wait();
        let begun = match &self.pools {
            Pools::Sqlite { readers, .. } => readers.begin().await.map(Transaction::Sqlite),
            Pools::Postgres(pool) => self.begin(pool, BEGIN_SNAPSHOT).await.map(Transaction::PostgresAlone),
        };
        waiting.over(&self.pools, begun)
    }

    /// A transaction that writes: the only one on SQLite, READ COMMITTED on PostgreSQL.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn write(&self) -> Result<Transaction<'static>, StoreError> {
        let waiting = self.figures.wait();
        let begun = match &self.pools {
            Pools::Sqlite { writer, .. } => writer.begin_with(BEGIN_SQLITE).await.map(Transaction::Sqlite),
            Pools::Postgres(pool) => self.begin(pool, BEGIN_POSTGRES).await.map(Transaction::PostgresAlone),
        };
        // Here, since a unit that writes may wrap what it answers.
        waiting.over(&self.pools, begun).inspect_err(|error| self.trust.weigh(error))
    }

    /// A connection for single statements that write, each of which is a transaction of its own. On SQLite nobody else
    /// writes until it is given back.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn writer(&self) -> Result<Session, StoreError> {
        let waiting = self.figures.wait();
        let acquired = match &self.pools {
            Pools::Sqlite { writer, .. } => writer.acquire().await.map(Session::Sqlite),
            Pools::Postgres(pool) => Lent::from(pool, &self.trust).await.map(Session::Postgres),
        };
        waiting.over(&self.pools, acquired)
    }

    async fn begin(&self, pool: &PgPool, sql: &'static str) -> Result<Begun, sqlx::Error> {
        Begun::on(Lent::from(pool, &self.trust).await?, sql).await
    }

    /// Has connections tested before they are used again if an error shows that one was lost, or takes no writes: the others
    /// may be like it. Errors that units of work answer as they are, are weighed already.
    pub fn weigh(&self, error: &StoreError) {
        self.trust.weigh(error);
    }

    /// PostgreSQL's pool, for what only it can do.
    #[must_use]
    pub fn postgres(&self) -> Option<&PgPool> {
        match &self.pools {
            Pools::Postgres(pool) => Some(pool),
            Pools::Sqlite { .. } => None,
        }
    }

    /// Ends all connections once their units of work are done.
    async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

async fn connect_sqlite(url: &str) -> Result<Pools, StoreError> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(StoreError::Setting(
            "must name a file: an in-memory database ends with its connection".to_owned(),
        ));
    }
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged row survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        // What a statement may have to undo stays in memory: a read-only root has no folder for temporary files.
        .pragma("temp_store", "MEMORY")
        .row_buffer_size(SQLITE_ROWS_AHEAD);
    // SQLite itself ends a transaction for which its disk has no room; the driver then finds none to end, believes for ever
    // that one is open, and begins no other. Such a connection is closed when its next user comes.
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(WRITER_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, _used| Box::pin(ready(Ok(!connection.is_in_transaction()))))
        .connect_with(options.clone().pragma("cache_size", SQLITE_WRITER_CACHE))
        .await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, _used| Box::pin(ready(Ok(!connection.is_in_transaction()))))
        .connect_lazy_with(options.read_only(true));
    Ok(Pools::Sqlite { writer, readers })
}

async fn connect_postgres(url: &str, max_connections: u32, trust: Trust) -> Result<Pools, StoreError> {
    let options = PgConnectOptions::from_str(url)?.options([
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("idle_in_transaction_session_timeout", IDLE_TRANSACTION_TIMEOUT),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(CONNECTION_LIFETIME)
        .test_before_acquire(false)
        .after_connect(|connection, _new| Box::pin(until_primary(connection)))
        .before_acquire(move |connection, used| {
            let (trust, is_trusted) = (trust.clone(), trust.covers(used.idle_for));
            Box::pin(async move {
                if is_trusted {
                    return Ok(!connection.is_in_transaction());
                }
                let is_standby = tested(connection).await.inspect_err(|_| trust.lose())?;
                Ok(!is_standby && !connection.is_in_transaction())
            })
        })
        .connect_with(options)
        .await?;
    Ok(Pools::Postgres(pool))
}

/// Asks a connection whether it leads to a standby, and lets one go that does not answer: while it is waited for, nobody dials
/// another.
async fn tested(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let silent = |_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into()));
    timeout(ANSWER_TIMEOUT, is_standby(connection)).await.unwrap_or_else(silent)
}

/// While a failover is under way the database's address may lead to a standby, whose promotion is worth a wait. The time for
/// which connections are waited for ends it: the next attempt may lead elsewhere.
async fn until_primary(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    if !is_standby(connection).await? {
        return Ok(());
    }
    tracing::warn!("the database's address leads to a standby; waiting for the primary");
    loop {
        tokio::time::sleep(STANDBY_POLL).await;
        if !is_standby(connection).await? {
            return Ok(());
        }
    }
}

/// Whether what is at the other end only follows a primary: it takes no writes, and may lack what was acknowledged.
async fn is_standby(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = connection.fetch_one(sqlx::raw_sql("SELECT pg_is_in_recovery()")).await?;
    row.try_get(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_of_another_database_is_refused_by_name() {
        let refused = Database::connect("mysql://localhost/x", 1).await.unwrap_err();
        assert_eq!(refused.to_string(), "must begin with sqlite:// or postgres://");
    }

    #[tokio::test]
    async fn a_unit_of_work_finishes_when_its_caller_gives_up() {
        let folder = std::env::temp_dir().join(format!("candeliver-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let database = Database::connect(&format!("sqlite://{}/x.db", folder.display()), 1).await.unwrap();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let (done, seen) = tokio::sync::oneshot::channel::<()>();
        let caller = database.run(async move {
            wait.await.map_err(|_| StoreError::Overloaded)?;
            done.send(()).map_err(|()| StoreError::Overloaded)
        });
        let mut caller = Box::pin(caller);
        assert!(futures_util::poll!(&mut caller).is_pending());
        drop(caller);
        go.send(()).unwrap();
        seen.await.unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
