//! One statement, two databases: each is written once, in SQL that both accept, and compiled for either driver.

use std::fmt::Write as _;

use sqlx::pool::PoolConnection;
pub use sqlx::{PgConnection, SqliteConnection};
use sqlx::{Postgres, Sqlite};

use super::StoreError;

/// A connection out of a pool, for single statements.
#[derive(Debug)]
pub enum Session {
    /// To SQLite.
    Sqlite(PoolConnection<Sqlite>),
    /// To PostgreSQL.
    Postgres(PoolConnection<Postgres>),
}

/// A transaction; dropped without `commit` it is rolled back.
#[derive(Debug)]
pub enum Transaction {
    /// On SQLite.
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    /// On PostgreSQL.
    Postgres(sqlx::Transaction<'static, Postgres>),
}

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
}

// === impl Transaction ===

impl Transaction {
    /// What statements run on.
    pub fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(transaction) => Connection::Sqlite(transaction),
            Self::Postgres(transaction) => Connection::Postgres(transaction),
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
        }
        Ok(())
    }
}
