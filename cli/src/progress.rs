//! Progress of long work, on standard error: a bar on a terminal, otherwise a line now and then.

use std::time::{Duration, Instant};

use console::Term;
use indicatif::{ProgressBar, ProgressStyle};

use crate::words::grouped;

/// How often a line is written where there is no terminal: often enough to see life, seldom enough for a log.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far some work has come.
pub struct Progress {
    how: How,
    /// How much work there is, where that is known.
    total: Option<u64>,
}

enum How {
    Bar(ProgressBar),
    Lines { next: Instant },
    Hidden,
}

// === impl Progress ===

impl Progress {
    /// Shows how much of `total` is done; just that something is going on if the total is not known.
    pub fn new(total: Option<u64>) -> Self {
        let how = if Term::stderr().is_term() {
            How::Bar(bar(total))
        } else {
            How::Lines { next: Instant::now() + LINE_EVERY }
        };
        Self { how, total }
    }

    /// Shows nothing.
    pub fn hidden() -> Self {
        Self { how: How::Hidden, total: None }
    }

    /// The work has come to `position`, which `note` puts in words.
    pub fn at(&mut self, position: u64, note: impl FnOnce() -> String) {
        match &mut self.how {
            How::Bar(bar) => {
                bar.set_message(note());
                bar.set_position(position);
            }
            How::Lines { next } if *next <= Instant::now() => {
                *next = Instant::now() + LINE_EVERY;
                match self.total.filter(|total| *total > 0) {
                    Some(total) => eprintln!("{} % done: {}", position.saturating_mul(100) / total, note()),
                    None => eprintln!("{}", note()),
                }
            }
            How::Lines { .. } | How::Hidden => {}
        }
    }

    /// Writes a line to standard error without tearing the bar.
    pub fn say(&self, line: &str) {
        match &self.how {
            How::Bar(bar) => bar.suspend(|| eprintln!("{line}")),
            How::Lines { .. } | How::Hidden => eprintln!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let How::Bar(bar) = &self.how {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:30} {percent:>3} %  {msg}  ({elapsed}, {eta} to go)"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}  ({elapsed})"),
    };
    bar.enable_steady_tick(Duration::from_millis(100));
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// "12,345 rows".
pub fn rows(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "row" } else { "rows" })
}
