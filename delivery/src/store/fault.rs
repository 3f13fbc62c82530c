//! Whose fault it is that a batch failed, which is to say: what helps.

use std::time::Duration;

use chassis::database::{Database, Session, StoreError};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

/// Classes of PostgreSQL's error codes for what is wrong with a value: data exceptions, violated constraints, limits.
const ROW_CLASSES: [&str; 3] = ["22", "23", "54"];
/// PostgreSQL's codes: a lock was not to be had in time; a statement took too long; of two transactions that waited for each
/// other, or that can't both be true, one had to go.
const HELD: &str = "55P03";
const SLOW: &str = "57014";
const CONFLICTS: [&str; 2] = ["40P01", "40001"];
/// SQLite's codes for what is wrong with a value: too big, violated constraint, mismatch. In the lowest byte: the others
/// say more.
const ROW_CODES: [i32; 3] = [18, 19, 20];

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// One row's: the others go on without it.
    Row,
    /// One row's, that somebody else holds: the others go on without it.
    Held,
    /// A statement took too long: it may have waited for rows that somebody else held.
    Slow,
    /// Nobody's: nothing was done, and the same again may go well.
    Conflict,
    /// The connection's: what became of a commit is not known, and another connection may tell.
    Connection,
    /// There was none to be had in time: nothing was done.
    NoConnection,
    /// The database's, or nobody's: it refused, nothing was done, and there is no use in asking at once again.
    Database,
}

// === impl Fault ===

impl Fault {
    /// Keeps a session only if the fault is not its own. Where the database refuses, another may be well: a primary that was
    /// demoted refuses for ever, and after a COMMIT that failed the driver thinks that the transaction goes on.
    pub(super) fn judge(self, error: &StoreError, kept: &mut Option<Session>, database: &Database) {
        if matches!(self, Self::Connection | Self::NoConnection | Self::Database)
            && let Some(session) = kept.take()
        {
            session.discard();
        }
        database.weigh(error);
    }
}

/// Whose fault an error of a batch is.
pub(super) fn fault_of(error: &StoreError) -> Fault {
    match error {
        StoreError::Corrupt(_) => Fault::Row,
        StoreError::Silent(_) if error.is_of_connection() => Fault::Connection,
        StoreError::Silent(error) => match &**error {
            sqlx::Error::Database(refused) => of_refusal(&**refused),
            sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => Fault::Row,
            sqlx::Error::PoolTimedOut => Fault::NoConnection,
            _ => Fault::Database,
        },
        StoreError::Overloaded | StoreError::Expired | StoreError::Setting(_) | StoreError::Schema(_) => {
            Fault::Database
        }
    }
}

/// Waits for the database, but not longer than a connection that lives needs: one that is silent for longer is lost.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(StoreError::timed_out()))
}

fn of_refusal(refused: &(dyn DatabaseError + 'static)) -> Fault {
    let code = refused.code().unwrap_or_default();
    if refused.try_downcast_ref::<PgDatabaseError>().is_some() {
        return of_postgres(&code);
    }
    if code.parse().is_ok_and(|code: i32| ROW_CODES.contains(&(code & 0xff))) {
        return Fault::Row;
    }
    Fault::Database
}

fn of_postgres(code: &str) -> Fault {
    match code {
        HELD => Fault::Held,
        SLOW => Fault::Slow,
        _ if CONFLICTS.contains(&code) => Fault::Conflict,
        _ if ROW_CLASSES.iter().any(|class| code.starts_with(class)) => Fault::Row,
        _ => Fault::Database,
    }
}
