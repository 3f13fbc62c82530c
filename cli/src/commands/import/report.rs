//! What is told of an import: bad rows with their lines as they come, and a summary.

use std::time::Duration;

use proto::product::v1::{ImportCatalogueResponse, RowError};

use super::chunks::Place;
use crate::exit::Failure;
use crate::progress::{self, Progress};
use crate::words::grouped;
use crate::{json, tables};

/// Bad rows that are written out for people: more than anyone reads before looking at the file.
const MAX_BAD_ROWS_TOLD: u64 = 100;

/// Tells and counts as answers come.
pub struct Report {
    name: String,
    progress: Progress,
    json: bool,
    summary: Summary,
}

/// What became of all rows.
#[derive(Debug, Default)]
pub struct Summary {
    /// Objects that did not exist before.
    pub created: u64,
    /// Objects that were other before.
    pub updated: u64,
    /// Objects that were the same before.
    pub unchanged: u64,
    /// Lines that were not stored.
    pub bad: u64,
    /// Token of the last chunk's revision.
    pub revision: String,
    took: Duration,
}

// === impl Report ===

impl Report {
    /// Tells of the file called `name`: to people, or as JSON.
    pub fn new(name: String, progress: Progress, json: bool) -> Self {
        Self { name, progress, json, summary: Summary::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the answer to one chunk.
    pub(super) fn chunk(&mut self, place: Place, mut answer: ImportCatalogueResponse) -> Result<(), Failure> {
        point_to_lines(&place.lines, &mut answer);
        answer.rows += u32::try_from(place.bad.len()).unwrap_or(u32::MAX);
        answer.errors.extend(place.bad);
        answer.errors.sort_by_key(|error| error.row);
        let told = self.summary.bad;
        self.summary.add(&answer);
        if self.json {
            tables::say(json::print(&answer)?)?;
        } else {
            for (error, _) in answer.errors.iter().zip(told..MAX_BAD_ROWS_TOLD) {
                self.progress.say(&line(&self.name, error));
            }
        }
        let summary = &self.summary;
        self.progress.at(place.bytes, || {
            let bad = if summary.bad > 0 { format!(", {} bad", grouped(summary.bad)) } else { String::new() };
            format!("{}{bad}", progress::rows(summary.rows()))
        });
        Ok(())
    }

    pub(super) fn end(self, took: Duration) -> Summary {
        if !self.json && self.summary.bad > MAX_BAD_ROWS_TOLD {
            let more = grouped(self.summary.bad - MAX_BAD_ROWS_TOLD);
            self.progress.say(&format!("{}: {more} more bad rows; --json names all of them", self.name));
        }
        Summary { took, ..self.summary }
    }
}

/// Product counts the rows that it was sent; people count the lines of their file.
fn point_to_lines(lines: &[u64], answer: &mut ImportCatalogueResponse) {
    let first = answer.first_row;
    for error in &mut answer.errors {
        let position = error.row.checked_sub(first).and_then(|position| usize::try_from(position).ok());
        error.row = position.and_then(|position| lines.get(position)).copied().unwrap_or(error.row);
    }
    answer.first_row = lines.first().copied().unwrap_or_default();
}

/// One bad row as compilers write: file, line, and what is wrong.
fn line(name: &str, error: &RowError) -> String {
    let RowError { row, object_id, reason, fields } = error;
    let fields: Vec<_> = fields
        .iter()
        .map(|bad| format!("{} {}", bad.field, bad.description).trim_start().to_owned())
        .collect();
    let id = if object_id.is_empty() { String::new() } else { format!(" {object_id}:") };
    format!("{name}:{row}:{id} {} ({reason})", fields.join("; "))
}

// === impl Summary ===

impl Summary {
    /// Lines that were rows, or should have been.
    pub fn rows(&self) -> u64 {
        self.created + self.updated + self.unchanged + self.bad
    }

    /// Prints it for people.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn print(&self, validate_only: bool) -> Result<(), Failure> {
        let would_be = if validate_only { " to be" } else { "" };
        tables::say(format!(
            "{}:{would_be} {} created, {} updated, {} unchanged, {} bad ({:.1} s)",
            progress::rows(self.rows()),
            grouped(self.created),
            grouped(self.updated),
            grouped(self.unchanged),
            grouped(self.bad),
            self.took.as_secs_f64()
        ))?;
        if validate_only {
            tables::say("nothing was stored: --validate-only")?;
        } else if !self.revision.is_empty() {
            tables::say(format!("revision {}", self.revision))?;
        }
        Ok(())
    }

    fn add(&mut self, answer: &ImportCatalogueResponse) {
        self.created += u64::from(answer.created);
        self.updated += u64::from(answer.updated);
        self.unchanged += u64::from(answer.unchanged);
        // Not all bad rows are named where there are very many.
        let good = answer.created + answer.updated + answer.unchanged;
        self.bad += u64::from(answer.rows.saturating_sub(good));
        if !answer.revision.is_empty() {
            self.revision.clone_from(&answer.revision);
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::product::v1::FieldError;

    use super::*;

    fn error(row: u64, field: &str, description: &str) -> RowError {
        let fields = vec![FieldError { field: field.to_owned(), description: description.to_owned() }];
        RowError { row, object_id: String::new(), reason: "INVALID_FIELD".to_owned(), fields }
    }

    #[test]
    fn a_bad_row_is_named_by_its_line_in_the_file() {
        let mut answer = ImportCatalogueResponse {
            first_row: 10_001,
            errors: vec![error(10_001, "", "x"), error(10_003, "", "y")],
            ..Default::default()
        };
        point_to_lines(&[20_002, 20_003, 20_007], &mut answer);
        let rows: Vec<_> = answer.errors.iter().map(|error| error.row).collect();
        assert_eq!((answer.first_row, rows), (20_002, vec![20_002, 20_007]));
    }

    #[test]
    fn a_bad_row_is_told_with_every_bad_field() {
        let mut bad = error(7, "name", "must not be empty");
        bad.fields.extend(error(7, "weight_g", "must be 1 or more").fields);
        assert_eq!(
            line("a.jsonl", &bad),
            "a.jsonl:7: name must not be empty; weight_g must be 1 or more (INVALID_FIELD)"
        );
        bad.object_id = "ab".to_owned();
        bad.fields.truncate(1);
        assert_eq!(line("a.jsonl", &bad), "a.jsonl:7: ab: name must not be empty (INVALID_FIELD)");
    }
}
