//! What can go wrong with a database, apart from what the caller asked for.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tonic::Code;

use crate::status::Failure;

/// When to try a silent database again: long enough for a failover to get on, short enough for a person.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Classes of PostgreSQL's error codes for a connection that has ended, or is about to: lost, or ended by an operator.
/// SQLite's codes have other beginnings.
const CONNECTION_CLASSES: [&str; 2] = ["08", "57P"];

/// PostgreSQL's code for a write where none is allowed: on a standby, or on a server that is read-only for a while.
const READ_ONLY: &str = "25006";

/// The database gave no answer, or one that cannot be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A setting that can't be used.
    #[error("{0}")]
    Setting(String),
    /// Refused before anything was done.
    #[error("too many units of work are waiting for the database")]
    Overloaded,
    /// Left undone, all of it: whoever wanted it had no time left when its turn came.
    #[error("the deadline passed while the work waited for the database")]
    Expired,
    /// No answer: a write's outcome is not known.
    #[error("the database did not answer: {0}")]
    Silent(Arc<sqlx::Error>),
    /// What is stored is not what this program stores.
    #[error("the database holds what this program can't read: {0}")]
    Corrupt(String),
    /// The tables are not those that this program needs.
    #[error("{0}")]
    Schema(String),
}

// === impl StoreError ===

impl StoreError {
    /// No answer within the time that a connection which lives needs.
    #[must_use]
    pub fn timed_out() -> Self {
        sqlx::Error::Io(ErrorKind::TimedOut.into()).into()
    }

    /// Whether it was the connection that failed, not what was asked of it: others may have been lost with it.
    #[must_use]
    pub fn is_of_connection(&self) -> bool {
        let Self::Silent(error) = self else { return false };
        match &**error {
            sqlx::Error::Database(refused) => {
                let code = refused.code().unwrap_or_default();
                CONNECTION_CLASSES.iter().any(|class| code.starts_with(class))
            }
            sqlx::Error::Encode(_)
            | sqlx::Error::InvalidArgument(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed => false,
            _ => true,
        }
    }

    /// Whether the server at the other end takes no writes: another may be the primary by now.
    #[must_use]
    pub fn is_of_read_only(&self) -> bool {
        let Self::Silent(error) = self else { return false };
        error.as_database_error().is_some_and(|refused| refused.code().as_deref() == Some(READ_ONLY))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                Self::Corrupt(error.to_string())
            }
            // A fault of this program's, which trying again does not mend.
            sqlx::Error::Database(refused)
                if refused.is_unique_violation()
                    || refused.is_foreign_key_violation()
                    || refused.is_check_violation() =>
            {
                Self::Corrupt(refused.to_string())
            }
            sqlx::Error::Configuration(_) => Self::Setting(error.to_string()),
            other => Self::Silent(Arc::new(other)),
        }
    }
}

impl From<StoreError> for Failure {
    /// Ends the driver's text here: it is logged once and never reaches a client.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => Self::overloaded("too many calls wait for the database", RETRY_AFTER),
            StoreError::Expired => Self::deadline_exceeded(),
            StoreError::Silent(_) => {
                tracing::warn!(%error, "the database is silent");
                Self::new(
                    Code::Unavailable,
                    "STORE_UNAVAILABLE",
                    "the database did not answer; the outcome is not known",
                )
                .retry_after(RETRY_AFTER)
            }
            StoreError::Corrupt(_) | StoreError::Schema(_) | StoreError::Setting(_) => {
                tracing::error!(%error, "the database can't be used");
                Self::new(Code::Internal, "STORE_CORRUPT", "the database holds what this program can't read")
            }
        }
    }
}
