//! One delivery by its id, and whether the database answers at all.

use chassis::database::{Connection, StoreError};
use chassis::on_database;

use super::Store;
use super::rows::{DeliveryRow, columns};
use crate::domain::{Delivery, DeliveryId};

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM deliveries WHERE delivery_id = $1");
/// Reads a page of the table, so that a file that is gone or a table that is locked is noticed too.
const PROBE: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries LIMIT 1) AS probed";

// === impl Store ===

impl Store {
    /// One delivery.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn get(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let database = self.database.clone();
        let unit = async move {
            let mut session = database.read().await?;
            by_id(&mut session.connection(), id).await?.map(DeliveryRow::into_delivery).transpose()
        };
        self.database.run(unit).await
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

/// One row, in a statement of its own: it sees what was committed before.
pub(super) async fn by_id(
    connection: &mut Connection<'_>,
    id: DeliveryId,
) -> Result<Option<DeliveryRow>, StoreError> {
    let row = on_database!(connection, c => {
        sqlx::query_as(BY_ID).bind(id.as_uuid()).fetch_optional(c).await?
    });
    Ok(row)
}
