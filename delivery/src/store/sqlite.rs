//! Statements of many rows for SQLite, which takes no arrays.
//!
//! SQLite parses a statement of a thousand rows longer than it runs it, and only a hundred are kept parsed. So there is one
//! for each power of two: placeholders past the last row are left unbound, which is NULL to SQLite, and each statement
//! passes over rows whose key is NULL.

/// Rows in the statement that takes so many.
pub(super) fn padded(rows: usize) -> usize {
    rows.next_power_of_two()
}

/// Placeholders of one row, or of a list: `(?, ?)`.
pub(super) fn row(columns: usize) -> String {
    format!("({}?)", "?, ".repeat(columns.saturating_sub(1)))
}

/// Placeholders of many rows: `(?, ?), (?, ?)`.
pub(super) fn rows(rows: usize, columns: usize) -> String {
    let row = row(columns);
    format!("{}{row}", format!("{row}, ").repeat(padded(rows).saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_few_statements_and_each_has_room_for_its_rows() {
        assert_eq!(rows(1, 1), "(?)");
        assert_eq!(rows(3, 2), "(?, ?), (?, ?), (?, ?), (?, ?)");
        let all: std::collections::HashSet<_> = (1..=1_024).map(padded).collect();
        assert_eq!(all.len(), 11);
    }
}
