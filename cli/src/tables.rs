//! What people read: tables without lines, so that they can be searched and cut as well, and lists of facts.

use std::fmt::Display;
use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use console::{StyledObject, Term, style};

/// Spaces between a fact's name and its value.
const GAP: usize = 2;

/// A table with a header; each row has as many cells.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table.add_rows(rows);
    lines(&table)
}

/// The same, with cells broken to fit the terminal: for sentences, not for ids that are to be copied.
pub fn prose<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table.add_rows(rows);
    let terminal = Term::stdout();
    if terminal.is_term() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(terminal.size().1);
    }
    lines(&table)
}

/// Names and values below one another.
pub fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + GAP;
    let lines = facts.iter().map(|(name, value)| format!("{name:width$}{value}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Green for yes, red for no, on terminals only and not where NO_COLOR is set.
pub fn verdict<T: Display>(text: T, yes: bool) -> StyledObject<T> {
    if yes { style(text).green().bold() } else { style(text).red().bold() }
}

/// Writes a line to standard output.
///
/// # Errors
/// Nobody reads it.
pub fn say(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

fn lines(table: &Table) -> String {
    let lines = table.lines().map(|line| line.trim_end().strip_prefix(' ').unwrap_or_default().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}
