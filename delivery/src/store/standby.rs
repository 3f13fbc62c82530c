//! Whether what is found may be acknowledged. With synchronous replication a commit waits for a standby; where that wait is cut
//! off, because the connection was ended, the row is there to see, and a failover may lose it still. So whoever would answer
//! "it is stored" without a commit of his own makes one, which waits as the first one did.

use chassis::database::{Connection, Database, Session, StoreError, UNIT_TIMEOUT};

use super::Store;
use super::fault::{fault_of, within};
use super::queue::Work;
use super::ticket::{Ticket, answer_all};

/// Writes next to nothing, which makes the commit wait for all that was written before; nothing where no standby is waited for.
/// Any role may do that.
const WAIT: &str = "SELECT CASE WHEN current_setting('synchronous_standby_names') <> '' \
                    THEN pg_logical_emit_message(TRUE, 'candeliver', ''::TEXT) END";

/// Waits for standbys on behalf of all that queued up.
#[derive(Debug)]
pub(super) struct Standbys {
    pub(super) database: Database,
}

// === impl Store ===

impl Store {
    /// Makes sure of what was read, which is to be acknowledged again.
    pub(super) async fn make_sure(&self) -> Result<(), StoreError> {
        let Some(found) = &self.found else { return Ok(()) };
        let (ticket, answer) = Ticket::new();
        found.push(ticket)?;
        answer.wait().await
    }
}

// === impl Standbys ===

impl Work for Standbys {
    type Entry = Ticket<()>;

    async fn work(&self, waiting: Vec<Ticket<()>>, mut kept: Option<Session>) -> Option<Session> {
        let waited = self.wait(&mut kept).await;
        if let Err(error) = &waited {
            fault_of(error).judge(error, &mut kept, &self.database);
        }
        answer_all(waiting.into_iter().map(|ticket| (ticket, waited.clone())));
        kept
    }
}

impl Standbys {
    async fn wait(&self, kept: &mut Option<Session>) -> Result<(), StoreError> {
        let session = match kept {
            Some(session) => session,
            None => kept.insert(self.database.writer().await?),
        };
        within(UNIT_TIMEOUT, wait(&mut session.connection())).await
    }
}

/// The same in the middle of something: at once on a connection that is in no transaction, with the COMMIT of one that is.
pub(super) async fn wait(connection: &mut Connection<'_>) -> Result<(), StoreError> {
    // A file has no standby.
    if let Connection::Postgres(connection) = connection {
        sqlx::query(WAIT).execute(&mut **connection).await?;
    }
    Ok(())
}
