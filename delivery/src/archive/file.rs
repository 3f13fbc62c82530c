//! The file that an archive writes: whole lines, on disk before anybody relies on them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{ArchiveError, line};
use crate::domain::Delivery;

/// How much is read at a time to find the end of the last whole line: a line has some hundred bytes.
const PIECE_BYTES: u64 = 4_096;

/// An open archive. Nobody else writes into it until it is dropped.
#[derive(Debug)]
pub(super) struct ArchiveFile {
    name: String,
    file: File,
}

// === impl ArchiveFile ===

impl ArchiveFile {
    /// Opens a file to add lines to, or makes it. A line that was begun and not finished goes: its delivery was not removed.
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let name = path.display().to_string();
        let opened = (|| {
            let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let end = file.seek(SeekFrom::End(0))?;
            let whole = end_of_last_line(&mut file, end)?;
            if whole < end {
                file.set_len(whole)?;
                file.sync_all()?;
            }
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
            Ok(Some(file))
        })();
        match opened {
            Ok(Some(file)) => Ok(Self { name, file }),
            Ok(None) => Err(ArchiveError::Taken(name)),
            Err(error) => Err(ArchiveError::File(name, error)),
        }
    }

    /// Adds a line for each; they are on disk when it returns.
    pub(super) fn write(&mut self, deliveries: &[Delivery]) -> Result<(), ArchiveError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let mut lines = String::new();
        for delivery in deliveries {
            lines.push_str(&line::of(delivery));
            lines.push('\n');
        }
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| ArchiveError::File(self.name.clone(), error))
    }
}

/// Where the last line that is whole ends.
fn end_of_last_line(file: &mut File, mut end: u64) -> io::Result<u64> {
    while end > 0 {
        let start = end.saturating_sub(PIECE_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut piece = Vec::new();
        Read::by_ref(file).take(end - start).read_to_end(&mut piece)?;
        if let Some(position) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + position as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
