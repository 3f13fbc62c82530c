//! The file that an archive writes: whole lines, on disk before anybody relies on them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{ArchiveError, line};
use crate::domain::Delivery;

/// How much is read at a time to find the end of the last whole line: a line has some hundred bytes.
const PIECE_BYTES: u64 = 4_096;
/// The longest line that may be an archive's: far more than its fields hold.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// An open archive. Nobody else writes into it until it is dropped.
#[derive(Debug)]
pub(super) struct ArchiveFile {
    name: String,
    file: File,
}

enum Opened {
    ToAddTo(File),
    IsTaken,
    IsOther,
}

// === impl ArchiveFile ===

impl ArchiveFile {
    /// Opens a file to add lines to, or makes it. A line that was begun and not finished goes: its delivery was not removed.
    /// Nothing of another file goes, whoever names it by mistake.
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let name = path.display().to_string();
        let opened = (|| {
            let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Opened::IsTaken),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let end = file.seek(SeekFrom::End(0))?;
            let whole = end_of_last_line(&mut file, end)?;
            if end > 0 && !is_of_archive(&mut file, whole)? {
                return Ok(Opened::IsOther);
            }
            if whole < end {
                file.set_len(whole)?;
                file.sync_all()?;
            }
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
            Ok(Opened::ToAddTo(file))
        })();
        match opened {
            Ok(Opened::ToAddTo(file)) => Ok(Self { name, file }),
            Ok(Opened::IsTaken) => Err(ArchiveError::Taken(name)),
            Ok(Opened::IsOther) => Err(ArchiveError::NoArchive(name)),
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

/// Whether the last line that is whole is one that an archive wrote.
fn is_of_archive(file: &mut File, whole: u64) -> io::Result<bool> {
    if whole == 0 {
        return Ok(false);
    }
    let start = end_of_last_line(file, whole - 1)?;
    if whole - start > MAX_LINE_BYTES {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(start))?;
    let mut line = Vec::new();
    Read::by_ref(file).take(whole - start).read_to_end(&mut line)?;
    Ok(line::is_one(&line))
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
