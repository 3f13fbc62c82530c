//! Deliveries by their ids, and whether the database answers at all.

use std::collections::HashMap;
use std::time::Duration;

use chassis::database::{Connection, Database, Session, StoreError};
use chassis::on_database;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::Store;
use super::fault::{Fault, fault_of, within};
use super::queue::Work;
use super::rows::{DeliveryRow, columns};
use super::sqlite;
use super::ticket::{Ticket, answer_all};
use crate::domain::{Delivery, DeliveryId};

/// On PostgreSQL the ids are one value.
const BY_IDS: &str = concat!("SELECT ", columns!(), " FROM deliveries WHERE delivery_id = ANY($1)");
/// In one order everywhere, so that two transactions never wait for each other.
const LOCK_BY_IDS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM deliveries WHERE delivery_id = ANY($1) ORDER BY delivery_id FOR UPDATE"
);
/// On SQLite they are a list, which is put behind.
const BY_LIST: &str = concat!("SELECT ", columns!(), " FROM deliveries WHERE delivery_id IN ");
/// Reads a page of the table, so that a file that is gone or a table that is locked is noticed too.
const PROBE: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries LIMIT 1) AS probed";
/// Times that a batch is read: once more after its connection was lost, since another may be well.
const MAX_READS: u32 = 2;
/// The longest that a read may take, once it has a connection: rows by their key take milliseconds, and behind a silent
/// connection all the other reads wait.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// Rows by their ids.
pub(super) type Rows = HashMap<Uuid, DeliveryRow>;

/// What somebody wants to read.
#[derive(Debug)]
pub(super) struct Read {
    id: DeliveryId,
    ticket: Ticket<Option<DeliveryRow>>,
}

/// Reads what queued up in one statement.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) database: Database,
}

// === impl Store ===

impl Store {
    /// One delivery.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn get(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.row(id).await?.map(DeliveryRow::into_delivery).transpose()
    }

    /// One row, in a statement that begins after this call: it sees what was committed before.
    pub(super) async fn row(&self, id: DeliveryId) -> Result<Option<DeliveryRow>, StoreError> {
        let (ticket, answer) = Ticket::new();
        self.reads.push(Read { id, ticket })?;
        answer.wait().await
    }

    /// Asks the database for next to nothing.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let database = self.database.clone();
        let unit = async move {
            let mut session = database.read().await?;
            on_database!(session.connection(), c => sqlx::query(PROBE).execute(c).await.map(drop)?);
            Ok(())
        };
        self.database.run(unit).await
    }
}

// === impl Reader ===

impl Work for Reader {
    type Entry = Read;

    async fn work(&self, reads: Vec<Read>, mut kept: Option<Session>) -> Option<Session> {
        let mut parts = vec![reads];
        while let Some(mut part) = parts.pop() {
            part.retain(|read| read.ticket.is_wanted());
            let ids: Vec<_> = part.iter().map(|read| read.id).collect();
            match self.read(&ids, &mut kept).await {
                // A row that can't be read fails alone.
                Err(error) if fault_of(&error) == Fault::Row && part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                found => answer(part, &found),
            }
        }
        kept
    }
}

impl Reader {
    async fn read(&self, ids: &[DeliveryId], kept: &mut Option<Session>) -> Result<Rows, StoreError> {
        let mut reads = 0;
        loop {
            reads += 1;
            let found = self.attempt(ids, kept).await;
            let Err(error) = &found else { return found };
            let fault = fault_of(error);
            fault.judge(error, kept, &self.database);
            if fault != Fault::Connection || reads == MAX_READS {
                return found;
            }
        }
    }

    async fn attempt(&self, ids: &[DeliveryId], kept: &mut Option<Session>) -> Result<Rows, StoreError> {
        if ids.is_empty() {
            return Ok(Rows::new());
        }
        let session = match kept {
            Some(session) => session,
            None => kept.insert(self.database.read().await?),
        };
        within(READ_TIMEOUT, by_ids(&mut session.connection(), ids)).await
    }
}

fn answer(reads: Vec<Read>, found: &Result<Rows, StoreError>) {
    let one = |id: DeliveryId| match found {
        Ok(rows) => Ok(rows.get(&id.as_uuid()).cloned()),
        Err(error) => Err(error.clone()),
    };
    answer_all(reads.into_iter().map(|Read { id, ticket }| (ticket, one(id))));
}

/// Rows by their ids, in a statement of its own: it sees what was committed before.
pub(super) async fn by_ids(connection: &mut Connection<'_>, ids: &[DeliveryId]) -> Result<Rows, StoreError> {
    select(connection, BY_IDS, ids).await
}

/// The same within a transaction that writes, until whose end the rows stay as they are. On SQLite nobody else writes
/// anyway.
pub(super) async fn lock_by_ids(
    connection: &mut Connection<'_>,
    ids: &[DeliveryId],
) -> Result<Rows, StoreError> {
    select(connection, LOCK_BY_IDS, ids).await
}

/// Where the dialects differ: PostgreSQL takes all ids as one array, SQLite knows no arrays.
async fn select(
    connection: &mut Connection<'_>,
    on_postgres: &'static str,
    ids: &[DeliveryId],
) -> Result<Rows, StoreError> {
    let ids = ids.iter().map(|id| id.as_uuid());
    let rows: Vec<DeliveryRow> = match connection {
        Connection::Postgres(c) => {
            sqlx::query_as(on_postgres).bind(ids.collect::<Vec<_>>()).fetch_all(&mut **c).await?
        }
        Connection::Sqlite(c) => {
            let sql = format!("{BY_LIST}{}", sqlite::row(sqlite::padded(ids.len())));
            ids.fold(sqlx::query_as(AssertSqlSafe(sql)), sqlx::query::QueryAs::bind)
                .fetch_all(&mut **c)
                .await?
        }
    };
    Ok(rows.into_iter().map(|row| (row.delivery_id, row)).collect())
}
