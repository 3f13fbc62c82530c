//! Listings, straight from the tables; `history` reads single objects.

use chassis::database::StoreError;
use chassis::on_database;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::Store;
use super::draft::Shelved;
use super::rows;
use super::tables::{self, Table};

/// Which rows of a table to list, in the order of their ids.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Those after this id.
    pub after: Uuid,
    /// At most so many.
    pub limit: u32,
    /// Only the children of this location; for locations only.
    pub parent: Option<Uuid>,
}

// === impl Store ===

impl Store {
    /// One page of objects, tombstones included.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn list<T>(&self, listing: Listing) -> Result<Vec<T>, StoreError>
    where
        T: Shelved,
    {
        let database = self.database.clone();
        self.database
            .run(async move {
                let key = T::KEY;
                let of_parent = if listing.parent.is_some() { "AND parent_id = $3" } else { "" };
                let sql =
                    format!("{} WHERE {key} > $1 {of_parent} ORDER BY {key} LIMIT $2", tables::select::<T>());
                let mut session = database.read().await?;
                let rows: Vec<<T as Table>::Row> = on_database!(session.connection(), c => {
                    let query = sqlx::query_as(AssertSqlSafe(sql)).bind(listing.after).bind(i64::from(listing.limit));
                    let query = match listing.parent {
                        Some(parent) => query.bind(parent),
                        None => query,
                    };
                    query.fetch_all(c).await?
                });
                rows.into_iter().map(|row| rows::read(row).map(|stored| stored.object)).collect()
            })
            .await
    }
}
