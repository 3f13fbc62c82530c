//! What the Product service can be told: flags, each with a variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chassis::database::DatabaseSettings;
use chassis::settings::{AdminSettings, LogSettings, ServerSettings, TraceSettings};
use chassis::tls::TlsSettings;
use clap::{Args as ClapArgs, Subcommand};

/// Flags of the Product service.
#[derive(ClapArgs, Clone, Debug)]
pub struct Args {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where to serve. Loopback unless set: nothing is open to the network unless asked.
    #[arg(long, env = "CANDELIVER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,

    /// How long the catalogue may go on answering after it was last seen to be current, in seconds. A day: a database
    /// that is away for a night stops no deliveries, and no answer is older than that.
    #[arg(long, env = "CANDELIVER_MAX_INDEX_AGE_SECONDS", value_name = "SECONDS", default_value_t = 86_400,
          value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub max_index_age_seconds: u64,

    #[allow(missing_docs, reason = "documented on its fields, which are the flags")]
    #[command(flatten)]
    pub database: DatabaseSettings,

    #[allow(missing_docs, reason = "documented on its fields, which are the flags")]
    #[command(flatten)]
    pub server: ServerSettings,

    #[allow(missing_docs, reason = "documented on its fields, which are the flags")]
    #[command(flatten)]
    pub tls: TlsSettings,

    #[allow(missing_docs, reason = "documented on its fields, which are the flags")]
    #[command(flatten)]
    pub admin: AdminSettings,

    #[allow(missing_docs, reason = "documented on its fields, which are the flags")]
    #[command(flatten)]
    pub log: LogSettings,

    #[allow(missing_docs, reason = "documented on its fields, which are the flags")]
    #[command(flatten)]
    pub trace: TraceSettings,
}

/// What the program does instead of serving.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Bring the database's tables up to date, and end.
    Migrate,
    /// Copy the database into a file, while the service goes on, and end. SQLite only: for PostgreSQL it names the command.
    Backup {
        /// The file to make; it must not be there yet.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Start a new epoch, and end: the last step of restoring a backup. Every revision token given out so far is refused
    /// from then on, and running processes load the catalogue anew.
    NewEpoch,
}

// === impl Args ===

impl Args {
    /// How long the catalogue may go on answering after it was last seen to be current.
    #[must_use]
    pub fn max_index_age(&self) -> Duration {
        Duration::from_secs(self.max_index_age_seconds)
    }
}
