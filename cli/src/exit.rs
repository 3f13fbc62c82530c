//! How the program ends: one table of exit codes, and failures that know theirs.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// What each exit code means, for `--help`.
pub const TABLE: &str = "\
Exit codes:
  0  done (check: DELIVERABLE; deliver: stored; status: everything is serving)
  1  no (check, deliver: NOT_DELIVERABLE); or something failed on this machine, such as a service that `up` started
  2  a flag, a variable or a file that can't be used
  3  import: some rows were bad; the others are stored
  4  the service answered with an error
  5  the service did not answer or could not, or not in time: trying again may help";

/// An exit code of TABLE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// The answer is no, or something failed on this machine.
    No = 1,
    /// Something on the command line can't be used.
    Usage = 2,
    /// Some rows of an import were bad.
    BadRows = 3,
    /// The service answered with an error.
    Refused = 4,
    /// The service did not answer.
    Silent = 5,
}

/// Why a command came to an end early.
#[derive(Debug)]
pub enum Failure {
    /// With a message for people and an exit code for programs.
    Told {
        /// The exit code.
        exit: Exit,
        /// What was wrong and what to do.
        message: String,
    },
    /// Whoever read standard output has seen enough, such as `head`.
    ReaderGone,
}

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

// === impl Failure ===

impl Failure {
    /// Says what was wrong and what to do.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::Told { exit, message: message.into() }
    }

    /// A file or folder that can't be used as was asked.
    pub fn file(what: &str, path: impl Display, error: &io::Error) -> Self {
        Self::new(Exit::Usage, format!("can't {what} {path}: {error}"))
    }

    /// Puts a sentence after the message.
    #[must_use]
    pub fn with_advice(self, advice: &str) -> Self {
        match self {
            Self::Told { exit, message } => Self::Told { exit, message: format!("{message}\n{advice}") },
            Self::ReaderGone => Self::ReaderGone,
        }
    }

    /// Tells it on standard error, and gives the exit code.
    #[must_use]
    pub fn tell(&self) -> Exit {
        match self {
            Self::Told { exit, message } => {
                eprintln!("candeliver: {message}");
                *exit
            }
            Self::ReaderGone => Exit::Done,
        }
    }
}

/// From writing to standard output; other files are named with `Failure::file`.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::new(Exit::No, format!("can't write to standard output: {error}")),
        }
    }
}
