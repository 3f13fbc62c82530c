//! Logs: on standard error, for people on a terminal, otherwise one JSON object a line.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::panics;
use crate::settings::{LogFormat, LogSettings};

/// Starts logging, and logs panics instead of printing them. The first call in a process counts.
pub fn init(settings: &LogSettings) {
    let filter = EnvFilter::builder().parse_lossy(&settings.log);
    let on_terminal = io::stderr().is_terminal();
    let human = match settings.log_format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => on_terminal,
    };
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(on_terminal);
    // An error means that logging has been started before, by a test that runs two services in one process.
    let _ = if human { lines.try_init() } else { lines.json().flatten_event(true).try_init() };
    panics::log_them();
}
