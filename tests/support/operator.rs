//! What an operator, or misfortune, does to a database behind a service's back.

use std::str::FromStr;

use chassis::database::throwaway::POSTGRES_URL;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, PgConnection, SqliteConnection};

use super::databases::Throwaway;

/// The superuser on the tests' PostgreSQL, in its maintenance database.
pub async fn operator() -> PgConnection {
    let server = std::env::var(POSTGRES_URL).expect("the story has a PostgreSQL");
    PgConnection::connect(&server).await.expect("the tests' PostgreSQL answers")
}

/// Runs statements one by one; each must succeed.
pub async fn run(connection: &mut PgConnection, statements: &[String]) {
    for statement in statements {
        try_run(connection, statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Runs one statement.
pub async fn try_run(connection: &mut PgConnection, statement: &str) -> Result<(), Error> {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(connection).await.map(drop)
}

/// A connection of one's own to a service's SQLite file. Foreign keys are off, as in the sqlite3 program.
pub async fn open_sqlite(url: &str) -> SqliteConnection {
    let options = SqliteConnectOptions::from_str(url).expect("a SQLite URL").foreign_keys(false);
    options.connect().await.expect("the file opens")
}

/// Runs statements one by one; each must succeed.
pub async fn run_sqlite(connection: &mut SqliteConnection, statements: &[String]) {
    for statement in statements {
        let ran = sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut *connection).await;
        ran.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// The name of a PostgreSQL database.
pub fn name_of(database: &Throwaway) -> String {
    let url = database.url();
    url.rsplit_once('/').expect("a URL with a database").1.to_owned()
}

/// Ends all connections to a PostgreSQL database and refuses new ones: to its service it is gone.
pub async fn take_away(database: &Throwaway) {
    let name = name_of(database);
    let statements = [
        format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
    ];
    run(&mut operator().await, &statements).await;
}

/// Undoes `take_away`.
pub async fn give_back(database: &Throwaway) {
    let name = name_of(database);
    run(&mut operator().await, &[format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")]).await;
}

/// Somebody else's transaction that keeps writers of one table waiting; readers go on.
pub enum WriteLock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

// === impl WriteLock ===

impl WriteLock {
    /// Takes the lock. SQLite knows only one for the whole database.
    pub async fn take(database: &Throwaway, table: &str) -> Self {
        match database {
            Throwaway::Sqlite { .. } => {
                let mut connection = open_sqlite(&database.url()).await;
                run_sqlite(&mut connection, &["BEGIN IMMEDIATE".to_owned()]).await;
                Self::Sqlite(connection)
            }
            Throwaway::Postgres { url } => {
                let mut connection = PgConnection::connect(url).await.expect("the database answers");
                run(&mut connection, &["BEGIN".to_owned(), format!("LOCK TABLE {table} IN EXCLUSIVE MODE")])
                    .await;
                Self::Postgres(connection)
            }
        }
    }

    /// Gives it back.
    pub async fn release(self) {
        match self {
            Self::Sqlite(mut connection) => run_sqlite(&mut connection, &["ROLLBACK".to_owned()]).await,
            Self::Postgres(mut connection) => run(&mut connection, &["ROLLBACK".to_owned()]).await,
        }
    }
}
