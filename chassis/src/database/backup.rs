//! A copy of an SQLite database in one file, made while its service goes on. PostgreSQL has its own tools for that.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::settings::DatabaseSettings;
use super::{BUSY_TIMEOUT, StoreError};

/// Copies what one read transaction sees, without what was removed. Writers go on meanwhile.
const COPY: &str = "VACUUM INTO $1";
/// Reads the whole copy: a backup is worth what its last check was.
const CHECK: &str = "PRAGMA integrity_check";
/// Who may read a copy that is not whole.
const OWNER_ONLY: u32 = 0o600;

// === impl DatabaseSettings ===

impl DatabaseSettings {
    /// Copies the database into a file that must not be there yet: it is there when the copy is whole, checked and on disk, and
    /// not before.
    ///
    /// # Errors
    /// The database is PostgreSQL, it can't be read, or the file can't be written.
    pub async fn back_up(&self, to: &Path) -> Result<(), StoreError> {
        let url = self.url()?;
        if url.starts_with("postgres") {
            return Err(StoreError::Setting(
                "this copies SQLite files; a PostgreSQL database is backed up while it serves with \
                 `pg_dump --format=custom --file=FILE --dbname=URL`: see docs/backup.md"
                    .to_owned(),
            ));
        }
        let options =
            SqliteConnectOptions::from_str(&url)?.create_if_missing(false).busy_timeout(BUSY_TIMEOUT);
        let from = options.get_filename().to_owned();
        if !from.is_file() {
            return Err(StoreError::Setting(format!("there is no database {}", from.display())));
        }
        if to.exists() {
            return Err(StoreError::Setting(format!("{} is there already: name a new file", to.display())));
        }
        let unfinished = unfinished(to);
        reserve(&unfinished)
            .map_err(|error| StoreError::Setting(format!("can't write {}: {error}", unfinished.display())))?;
        let copied = copy(options, &unfinished).await.and_then(|()| publish(&from, &unfinished, to));
        // After a success this is the copy's second name.
        let _ = fs::remove_file(&unfinished);
        copied
    }
}

/// Beside the file, under a name that no other backup has.
fn unfinished(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{}.unfinished", std::process::id()));
    name.into()
}

/// Makes an empty file, into which SQLite copies then: until the copy is published nobody else may read it. What a backup left
/// that was killed under the same number is of no use to anybody.
fn reserve(unfinished: &Path) -> std::io::Result<()> {
    match fs::remove_file(unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(unfinished).map(drop)
}

async fn copy(options: SqliteConnectOptions, to: &Path) -> Result<(), StoreError> {
    let name = to.to_str().ok_or_else(|| StoreError::Setting("the file's name must be UTF-8".to_owned()))?;
    let mut connection = options.clone().connect().await?;
    sqlx::query(COPY).bind(name).execute(&mut connection).await?;
    connection.close().await?;

    let mut copied = options.filename(to).read_only(true).connect().await?;
    let found: String = sqlx::query_scalar(CHECK).fetch_one(&mut copied).await?;
    copied.close().await?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt(found)) }
}

/// Gives the copy its name, unless another file has got it meanwhile, once all of it is on disk.
fn publish(from: &Path, copied: &Path, to: &Path) -> Result<(), StoreError> {
    let published = (|| {
        // Who may not read the database may not read its copy.
        fs::set_permissions(copied, fs::metadata(from)?.permissions())?;
        File::open(copied)?.sync_all()?;
        fs::hard_link(copied, to)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    })();
    published.map_err(|error: std::io::Error| {
        StoreError::Setting(format!("can't write {}: {error}", to.display()))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::Database;
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        database: DatabaseSettings,
    }

    fn settings(url: &str) -> DatabaseSettings {
        Cli::parse_from(["test", "--database-url", url]).database
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("candeliver-backup-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn url(&self, name: &str) -> String {
            format!("sqlite://{}", self.0.join(name).display())
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    async fn rows(url: &str) -> i64 {
        let mut connection = SqliteConnectOptions::from_str(url).unwrap().connect().await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(&mut connection).await.unwrap()
    }

    #[tokio::test]
    async fn a_backup_holds_what_was_committed_and_nothing_of_a_write_under_way() {
        let folder = Folder::new();
        let database = Database::connect(&folder.url("live.db"), 1).await.unwrap();
        let mut writing = database.write().await.unwrap();
        for sql in ["CREATE TABLE kept (n INTEGER)", "INSERT INTO kept VALUES (1)"] {
            crate::on_database!(writing.connection(), c => sqlx::query(sql).execute(c).await.map(drop).unwrap());
        }
        writing.commit().await.unwrap();
        let mut writing = database.write().await.unwrap();
        let more = "INSERT INTO kept VALUES (2)";
        crate::on_database!(writing.connection(), c => sqlx::query(more).execute(c).await.map(drop).unwrap());
        settings(&folder.url("live.db")).back_up(&folder.0.join("copy.db")).await.unwrap();
        writing.commit().await.unwrap();
        assert_eq!((rows(&folder.url("copy.db")).await, rows(&folder.url("live.db")).await), (1, 2));
        assert!(!folder.names().iter().any(|name| name.ends_with("unfinished")), "{:?}", folder.names());
    }

    #[tokio::test]
    async fn a_backup_overwrites_nothing_and_makes_nothing_out_of_a_slip_of_the_pen() {
        let folder = Folder::new();
        drop(Database::connect(&folder.url("live.db"), 1).await.unwrap());
        fs::write(folder.0.join("taken"), "precious").unwrap();
        let taken = settings(&folder.url("live.db")).back_up(&folder.0.join("taken")).await.unwrap_err();
        assert!(taken.to_string().contains("is there already"), "{taken}");
        assert_eq!(fs::read_to_string(folder.0.join("taken")).unwrap(), "precious");
        let missing = settings(&folder.url("lvie.db")).back_up(&folder.0.join("copy.db")).await.unwrap_err();
        assert!(missing.to_string().contains("there is no database"), "{missing}");
        let nowhere = settings(&folder.url("live.db")).back_up(&folder.0.join("no/copy.db")).await;
        assert!(nowhere.is_err());
        let names = folder.names();
        assert!(!names.iter().any(|name| name.contains("copy") || name.contains("lvie")), "{names:?}");
    }

    #[tokio::test]
    async fn what_a_killed_backup_left_is_replaced_by_what_nobody_else_may_read() {
        let folder = Folder::new();
        let database = Database::connect(&folder.url("live.db"), 1).await.unwrap();
        let (copy, begun) = (folder.0.join("copy.db"), unfinished(&folder.0.join("copy.db")));
        fs::write(&begun, "half a copy").unwrap();
        reserve(&begun).unwrap();
        let reserved = fs::metadata(&begun).unwrap();
        assert_eq!((reserved.permissions().mode() & 0o777, reserved.len()), (OWNER_ONLY, 0));
        fs::write(&begun, "half a copy").unwrap();
        settings(&folder.url("live.db")).back_up(&copy).await.unwrap();
        let modes = ["live.db", "copy.db"].map(|name| folder.0.join(name).metadata().unwrap().permissions());
        assert_eq!(modes[0], modes[1]);
        assert!(!begun.exists());
        drop(database);
    }

    #[tokio::test]
    async fn postgresql_is_pointed_to_its_own_tool_without_its_password() {
        let refused = settings("postgres://app:secret@db/shop").back_up(Path::new("copy")).await.unwrap_err();
        let told = refused.to_string();
        assert!(told.contains("pg_dump") && !told.contains("secret"), "{told}");
    }
}
