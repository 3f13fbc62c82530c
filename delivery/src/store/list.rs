//! Listings, newest first: along one index, and never further than a bounded number of rows at a time.

use chassis::database::{Connection, Database, StoreError};
use chassis::on_database;
use deliverability::{LocationId, ProductId};
use uuid::Uuid;

use super::Store;
use super::rows::{DeliveryRow, columns};
use crate::domain::{Delivery, DeliveryId, ExternalReference, State};

/// Rows that one call reads at most, whatever it finds in them: some tens of milliseconds, so that no combination of
/// filters can hold the database up. A page may be short, and still have a next one.
pub const MAX_SCANNED_ROWS: u32 = 5_000;
/// Rows in one read, if the page itself is not larger: well under a megabyte.
const CHUNK_ROWS: u32 = 500;

/// A page's statement, along the index that `$where` begins with.
macro_rules! scan {
    ($where:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM deliveries WHERE ",
            $where,
            "(create_time_us, delivery_id) < ($1, $2) ORDER BY create_time_us DESC, delivery_id DESC LIMIT $3"
        )
    };
}
const BY_REFERENCE: &str = scan!("external_reference = $4 AND ");
const BY_PRODUCT: &str = scan!("product_id = $4 AND ");
const BY_LOCATION: &str = scan!("location_id = $4 AND ");
const BY_STATE: &str = scan!("state = $4 AND ");
const BY_TIME: &str = scan!("");

/// Which deliveries to list; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this product.
    pub product: Option<ProductId>,
    /// Only those to this location.
    pub location: Option<LocationId>,
    /// Only those with this reference.
    pub external_reference: Option<ExternalReference>,
}

/// Where a listing goes on: after this delivery, which is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    create_time_us: i64,
    id: Uuid,
}

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Newest first.
    pub deliveries: Vec<Delivery>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Cursor>,
}

// === impl Filter ===

impl Filter {
    fn matches(&self, delivery: &Delivery) -> bool {
        let order = &delivery.order;
        self.state.is_none_or(|state| delivery.state == state)
            && self.product.is_none_or(|product| order.product == product)
            && self.location.is_none_or(|location| order.location == location)
            && (self.external_reference.is_none() || self.external_reference == order.external_reference)
    }

    /// Whether the index alone holds exactly what is wanted.
    fn is_one_index(&self) -> bool {
        let given = [
            self.state.is_some(),
            self.product.is_some(),
            self.location.is_some(),
            self.external_reference.is_some(),
        ];
        given.into_iter().filter(|given| *given).count() <= 1
    }

    /// The rows before a cursor along the narrowest index: few deliveries share a reference, more a product, a location, a
    /// state.
    async fn scan(
        &self,
        connection: &mut Connection<'_>,
        before: Cursor,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let (time, id, limit) = (before.create_time_us, before.id, i64::from(limit));
        let rows = on_database!(connection, c => {
            let start = |sql| sqlx::query_as(sql).bind(time).bind(id).bind(limit);
            let query = if let Some(reference) = &self.external_reference {
                start(BY_REFERENCE).bind(reference.as_str())
            } else if let Some(product) = self.product {
                start(BY_PRODUCT).bind(product.as_uuid())
            } else if let Some(location) = self.location {
                start(BY_LOCATION).bind(location.as_uuid())
            } else if let Some(state) = self.state {
                start(BY_STATE).bind(state.as_str())
            } else {
                start(BY_TIME)
            };
            query.fetch_all(c).await?
        });
        Ok(rows)
    }
}

// === impl Cursor ===

impl Cursor {
    /// Length of a cursor in bytes.
    pub const BYTES: usize = 8 + 16;

    /// Before the newest.
    pub const START: Self = Self { create_time_us: i64::MAX, id: Uuid::max() };

    /// As a page token holds it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.create_time_us.to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        bytes
    }

    /// Reads what `to_bytes` wrote; any bytes are a cursor somewhere.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (mut time, mut id) = ([0; 8], [0; 16]);
        time.copy_from_slice(&bytes[..8]);
        id.copy_from_slice(&bytes[8..]);
        Self { create_time_us: i64::from_be_bytes(time), id: Uuid::from_bytes(id) }
    }

    fn of(delivery: &Delivery) -> Self {
        Self { create_time_us: delivery.create_time.unix_micros(), id: DeliveryId::as_uuid(delivery.id) }
    }
}

// === impl Store ===

impl Store {
    /// One page of at most `page_size` deliveries.
    ///
    /// # Errors
    /// The database is silent.
    pub async fn list(&self, filter: Filter, after: Cursor, page_size: u32) -> Result<Page, StoreError> {
        let database = self.database.clone();
        self.database.run(async move { list(&database, &filter, after, page_size).await }).await
    }
}

async fn list(
    database: &Database,
    filter: &Filter,
    after: Cursor,
    page_size: u32,
) -> Result<Page, StoreError> {
    let wanted = page_size as usize;
    let mut page = Page { deliveries: Vec::new(), next: Some(after) };
    let mut session = database.read().await?;
    let (mut cursor, mut scanned) = (after, 0);
    while scanned < MAX_SCANNED_ROWS {
        // One more than the page shows whether there is a next one.
        let mut limit = page_size.saturating_add(1);
        if !filter.is_one_index() {
            limit = limit.max(CHUNK_ROWS);
        }
        let limit = limit.min(MAX_SCANNED_ROWS - scanned);
        let rows = filter.scan(&mut session.connection(), cursor, limit).await?;
        let read = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        for row in rows {
            let delivery = row.into_delivery()?;
            if page.deliveries.len() == wanted {
                page.next = Some(cursor);
                return Ok(page);
            }
            cursor = Cursor::of(&delivery);
            if filter.matches(&delivery) {
                page.deliveries.push(delivery);
            }
        }
        if read < limit {
            page.next = None;
            return Ok(page);
        }
        scanned += read;
    }
    page.next = Some(cursor);
    Ok(page)
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _};

    use super::*;

    #[test]
    fn a_cursor_is_read_back_as_it_is_written() {
        let cursor = Cursor { create_time_us: 1_790_000_000_000_000, id: Uuid::from_u128(7) };
        assert_eq!(Cursor::from_bytes(cursor.to_bytes()), cursor);
        assert_eq!(Cursor::from_bytes(Cursor::START.to_bytes()), Cursor::START);
    }

    #[tokio::test]
    async fn every_listing_goes_along_its_index_and_sorts_nothing() {
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        crate::store::migrations().run(&mut connection).await.unwrap();
        for (sql, index) in [
            (BY_REFERENCE, "deliveries_by_reference"),
            (BY_PRODUCT, "deliveries_by_product"),
            (BY_LOCATION, "deliveries_by_location"),
            (BY_STATE, "deliveries_by_state"),
            (BY_TIME, "deliveries_by_time"),
        ] {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explain).fetch_all(&mut connection).await.unwrap();
            assert!(plan.len() == 1 && plan[0].3.contains(index), "{index}: {plan:?}");
        }
    }
}
