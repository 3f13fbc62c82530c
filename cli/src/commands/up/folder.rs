//! The folder of one `up`: databases, logs, and a lock that keeps a second one out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::clients::Service;
use crate::exit::{Exit, Failure};

/// Holds the process id of whoever has locked it.
const LOCK_FILE: &str = "up.lock";

/// Letters that mean something in a database URL; %, which quotes them, first.
const QUOTED_IN_URLS: [(char, &str); 3] = [('%', "%25"), ('?', "%3F"), ('#', "%23")];

/// An open folder; nobody else can open it as long as this lives.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

// === impl Folder ===

impl Folder {
    /// Makes the folder if need be, and locks it.
    ///
    /// # Errors
    /// It can't be made or written, or another `up` uses it.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let unusable = |error| {
            Failure::file("use the folder", path.display(), &error).with_advice("--data chooses another one")
        };
        fs::create_dir_all(path).map_err(unusable)?;
        let lock_path = path.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        // Not truncated: until it is locked, what it holds is another's.
        let mut lock =
            options.create(true).truncate(false).read(true).write(true).open(lock_path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(path, &mut lock)),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id())).map_err(unusable)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The URL of a service's database.
    ///
    /// # Errors
    /// The folder's path can't be written in a URL.
    pub fn database_url(&self, service: Service) -> Result<String, Failure> {
        let path = self.path.join(format!("{}.sqlite", service.name().to_lowercase()));
        let Some(path) = path.to_str() else {
            return Err(Failure::new(
                Exit::Usage,
                format!("{} is not UTF-8: --data must be", path.display()),
            ));
        };
        let quote = |path: String, (letter, quoted): (char, &str)| path.replace(letter, quoted);
        Ok(format!("sqlite://{}", QUOTED_IN_URLS.into_iter().fold(path.to_owned(), quote)))
    }

    /// Where a service logs to.
    pub fn log_path(&self, service: Service) -> PathBuf {
        self.path.join(format!("{}.log", service.name().to_lowercase()))
    }
}

fn in_use(path: &Path, lock: &mut File) -> Failure {
    let mut owner = String::new();
    let owner = match lock.read_to_string(&mut owner) {
        Ok(_) if !owner.is_empty() => format!(", process {owner}"),
        _ => String::new(),
    };
    let message = format!(
        "{} is in use by another `candeliver up`{owner}: end that one, or choose another folder with --data",
        path.display()
    );
    Failure::new(Exit::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("candeliver-folder-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn refusal(path: &Path) -> String {
        match Folder::open(path) {
            Err(Failure::Told { exit: Exit::Usage, message }) => message,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("{} was opened", path.display()),
        }
    }

    #[test]
    fn a_folder_is_one_ups_at_a_time() {
        let path = scratch("lock");
        let folder = Folder::open(&path).unwrap();
        assert!(refusal(&path).contains(&format!("process {}:", std::process::id())));
        drop(folder);
        drop(Folder::open(&path).unwrap());
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn what_is_no_folder_is_told_with_the_flag() {
        let path = scratch("file");
        fs::write(&path, "").unwrap();
        let message = refusal(&path);
        fs::remove_file(&path).unwrap();
        assert!(message.contains(path.to_str().unwrap()) && message.contains("--data"), "{message}");
    }

    #[test]
    fn a_path_is_quoted_where_a_url_would_read_it_otherwise() {
        let path = scratch("50% off? #1");
        let url = Folder::open(&path).unwrap().database_url(Service::Product).unwrap();
        fs::remove_dir_all(&path).unwrap();
        assert!(url.contains("50%25 off%3F %231"), "{url}");
    }
}
