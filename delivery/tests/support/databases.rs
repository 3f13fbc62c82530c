//! One test, on SQLite and on PostgreSQL, each time in a database of its own.

use std::time::Duration;

use chassis::database::throwaway::Throwaway;
use chassis::database::{self, Database};
use delivery::store::{Store, migrations};

/// The longest that a test may take: one that waits for what never comes fails, and says so.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
/// More than any test uses at once; the server has to do for all of them.
const CONNECTIONS: u32 = 8;

/// Runs a test on each database. The last that is named is the one that it failed on.
pub fn on_each_database<F>(test: impl Fn(Store) -> F)
where
    F: Future<Output = ()>,
{
    println!("on SQLite");
    run(&test, async || Some(Throwaway::sqlite()));
    println!("on PostgreSQL");
    run(&test, Throwaway::postgres);
}

fn run<F>(test: &impl Fn(Store) -> F, make: impl AsyncFnOnce() -> Option<Throwaway>)
where
    F: Future<Output = ()>,
{
    let runtime = database::start_runtime().unwrap();
    let Some(place) = runtime.block_on(make()) else { return };
    let database = runtime.block_on(async {
        let database = Database::connect(&place.url(), CONNECTIONS).await.unwrap();
        database.migrate(&migrations()).await.unwrap();
        let tested = tokio::time::timeout(TEST_TIMEOUT, test(Store::new(database.clone())));
        tested.await.expect("the test ends in time");
        database
    });
    database::end(runtime, &database);
}
