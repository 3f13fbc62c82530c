//! Deliveries leave: those that have long been over are written into a file, and removed once their lines are on disk.
//!
//! An end half way, whatever it is, leaves lines whose deliveries are still there, and never the other way round. The next
//! archive writes these again: so a delivery has one line or more, each the same.

mod file;
mod line;

use std::path::Path;

use chassis::database::StoreError;
use chassis::shutdown::Shutdown;
use deliverability::Timestamp;

use crate::domain::State;
use crate::store::{Place, Store};
use file::ArchiveFile;

/// Deliveries in one piece: read, written, removed. Some milliseconds of SQLite's only writer, and well under a megabyte.
pub const ARCHIVE_BATCH_ROWS: u32 = 500;
/// Pieces between two words to whoever waits.
const REPORT_BATCHES: u64 = 20;

/// Why an archive ended half way.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Another archive writes into the same file.
    #[error("another archive is writing into {0}")]
    Taken(String),
    /// The file is something else.
    #[error(
        "{0} is there and ends with no line of an archive: name a new file, or one that an archive wrote"
    )]
    NoArchive(String),
    /// The file can't be written.
    #[error("can't write {0}: {1}")]
    File(String, std::io::Error),
    /// The database is silent.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was told to end.
    #[error("told to end; {0} deliveries or a few more are archived, and the next archive goes on")]
    ToldToEnd(u64),
}

/// Archives the deliveries that are final and last changed before an instant. Says how many were removed, and `report`s how many
/// so far now and then.
///
/// # Errors
/// It ended half way: what has no line yet is there, and so may be some that have.
pub async fn archive(
    store: &Store,
    before: Timestamp,
    to: &Path,
    shutdown: &Shutdown,
    report: impl Fn(u64),
) -> Result<u64, ArchiveError> {
    let mut file = ArchiveFile::open(to)?;
    let (mut archived, mut batches) = (0, 0_u64);
    for state in State::FINAL {
        let mut place = Some(Place::start(state));
        while let Some(from) = place {
            let told_to_end = move || ArchiveError::ToldToEnd(archived);
            let reading = store.finals(from, before, ARCHIVE_BATCH_ROWS);
            let finals = shutdown.or(reading).await.ok_or_else(told_to_end)??;
            file.write(&finals.deliveries)?;
            // What has begun goes on, and whoever is told to end does not wait for a silent database.
            archived += shutdown.or(store.remove(&finals.deliveries)).await.ok_or_else(told_to_end)??;
            place = finals.next;
            batches += 1;
            if batches.is_multiple_of(REPORT_BATCHES) {
                report(archived);
            }
        }
    }
    Ok(archived)
}
