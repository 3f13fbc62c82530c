//! Which database a service uses.

use std::path::PathBuf;

use clap::Args;
use sqlx::migrate::Migrator;

use super::{Database, StoreError};
use crate::settings::secret_from;

/// Flags for the database, the same for each service.
#[derive(Args, Clone, Debug)]
pub struct DatabaseSettings {
    /// The database: sqlite://FILE (made if missing) or postgres://USER:PASSWORD@HOST/NAME.
    #[arg(long, env = "CANDELIVER_DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    pub database_url: Option<String>,

    /// A file that holds the database URL: passwords belong in files, not in arguments that everyone can list.
    #[arg(long, env = "CANDELIVER_DATABASE_URL_FILE", value_name = "FILE", global = true)]
    pub database_url_file: Option<PathBuf>,

    /// Don't bring the tables up to date at start; refuse to start if they are not. Use it where a Job runs `migrate`
    /// before a rollout.
    #[arg(long, env = "CANDELIVER_NO_MIGRATE", global = true)]
    pub no_migrate: bool,

    /// Most connections to PostgreSQL. Times the number of processes it must stay under the server's max_connections,
    /// which is 100 unless set.
    #[arg(long, env = "CANDELIVER_DATABASE_CONNECTIONS", value_name = "N", default_value_t = 10, global = true,
          value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub database_connections: u32,
}

// === impl DatabaseSettings ===

impl DatabaseSettings {
    /// Connects, and sees to it that the tables are those of `migrator`: by migrating, or, with `--no-migrate` and unless
    /// `told_to_migrate`, by looking. To be called on the store's runtime.
    ///
    /// # Errors
    /// A setting is missing or wrong, the database is silent, or its tables are not what they must be.
    pub async fn open(&self, migrator: &Migrator, told_to_migrate: bool) -> Result<Database, StoreError> {
        let database =
            Database::connect(&self.url()?, self.database_connections).await.map_err(
                |error| match error {
                    StoreError::Setting(why) => setting(&why),
                    other => other,
                },
            )?;
        if self.no_migrate && !told_to_migrate {
            database.check_schema(migrator).await?;
        } else {
            database.migrate(migrator).await?;
        }
        Ok(database)
    }

    pub(super) fn url(&self) -> Result<String, StoreError> {
        let url =
            secret_from("database-url", self.database_url.as_deref(), self.database_url_file.as_deref())
                .map_err(|error| StoreError::Setting(error.to_string()))?;
        url.ok_or_else(|| setting("must name the database: sqlite://FILE or postgres://…"))
    }
}

fn setting(why: &str) -> StoreError {
    StoreError::Setting(format!("--database-url (CANDELIVER_DATABASE_URL) {why}"))
}
