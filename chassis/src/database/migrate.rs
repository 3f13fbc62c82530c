//! Brings a database's tables to what this program needs, one process at a time.

use std::fs::File;
use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};

use super::{Database, Pools, StoreError};
use crate::on_database;

const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";

impl Database {
    /// Applies what is missing, under a lock: an advisory one on PostgreSQL, a file beside an SQLite database.
    ///
    /// # Errors
    /// The database is silent, or an applied migration differs from this program's.
    pub async fn migrate(&self, migrator: &Migrator) -> Result<(), StoreError> {
        match &self.pools {
            Pools::Postgres(pool) => migrator.run(pool).await?,
            Pools::Sqlite { writer, .. } => {
                let path = writer.connect_options().get_filename().with_extension("migrate.lock");
                let lock = tokio::task::spawn_blocking(move || lock(&path))
                    .await
                    .map_err(|panicked| StoreError::Corrupt(panicked.to_string()))??;
                migrator.run(writer).await?;
                drop(lock);
            }
        }
        Ok(())
    }

    /// Checks that nothing is missing; a newer database is fine, since migrations only add before they remove.
    ///
    /// # Errors
    /// A migration has not been applied.
    pub async fn check_schema(&self, migrator: &Migrator) -> Result<(), StoreError> {
        let mut session = self.read().await?;
        let applied: Vec<i64> =
            on_database!(session.connection(), c => sqlx::query_scalar(APPLIED).fetch_all(c).await).or_else(
                |error| match error {
                    // The table itself is missing: nothing was ever applied.
                    sqlx::Error::Database(_) => Ok(Vec::new()),
                    other => Err(other),
                },
            )?;
        match migrator.iter().find(|wanted| !applied.contains(&wanted.version)) {
            None => Ok(()),
            Some(missing) => Err(StoreError::Schema(format!(
                "the database lacks migration {} ({}): run this program's `migrate` command once, or start it without \
                 --no-migrate",
                missing.version, missing.description
            ))),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => error.into(),
            other => Self::Schema(format!("the database can't be migrated: {other}")),
        }
    }
}

/// The lock ends with the file, and so with the process.
fn lock(path: &Path) -> Result<File, StoreError> {
    let locked = File::create(path).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| StoreError::Setting(format!("can't lock {} to migrate: {error}", path.display())))
}
