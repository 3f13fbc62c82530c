//! Databases for tests: each test makes its own and it goes when the test is over.

use std::path::PathBuf;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// The URL of a PostgreSQL server on which tests may make databases.
pub const POSTGRES_URL: &str = "CANDELIVER_TEST_POSTGRES_URL";
/// Set to 1 where there is none: only then PostgreSQL is left out.
pub const SQLITE_ONLY: &str = "CANDELIVER_TEST_SQLITE_ONLY";

/// A database that nobody else uses; removed when dropped.
#[derive(Debug)]
pub enum Throwaway {
    /// A file in a folder of its own.
    Sqlite {
        /// The folder.
        folder: PathBuf,
    },
    /// A database on the tests' server. The server goes with all of them.
    Postgres {
        /// Its URL.
        url: String,
    },
}

// === impl Throwaway ===

impl Throwaway {
    /// A new SQLite database.
    ///
    /// # Panics
    /// The folder can't be made.
    #[must_use]
    pub fn sqlite() -> Self {
        let folder = std::env::temp_dir().join(format!("candeliver-test-{}", Uuid::new_v4()));
        std::fs::create_dir(&folder).expect("a folder for a test's database");
        Self::Sqlite { folder }
    }

    /// A new PostgreSQL database; `None` only where the tests were told to do without.
    ///
    /// # Panics
    /// There is no server, and the tests were not told to do without: what was not tested must not look tested.
    pub async fn postgres() -> Option<Self> {
        let server = match std::env::var(POSTGRES_URL) {
            Ok(server) => server,
            Err(_) if std::env::var(SQLITE_ONLY).is_ok_and(|value| value == "1") => return None,
            Err(_) => panic!(
                "{POSTGRES_URL} must name a PostgreSQL server for tests: run ./scripts/test, or \
                 eval \"$(scripts/postgres start)\", or set {SQLITE_ONLY}=1 to leave PostgreSQL out"
            ),
        };
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut connection = PgConnection::connect(&server).await.expect("the tests' PostgreSQL answers");
        let create = format!("CREATE DATABASE {name}");
        sqlx::query(AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .expect("the tests may make databases");
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        Some(Self::Postgres { url: format!("{base}/{name}") })
    }

    /// What `--database-url` takes.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite { folder } => format!("sqlite://{}/test.db", folder.display()),
            Self::Postgres { url } => url.clone(),
        }
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        if let Self::Sqlite { folder } = self {
            // What can't be removed now goes with the temporary folder.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
