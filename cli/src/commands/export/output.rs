//! Where an export goes: standard output, or a file that appears under its name when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use proto::product::v1::ImportRow;

use crate::exit::{Exit, Failure};
use crate::json;

/// Rows on their way.
pub struct Output {
    to: To,
    rows: u64,
}

enum To {
    Stdout(BufWriter<io::Stdout>),
    File { file: BufWriter<File>, unfinished: Unfinished },
}

/// A file that is not whole yet; goes away when dropped.
struct Unfinished {
    part: PathBuf,
    path: PathBuf,
}

// === impl Output ===

impl Output {
    /// Opens a file to be, or standard output for "-".
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self { to: To::Stdout(BufWriter::new(io::stdout())), rows: 0 });
        }
        let Some(name) = path.file_name() else {
            return Err(Failure::new(Exit::Usage, format!("{} names no file to write", path.display())));
        };
        if path.is_dir() {
            return Err(Failure::new(Exit::Usage, format!("can't write {}: it is a folder", path.display())));
        }
        // In the same folder, since a file can't be renamed into another file system.
        let part = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        let file = File::create(&part).map_err(|error| Failure::file("write", path.display(), &error))?;
        let unfinished = Unfinished { part, path: path.to_owned() };
        Ok(Self { to: To::File { file: BufWriter::new(file), unfinished }, rows: 0 })
    }

    /// Writes a row as a line.
    pub fn write(&mut self, row: &ImportRow) -> Result<(), Failure> {
        let line = json::print(row)?;
        self.rows += 1;
        match &mut self.to {
            To::Stdout(stdout) => Ok(writeln!(stdout, "{line}")?),
            To::File { file, unfinished } => {
                writeln!(file, "{line}").map_err(|error| unfinished.unwritable(&error))
            }
        }
    }

    /// Makes sure that all is written, and says how many rows.
    pub fn finish(self) -> Result<u64, Failure> {
        match self.to {
            To::Stdout(mut stdout) => stdout.flush()?,
            To::File { file, unfinished } => {
                let written = file
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)
                    .and_then(|file| file.sync_all());
                let renamed = written.and_then(|()| fs::rename(&unfinished.part, &unfinished.path));
                renamed.map_err(|error| unfinished.unwritable(&error))?;
            }
        }
        Ok(self.rows)
    }
}

// === impl Unfinished ===

impl Unfinished {
    fn unwritable(&self, error: &io::Error) -> Failure {
        Failure::file("write", self.path.display(), error)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        let _ = fs::remove_file(&self.part);
    }
}
