//! Logs: on standard error, for people on a terminal, otherwise one JSON object a line. A line about a call that belongs to a
//! trace tells which.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{self, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::panics;
use crate::settings::{LogFormat, LogSettings};
use crate::trace::Trace;

/// Lines, each of which tells which trace it belongs to, if it does.
struct WithTrace<F> {
    lines: F,
    /// What ends a line; the trace is told before it.
    end: &'static str,
    tell: fn(&mut String, Trace) -> fmt::Result,
}

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
    let _ = if human {
        lines.event_format(human_lines()).try_init()
    } else {
        lines.json().event_format(json_lines()).try_init()
    };
    panics::log_them();
}

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(trace) = Trace::current() else { return self.lines.format_event(context, writer, event) };
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        line.truncate(line.strip_suffix(self.end).map_or(line.len(), str::len));
        (self.tell)(&mut line, trace)?;
        writer.write_str(&line)?;
        writer.write_str(self.end)
    }
}

/// For people.
fn human_lines() -> WithTrace<Format> {
    WithTrace { lines: format::format(), end: "\n", tell: human }
}

/// For machines.
fn json_lines() -> WithTrace<Format<format::Json>> {
    WithTrace { lines: format::format().json().flatten_event(true), end: "}\n", tell: json }
}

fn human(line: &mut String, trace: Trace) -> fmt::Result {
    write!(line, " trace_id={} span_id={}", trace.trace_id(), trace.span_id())
}

fn json(line: &mut String, trace: Trace) -> fmt::Result {
    write!(line, r#","trace_id":"{}","span_id":"{}""#, trace.trace_id(), trace.span_id())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const IDS: [&str; 2] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn lines(&self) -> Vec<String> {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    /// One line outside of any trace, one within.
    fn write_two() {
        tracing::warn!(why = "a \"quote\"", "outside");
        Trace::during(Trace::parse(TRACEPARENT), || tracing::warn!("within"));
    }

    #[test]
    fn a_json_line_within_a_trace_names_it_and_stays_one_object() {
        let page = Page::default();
        let writer = page.clone();
        let lines = tracing_subscriber::fmt().with_writer(move || writer.clone()).json();
        let lines = lines.event_format(json_lines());
        tracing::subscriber::with_default(lines.finish(), write_two);
        let [outside, within] = &page.lines()[..] else { panic!("{:?}", page.lines()) };
        assert!(!outside.contains("trace_id"), "{outside}");
        let [trace, span] = IDS;
        assert!(within.ends_with(&format!(r#","trace_id":"{trace}","span_id":"{span}"}}"#)), "{within}");
        assert!(within.starts_with('{'), "{within}");
    }

    #[test]
    fn a_line_for_people_ends_with_its_trace() {
        let page = Page::default();
        let writer = page.clone();
        let lines = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false);
        let lines = lines.event_format(human_lines());
        tracing::subscriber::with_default(lines.finish(), write_two);
        let [outside, within] = &page.lines()[..] else { panic!("{:?}", page.lines()) };
        assert!(!outside.contains("trace_id"), "{outside}");
        let [trace, span] = IDS;
        assert!(within.ends_with(&format!("within trace_id={trace} span_id={span}")), "{within}");
    }
}
