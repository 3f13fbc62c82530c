//! A disk that is soon full, and files that nobody may write: what only root can make.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use uuid::Uuid;

/// Set to 1 where the tests run without the right to mount a disk: only then they are left out.
const UNPRIVILEGED: &str = "CANDELIVER_TEST_UNPRIVILEGED";
/// Written at a time until nothing fits, the last pages one by one.
const PIECES_BYTES: [usize; 2] = [256 * 1024, 4 * 1024];

/// A file system of its own in memory. Goes when dropped.
pub struct SmallDisk {
    folder: PathBuf,
}

/// Files that nobody can write, those who have them open included.
pub struct Immutable(Vec<PathBuf>);

// === impl SmallDisk ===

impl SmallDisk {
    /// So large; `None` only where the tests were told to do without.
    pub fn mount(megabytes: u32) -> Option<Self> {
        if is_unprivileged() {
            return None;
        }
        let folder = std::env::temp_dir().join(format!("candeliver-disk-{}", Uuid::new_v4().simple()));
        fs::create_dir(&folder).expect("a folder for a disk");
        let size = format!("size={megabytes}m,mode=0777");
        as_root("mount", &["-t", "tmpfs", "-o", &size, "candeliver-test", &folder.display().to_string()]);
        Some(Self { folder })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Leaves room for nothing.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("a file on the disk");
        for bytes in PIECES_BYTES {
            loop {
                match ballast.write_all(&vec![0; bytes]) {
                    Ok(()) => {}
                    Err(full) if full.kind() == ErrorKind::StorageFull => break,
                    Err(other) => panic!("the disk fills up: {other}"),
                }
            }
        }
    }

    /// Leaves room again.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever has files open there ends a moment later.
        try_as_root("umount", &["-l", &self.folder.display().to_string()]);
        let _ = fs::remove_dir(&self.folder);
    }
}

// === impl Immutable ===

impl Immutable {
    /// Makes files so; `None` only where the tests were told to do without.
    pub fn make(files: Vec<PathBuf>) -> Option<Self> {
        if is_unprivileged() {
            return None;
        }
        // Those that a panic leaves behind can still be removed.
        let immutable = Self(files);
        immutable.change("+i", as_root);
        Some(immutable)
    }

    fn change(&self, flag: &str, run: fn(&str, &[&str])) {
        let files = self.0.iter().map(|file| file.display().to_string());
        let arguments: Vec<_> = std::iter::once(flag.to_owned()).chain(files).collect();
        run("chattr", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        self.change("-i", try_as_root);
    }
}

/// Whether the tests were told that they can't mount.
pub fn is_unprivileged() -> bool {
    std::env::var(UNPRIVILEGED).is_ok_and(|value| value == "1")
}

fn as_root(program: &str, arguments: &[&str]) {
    assert!(
        run(program, arguments),
        "{program} {arguments:?} needs root: run the tests as root, or let sudo do it without a password, or set \
         {UNPRIVILEGED}=1 to leave out what needs it"
    );
}

fn try_as_root(program: &str, arguments: &[&str]) {
    // What can't be undone is said by the program itself.
    let _ = run(program, arguments);
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let ran = |command: &mut Command| command.args(arguments).status().is_ok_and(|status| status.success());
    ran(&mut Command::new(program)) || ran(Command::new("sudo").args(["-n", program]))
}
