//! What the Delivery service can be told: flags, each with a variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chassis::database::DatabaseSettings;
use chassis::settings::{AdminSettings, LogSettings, ServerSettings, TraceSettings};
use chassis::tls::TlsSettings;
use clap::{Args as ClapArgs, Subcommand};

use crate::create::DeferLimits;
use crate::products::ProductSettings;
use crate::server::Rules;

// Upper bounds keep slips of the pen (milliseconds for seconds) from becoming settings.
const MAX_SECONDS: u64 = 31_536_000;
const MAX_PENDING: i64 = 1_000_000;
const MIN_ARCHIVE_DAYS: i64 = 7;
const MAX_ARCHIVE_DAYS: i64 = 36_500;

/// Flags of the Delivery service.
#[derive(ClapArgs, Clone, Debug)]
pub struct Args {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where to serve. Loopback unless set: nothing is open to the network unless asked.
    #[arg(long, env = "CANDELIVER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:50052")]
    pub listen: SocketAddr,

    #[allow(missing_docs, reason = "documented on its fields, which are the flags")]
    #[command(flatten)]
    pub product: ProductSettings,

    /// How long Product is asked about a delivery that was deferred because it was silent, in seconds; what it has not
    /// answered by then expires. A day: longer than outages last, and people look at what expired.
    #[arg(long, env = "CANDELIVER_VERIFY_WITHIN_SECONDS", value_name = "SECONDS", default_value_t = 86_400,
          value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    pub verify_within_seconds: u64,

    /// Most deliveries that wait for Product at once; past it DEFER is refused. 10,000 are verified within seconds once
    /// Product is back, so a long outage is not followed by a long catching up.
    #[arg(long, env = "CANDELIVER_MAX_PENDING", value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(0..=MAX_PENDING))]
    pub max_pending: u32,

    /// How old a decision may be when its delivery is dispatched, in seconds; Product is asked again about an older one.
    /// 0: always. An hour: rules change seldom, and what is dispatched at once need not be asked for twice.
    #[arg(long, env = "CANDELIVER_RECHECK_AFTER_SECONDS", value_name = "SECONDS", default_value_t = 3_600,
          value_parser = clap::value_parser!(u64).range(0..=MAX_SECONDS))]
    pub recheck_after_seconds: u64,

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
    /// Write deliveries that have long been final into a file, as lines of JSON, remove them, and end. Services may go on
    /// meanwhile, and so may another archive into another file. Nothing is removed before its line is on disk; run again after
    /// an end half way, it goes on in the same file. What was archived is gone for all callers, and its id is free again.
    Archive(ArchiveSettings),
}

/// What to archive, and where to.
#[derive(ClapArgs, Clone, Debug, PartialEq, Eq)]
pub struct ArchiveSettings {
    /// How long ago the last change of a delivery must be, in days. At least 7: a caller that sends a create again, because
    /// its outcome was unknown, must find what the first one made.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(MIN_ARCHIVE_DAYS..=MAX_ARCHIVE_DAYS))]
    pub older_than_days: u32,

    /// The file that lines are added to; made if missing. A delivery may have a line in it twice, after an end half way:
    /// both are the same.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

// === impl ArchiveSettings ===

impl ArchiveSettings {
    /// How long ago the last change must be.
    #[must_use]
    pub fn older_than(&self) -> Duration {
        Duration::from_secs(u64::from(self.older_than_days) * 24 * 60 * 60)
    }
}

// === impl Args ===

impl Args {
    /// How far DEFER goes, and when a decision is old.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            defer: DeferLimits {
                verify_within: Duration::from_secs(self.verify_within_seconds),
                max_pending: self.max_pending,
            },
            recheck_after: Duration::from_secs(self.recheck_after_seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser, Debug)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn every_setting_has_a_variable_named_like_its_flag_and_a_help_text() {
        Cli::command().debug_assert();
        for argument in Cli::command().get_arguments() {
            let flag = argument.get_long().unwrap();
            let wanted = format!("CANDELIVER_{}", flag.replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env().map(|name| name.to_string_lossy().into_owned()), Some(wanted));
            assert!(argument.get_help().is_some(), "{flag} explains itself");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_no_setting() {
        for bad in [
            ["--product-url", "product:50051"],
            ["--product-timeout-ms", "3600000"],
            ["--product-retry-percent", "101"],
            ["--verify-within-seconds", "0"],
            ["--listen", "50052"],
        ] {
            assert!(Cli::try_parse_from([&["delivery"], &bad[..]].concat()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_caller_may_still_ask_for_again_is_not_archived() {
        let archive = |days| ["delivery", "archive", "--older-than-days", days, "--to", "file"];
        assert!(Cli::try_parse_from(archive("6")).is_err());
        let args = Cli::try_parse_from(archive("7")).unwrap().args;
        let Some(Command::Archive(settings)) = args.command else { panic!("{args:?}") };
        assert_eq!(settings.older_than(), Duration::from_secs(604_800));
    }

    #[test]
    fn the_database_can_be_named_before_or_after_the_command() {
        for order in
            [["--database-url", "sqlite://x", "migrate"], ["migrate", "--database-url", "sqlite://x"]]
        {
            let args = Cli::try_parse_from([&["delivery"], &order[..]].concat()).unwrap().args;
            assert_eq!(args.command, Some(Command::Migrate));
            assert_eq!(args.database.database_url.as_deref(), Some("sqlite://x"));
        }
    }
}
