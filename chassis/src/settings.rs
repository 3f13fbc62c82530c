//! Settings that every service has: flags, each with a variable, each default with its reason.

mod admin;
mod parse;
mod secret;
mod trace;

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

pub use admin::AdminSettings;
pub use parse::parse;
pub use secret::{SecretError, secret_from};
pub use trace::TraceSettings;

const DEFAULT_DRAIN_SECONDS: u64 = 20;
const DEFAULT_MAX_CONNECTIONS: usize = 10_000;
const DEFAULT_MAX_STREAMS: u32 = 1_000;
const DEFAULT_MAX_CONNECTION_AGE_SECONDS: u64 = 300;
const DEFAULT_MAX_CALLS_IN_FLIGHT: usize = 2_048;
/// How long a call may take that brings no deadline of its own.
pub(crate) const DEFAULT_CALL_TIMEOUT_SECONDS: u64 = 30;

/// What of the drain is kept for the end of the process: three steps of half a second at most.
const DRAIN_RESERVE: Duration = Duration::from_millis(1_500);

// Upper bounds keep slips of the pen (milliseconds for seconds) from becoming settings.
const MAX_DRAIN_SECONDS: u64 = 3_600;
const MAX_CALL_TIMEOUT_SECONDS: u64 = 3_600;
const MAX_CONNECTIONS: usize = 1_000_000;
const MAX_STREAMS: u32 = 100_000;
const MAX_CONNECTION_AGE_SECONDS: u64 = 7 * 24 * 3_600;
const MAX_CALLS_IN_FLIGHT: usize = 1_000_000;
const MAX_BUSY_POLL_US: u64 = 10_000;
const MAX_THREADS: usize = 1_024;

/// How a process serves.
#[derive(Args, Clone, Debug)]
pub struct ServerSettings {
    /// How long the process may take to end after SIGTERM, in seconds; calls that still run shortly before are cut. 20 lies
    /// under the 30 that Kubernetes waits before it kills.
    #[arg(long, env = "CANDELIVER_DRAIN_SECONDS", value_name = "SECONDS", default_value_t = DEFAULT_DRAIN_SECONDS,
          value_parser = number(0..=MAX_DRAIN_SECONDS))]
    pub drain_seconds: u64,

    /// Most client connections at once; more are closed as they come. A client keeps few connections, so thousands mean
    /// a leak somewhere, and each costs memory and a file descriptor (see ulimit -n).
    #[arg(long, env = "CANDELIVER_MAX_CONNECTIONS", value_name = "N", default_value_t = DEFAULT_MAX_CONNECTIONS,
          value_parser = number(1..=MAX_CONNECTIONS))]
    pub max_connections: usize,

    /// Most calls at once on one connection; a client holds further ones back. 1,000 is more than a busy client needs,
    /// and one client alone still can't fill the process.
    #[arg(long, env = "CANDELIVER_MAX_STREAMS", value_name = "N", default_value_t = DEFAULT_MAX_STREAMS,
          value_parser = number(1..=MAX_STREAMS))]
    pub max_streams: u32,

    /// How old a connection may grow, in seconds; 0: as old as it likes. Then the client is told to open another (GOAWAY), and
    /// calls that run finish; a stream gets ten minutes more. Without it clients stay where they are when more processes have
    /// come, a process that comes back gets none, and the connection of a client that hangs stays for ever. Each connection's
    /// age is up to a fifth less, so that those that were opened together are not opened again together. 300 makes the cost of
    /// opening them nothing.
    #[arg(long, env = "CANDELIVER_MAX_CONNECTION_AGE_SECONDS", value_name = "SECONDS",
          default_value_t = DEFAULT_MAX_CONNECTION_AGE_SECONDS,
          value_parser = number(0..=MAX_CONNECTION_AGE_SECONDS))]
    pub max_connection_age_seconds: u64,

    /// For how many microseconds a serving thread looks for further bytes before it sleeps; 0: it sleeps at once. While calls
    /// come closer together than that, answers come sooner by the time in which a thread is woken, some 20 µs, and each
    /// serving thread keeps a core busy. For cores that have nothing else to do.
    #[arg(long, env = "CANDELIVER_BUSY_POLL_US", value_name = "US", default_value_t = 0,
          value_parser = number(0..=MAX_BUSY_POLL_US))]
    pub busy_poll_us: u64,

    /// Most calls of each service at once in the process; more are refused at once with RESOURCE_EXHAUSTED. Calls take
    /// milliseconds, so 2,048 waiting ones mean that something below is slow, and queueing more would only make all of them
    /// late. Health checks don't count. Threads keep up to an eighth of them in hand, so a refusal may come that much earlier.
    #[arg(long, env = "CANDELIVER_MAX_CALLS_IN_FLIGHT", value_name = "N",
          default_value_t = DEFAULT_MAX_CALLS_IN_FLIGHT,
          value_parser = number(1..=MAX_CALLS_IN_FLIGHT))]
    pub max_calls_in_flight: usize,

    /// How long a call may take that brings no deadline of its own, in seconds. 30 is longer than any person waits;
    /// callers who know better say so with grpc-timeout.
    #[arg(long, env = "CANDELIVER_CALL_TIMEOUT_SECONDS", value_name = "SECONDS",
          default_value_t = DEFAULT_CALL_TIMEOUT_SECONDS,
          value_parser = number(1..=MAX_CALL_TIMEOUT_SECONDS))]
    pub call_timeout_seconds: u64,

    /// Threads that serve. One for each core that the process may use, unless set: each has its own share of the
    /// connections, so they need not wait for one another.
    #[arg(long, env = "CANDELIVER_THREADS", value_name = "N",
          value_parser = number(1..=MAX_THREADS))]
    pub threads: Option<usize>,

    /// Serve no reflection, by which clients without .proto files find out what there is. Where clients show certificates,
    /// only those that may call something can use it.
    #[arg(long, env = "CANDELIVER_NO_REFLECTION")]
    pub no_reflection: bool,

    /// End, as after SIGTERM, when standard input ends: a parent that holds the other end then can't leave this process
    /// behind.
    #[arg(long, env = "CANDELIVER_EXIT_WITH_STDIN", hide = true)]
    pub exit_with_stdin: bool,
}

/// What a process says about itself, and how.
#[derive(Args, Clone, Debug)]
pub struct LogSettings {
    /// How log lines look: for people, as JSON, or auto: for people on a terminal, else JSON.
    #[arg(long, env = "CANDELIVER_LOG_FORMAT", value_name = "FORMAT", default_value = "auto", global = true)]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info or debug, or a list such as info,chassis=debug. Info is a few lines for each start
    /// and end, and none for each call. A build for debugging has trace too.
    #[arg(long, env = "CANDELIVER_LOG", value_name = "FILTER", default_value = "info", value_parser = log_filter,
          global = true)]
    pub log: String,
}

/// How log lines look.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
    /// For people on a terminal, else JSON.
    Auto,
}

// === impl ServerSettings ===

impl ServerSettings {
    /// How long running calls may go on once the drain has started: what is left of its time after a reserve in which
    /// what is cut ends and the database says goodbye.
    #[must_use]
    pub fn drain(&self) -> Duration {
        let all = Duration::from_secs(self.drain_seconds);
        all - DRAIN_RESERVE.min(all / 2)
    }

    /// How long a call may take that brings no deadline of its own.
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        Duration::from_secs(self.call_timeout_seconds)
    }

    /// How old a connection may grow.
    #[must_use]
    pub fn max_connection_age(&self) -> Option<Duration> {
        (self.max_connection_age_seconds > 0).then(|| Duration::from_secs(self.max_connection_age_seconds))
    }

    /// How long a serving thread looks for further bytes before it sleeps.
    #[must_use]
    pub fn busy_poll(&self) -> Option<Duration> {
        (self.busy_poll_us > 0).then(|| Duration::from_micros(self.busy_poll_us))
    }

    /// How many threads serve.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.unwrap_or_else(cores).max(1)
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            drain_seconds: DEFAULT_DRAIN_SECONDS,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_streams: DEFAULT_MAX_STREAMS,
            max_connection_age_seconds: DEFAULT_MAX_CONNECTION_AGE_SECONDS,
            busy_poll_us: 0,
            max_calls_in_flight: DEFAULT_MAX_CALLS_IN_FLIGHT,
            call_timeout_seconds: DEFAULT_CALL_TIMEOUT_SECONDS,
            threads: None,
            no_reflection: false,
            exit_with_stdin: false,
        }
    }
}

// === impl LogSettings ===

impl Default for LogSettings {
    fn default() -> Self {
        Self { log_format: LogFormat::Auto, log: "info".to_owned() }
    }
}

/// Parses a whole number in `range`; what is not one is told what is wanted.
fn number<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Clone,
{
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("wanted a whole number from {} to {}", range.start(), range.end())),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; wanted a level, or a list such as info,chassis=debug")),
    }
}
