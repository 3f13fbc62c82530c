//! What a database's pools and its units of work tell on the metrics page: whether there are connections enough.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::{Database, MAX_UNITS, Pools, StoreError};
use crate::metrics::{Collector, DescriptorEncoder, Registry, counter, counters, gauge, gauges};

/// Counted where it happens, on the store's threads, once a unit of work: there is no rush there.
#[derive(Debug, Default)]
pub(super) struct Figures {
    waits: AtomicU64,
    waited_nanos: AtomicU64,
    none_free: AtomicU64,
    no_answer: AtomicU64,
    refused: AtomicU64,
}

/// A wait for a connection that has begun.
pub(super) struct Waiting<'a> {
    figures: &'a Figures,
    since: Instant,
}

/// Puts them on the page.
#[derive(Debug)]
struct DatabaseMetrics(Database);

/// The connections of one pool.
struct Pool {
    name: &'static str,
    open: u64,
    idle: u64,
    most: u64,
}

// === impl Figures ===

impl Figures {
    pub(super) fn wait(&self) -> Waiting<'_> {
        Waiting { figures: self, since: Instant::now() }
    }

    /// Counts a unit of work for which there are too many.
    pub(super) fn refused(&self) -> StoreError {
        self.refused.fetch_add(1, Relaxed);
        StoreError::Overloaded
    }
}

// === impl Waiting ===

impl Waiting<'_> {
    /// Counts how it ended: in time, or without a connection because all of `pools` were in use, or because the database gave
    /// none. A wait that its caller gave up is not counted.
    pub(super) fn over<T>(self, pools: &Pools, outcome: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        let Self { figures, since } = self;
        figures.waits.fetch_add(1, Relaxed);
        let waited: Duration = since.elapsed();
        figures.waited_nanos.fetch_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        outcome.map_err(|error| {
            let none_free = matches!(error, sqlx::Error::PoolTimedOut) && pools.are_in_use();
            if none_free { &figures.none_free } else { &figures.no_answer }.fetch_add(1, Relaxed);
            error.into()
        })
    }
}

// === impl Pools ===

impl Pools {
    /// Whether who waits in vain does so for others. While PostgreSQL is away, its pool shrinks, and waits in vain for it.
    fn are_in_use(&self) -> bool {
        match self {
            // A file is opened at once.
            Self::Sqlite { .. } => true,
            Self::Postgres(pool) => pool.size() >= pool.options().get_max_connections(),
        }
    }
}

// === impl Database ===

impl Database {
    /// Puts its connections and its units of work on the metrics page.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let metrics = Box::new(DatabaseMetrics(self.clone()));
        registry.sub_registry_with_prefix("database").register_collector(metrics);
    }

    fn sized_pools(&self) -> Vec<Pool> {
        fn pool<D: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<D>) -> Pool {
            let (open, idle) = (u64::from(pool.size()), pool.num_idle() as u64);
            Pool { name, open, idle: idle.min(open), most: pool.options().get_max_connections().into() }
        }
        match &self.pools {
            Pools::Sqlite { writer, readers } => vec![pool("writer", writer), pool("readers", readers)],
            Pools::Postgres(all) => vec![pool("all", all)],
        }
    }
}

// === impl DatabaseMetrics ===

impl Collector for DatabaseMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(database) = self;
        let (page, pools, figures) = (&mut encoder, database.sized_pools(), &database.figures);
        let connections = pools.iter().flat_map(|pool| {
            let labels = |state| [("pool", pool.name), ("state", state)];
            [(labels("idle"), pool.idle), (labels("in_use"), pool.open - pool.idle)]
        });
        gauges(page, "connections", "Open connections to the database", connections)?;
        let most = pools.iter().map(|pool| ([("pool", pool.name)], pool.most));
        gauges(page, "connections_limit", "Most connections to the database", most)?;
        let help = "Connections that were waited for, whatever came of it";
        counter(page, "connection_waits", help, figures.waits.load(Relaxed))?;
        let waited = Duration::from_nanos(figures.waited_nanos.load(Relaxed)).as_secs_f64();
        counter(
            page,
            "connection_wait_seconds",
            "How long they were waited for, in all, BEGIN included",
            waited,
        )?;
        let help =
            "Waits for a connection that ended without one: none was free in time, or the database gave none";
        let failures = [("none_free", &figures.none_free), ("no_answer", &figures.no_answer)];
        let failures = failures.map(|(reason, count)| ([("reason", reason)], count.load(Relaxed)));
        counters(page, "connection_failures", help, failures)?;
        let units = MAX_UNITS - database.units.available_permits();
        gauge(page, "units_in_flight", "Units of work under way and waiting for a connection", units)?;
        gauge(page, "units_in_flight_limit", "Most units of work under way and waiting", MAX_UNITS)?;
        let help = "Units of work refused because the most were under way";
        counter(page, "units_refused", help, figures.refused.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::{page, registry};

    use super::*;

    #[tokio::test]
    async fn the_page_tells_of_connections_and_of_what_waits_for_them() {
        let folder = std::env::temp_dir().join(format!("candeliver-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let database = Database::connect(&format!("sqlite://{}/x.db", folder.display()), 1).await.unwrap();
        let mut registry = registry();
        database.register_metrics(&mut registry);
        let told = |line: &str| {
            let page = page(&registry).unwrap();
            assert!(
                page.lines().any(|told| told == format!("candeliver_database_{line}")),
                "{line} in {page}"
            );
        };
        told("connections{pool=\"writer\",state=\"in_use\"} 0");
        told("connections_limit{pool=\"writer\"} 1");
        let writing = database.write().await.unwrap();
        told("connections{pool=\"writer\",state=\"in_use\"} 1");
        told("connections{pool=\"writer\",state=\"idle\"} 0");
        told("connection_waits_total 1");
        drop(writing);

        let all = database.units.acquire_many(u32::try_from(MAX_UNITS).unwrap()).await.unwrap();
        told("units_in_flight 1024");
        let refused = database.run(async { Ok::<_, StoreError>(()) }).await;
        assert!(matches!(refused, Err(StoreError::Overloaded)));
        told("units_refused_total 1");
        drop(all);
        told("units_in_flight 0");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_wait_that_ends_without_a_connection_says_why() {
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1);
        let away = Pools::Postgres(pool.connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap());
        let readers = || sqlx::sqlite::SqlitePoolOptions::new().connect_lazy("sqlite://none").unwrap();
        let busy = Pools::Sqlite { writer: readers(), readers: readers() };
        let figures = Figures::default();
        assert!(figures.wait().over::<()>(&busy, Err(sqlx::Error::PoolTimedOut)).is_err());
        assert!(figures.wait().over::<()>(&away, Err(sqlx::Error::PoolTimedOut)).is_err());
        assert!(figures.wait().over::<()>(&busy, Err(sqlx::Error::PoolClosed)).is_err());
        assert!(figures.wait().over(&busy, Ok(())).is_ok());
        let count = |count: &AtomicU64| count.load(Relaxed);
        assert_eq!([&figures.none_free, &figures.no_answer, &figures.waits].map(count), [1, 2, 4]);
    }
}
