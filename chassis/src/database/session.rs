//! One statement, two databases: each is written once, in SQL that both accept, and compiled for either driver.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection as _, Postgres, Sqlite};
pub use sqlx::{PgConnection, SqliteConnection};

use super::StoreError;
use super::lent::{Begun, Lent};

/// A connection out of a pool, for single statements.
#[derive(Debug)]
pub enum Session {
    /// To SQLite.
    Sqlite(PoolConnection<Sqlite>),
    /// To PostgreSQL.
    Postgres(Lent),
}

/// A transaction, on a connection of its own or on a session's; dropped without `commit` it is rolled back.
#[derive(Debug)]
pub enum Transaction<'c> {
    /// On SQLite.
    Sqlite(sqlx::Transaction<'c, Sqlite>),
    /// On PostgreSQL.
    Postgres(sqlx::Transaction<'c, Postgres>),
    /// On a connection of PostgreSQL that it has to itself.
    PostgresAlone(Begun),
}

/// How a transaction that writes begins: at once as the only one on SQLite; on PostgreSQL its statements see what others
/// have committed meanwhile. It does not say READ WRITE: a server that an operator has made read-only is to stay so.
pub(super) const BEGIN_SQLITE: &str = "BEGIN IMMEDIATE";
pub(super) const BEGIN_POSTGRES: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// How one begins on PostgreSQL that sees one state of the database and changes nothing.
pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What statements run on: see `on_database!`.
#[derive(Debug)]
pub enum Connection<'c> {
    /// SQLite's.
    Sqlite(&'c mut SqliteConnection),
    /// PostgreSQL's.
    Postgres(&'c mut PgConnection),
}

/// Compiles one body for both databases: `on_database!(connection, c => sqlx::query(SQL).execute(c).await)`.
#[macro_export]
macro_rules! on_database {
    ($connection:expr, $c:ident => $body:expr) => {
        match $connection {
            $crate::database::Connection::Sqlite(connection) => {
                let $c: &mut $crate::database::SqliteConnection = connection;
                $body
            }
            $crate::database::Connection::Postgres(connection) => {
                let $c: &mut $crate::database::PgConnection = connection;
                $body
            }
        }
    };
}

// === impl Connection ===

impl Connection<'_> {
    /// Placeholders for `rows` rows of `columns` values: `(?, ?), (?, ?)` or `($1, $2), ($3, $4)`. SQLite looks a numbered
    /// placeholder up by name among all the others, which takes longer than the insert.
    #[must_use]
    pub fn placeholders(&self, rows: usize, columns: usize) -> String {
        let mut sql = String::with_capacity(rows * columns * 8);
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for column in 1..=columns {
                sql.push_str(if column == 1 { "" } else { ", " });
                match self {
                    Self::Sqlite(_) => sql.push('?'),
                    // Writing to a String can't fail.
                    Self::Postgres(_) => drop(write!(sql, "${}", row * columns + column)),
                }
            }
            sql.push(')');
        }
        sql
    }
}

// === impl Session ===

impl Session {
    /// What statements run on.
    pub fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(connection) => Connection::Sqlite(connection),
            Self::Postgres(connection) => Connection::Postgres(connection),
        }
    }

    /// Begins a transaction that writes, on a session that may write. None of its statements waits longer than `lock_timeout`
    /// for what another transaction holds; on SQLite there is no other.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn begin(&mut self, lock_timeout: Duration) -> Result<Transaction<'_>, StoreError> {
        Ok(match self {
            Self::Sqlite(connection) => Transaction::Sqlite(connection.begin_with(BEGIN_SQLITE).await?),
            Self::Postgres(connection) => {
                // Both in one round trip.
                let begin =
                    format!("{BEGIN_POSTGRES}; SET LOCAL lock_timeout = {}", lock_timeout.as_millis());
                Transaction::Postgres(connection.begin_with(AssertSqlSafe(begin)).await?)
            }
        })
    }

    /// Ends the connection: it is lost, or in the middle of something that nobody waits for any more.
    pub fn discard(self) {
        match self {
            Self::Sqlite(mut connection) => connection.close_on_drop(),
            Self::Postgres(connection) => connection.discard(),
        }
    }
}

// === impl Transaction ===

impl Transaction<'_> {
    /// What statements run on.
    pub fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(transaction) => Connection::Sqlite(transaction),
            Self::Postgres(transaction) => Connection::Postgres(transaction),
            Self::PostgresAlone(transaction) => Connection::Postgres(transaction.connection()),
        }
    }

    /// Makes what was done last.
    ///
    /// # Errors
    /// The database is silent: whether it was done is not known.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await?,
            Self::Postgres(transaction) => transaction.commit().await?,
            Self::PostgresAlone(transaction) => transaction.commit().await?,
        }
        Ok(())
    }

    /// Undoes what was done.
    ///
    /// # Errors
    /// The database is silent; it will undo it all the same.
    pub async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await?,
            Self::Postgres(transaction) => transaction.rollback().await?,
            Self::PostgresAlone(transaction) => transaction.rollback().await?,
        }
        Ok(())
    }
}
