//! What is written into a table: value by value for SQLite, column by column for PostgreSQL.
//!
//! PostgreSQL takes a whole column as one array. A statement then has as many parameters as the table has columns, however many
//! rows there are, so that it is planned once and its text is short. SQLite has no arrays.

use std::borrow::Cow;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Postgres, Sqlite};
use uuid::Uuid;

/// What one column of one row holds.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    Uuid(Option<Uuid>),
    Text(Option<Cow<'a, str>>),
    Integer(Option<i64>),
    Boolean(bool),
}

/// What one column of some rows holds, in the rows' order.
#[derive(Debug)]
pub enum Column<'a> {
    Uuid(Vec<Option<Uuid>>),
    Text(Vec<Option<Cow<'a, str>>>),
    Integer(Vec<Option<i64>>),
    Boolean(Vec<bool>),
}

// === impl Value ===

impl<'a> Value<'a> {
    /// A text that is there.
    pub fn text(text: &'a str) -> Self {
        Self::Text(Some(text.into()))
    }

    /// Gives it to a statement as its next parameter.
    pub(super) fn bind_to(
        self,
        query: Query<'a, Sqlite, SqliteArguments>,
    ) -> Query<'a, Sqlite, SqliteArguments> {
        match self {
            Self::Uuid(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::Integer(value) => query.bind(value),
            Self::Boolean(value) => query.bind(value),
        }
    }
}

/// Rows turned on their side. All are of one table, and so of one form.
pub(super) fn columns<'a>(rows: impl Iterator<Item = Vec<Value<'a>>>) -> Vec<Column<'a>> {
    let mut columns: Vec<Column<'a>> = Vec::new();
    for row in rows {
        if columns.is_empty() {
            columns.extend(row.iter().map(Column::like));
        }
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
    columns
}

/// `SELECT * FROM UNNEST` of a parameter for each column.
pub(super) fn select_from(columns: &[Column<'_>]) -> String {
    let arrays = (1..).zip(columns).map(|(number, column)| format!("${number}::{}[]", column.sql_type()));
    format!("SELECT * FROM UNNEST({})", arrays.collect::<Vec<_>>().join(", "))
}

// === impl Column ===

impl<'a> Column<'a> {
    fn like(value: &Value<'a>) -> Self {
        match value {
            Value::Uuid(_) => Self::Uuid(Vec::new()),
            Value::Text(_) => Self::Text(Vec::new()),
            Value::Integer(_) => Self::Integer(Vec::new()),
            Value::Boolean(_) => Self::Boolean(Vec::new()),
        }
    }

    fn push(&mut self, value: Value<'a>) {
        match (self, value) {
            (Self::Uuid(values), Value::Uuid(value)) => values.push(value),
            (Self::Text(values), Value::Text(value)) => values.push(value),
            (Self::Integer(values), Value::Integer(value)) => values.push(value),
            (Self::Boolean(values), Value::Boolean(value)) => values.push(value),
            (column, value) => unreachable!("{value:?} in a column of {}", column.sql_type()),
        }
    }

    fn sql_type(&self) -> &'static str {
        match self {
            Self::Uuid(_) => "UUID",
            Self::Text(_) => "TEXT",
            Self::Integer(_) => "BIGINT",
            Self::Boolean(_) => "BOOLEAN",
        }
    }

    /// Gives it to a statement as its next parameter.
    pub(super) fn bind_to(self, query: Query<'a, Postgres, PgArguments>) -> Query<'a, Postgres, PgArguments> {
        match self {
            Self::Uuid(values) => query.bind(values),
            Self::Text(values) => query.bind(values),
            Self::Integer(values) => query.bind(values),
            Self::Boolean(values) => query.bind(values),
        }
    }
}
