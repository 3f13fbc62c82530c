//! What group commit gains: creates a second through the store, against one transaction a row, on both databases.
//!
//! `cargo bench -p delivery --bench commits` measures SQLite; CANDELIVER_BENCH_POSTGRES_URL names a PostgreSQL server to
//! measure as well, with fsync on for figures that mean anything.
#![allow(clippy::unwrap_used, reason = "a bench that can't go on has nothing to say")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chassis::database::{self, Database};
use chassis::deadline::Deadline;
use chassis::on_database;
use deliverability::{LocationId, MAX_UNIX_MICROS, ProductId, Quantity, RuleId, RuleRef, Timestamp, Verdict};
use delivery::domain::{Delivery, DeliveryId, Evidence, Order, RevisionToken, Source};
use delivery::store::{Store, migrations};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVER: &str = "CANDELIVER_BENCH_POSTGRES_URL";
const IN_FLIGHT: [usize; 3] = [1, 32, 256];
/// Of each figure: long enough for some thousand commits.
const WARM_UP: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_millis(1_500);
const CONNECTIONS: u32 = 10;
/// The same row as the store writes.
const INSERT: &str = "INSERT INTO deliveries (delivery_id, product_id, location_id, quantity, fingerprint, state, \
     verdict, reason, source, revision, check_time_us, deciding_rules, version, create_time_us, update_time_us, \
     lease_until_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0) \
     ON CONFLICT (delivery_id) DO NOTHING";

/// How rows are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Together,
    OneByOne,
}

fn main() {
    let folder = std::env::temp_dir().join(format!("candeliver-bench-{}", Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    measure("SQLite", &format!("sqlite://{}/bench.db", folder.display()));
    std::fs::remove_dir_all(folder).unwrap();
    match std::env::var(SERVER) {
        Ok(url) => measure("PostgreSQL", &url),
        Err(_) => println!("PostgreSQL: not measured, {SERVER} names none"),
    }
}

fn measure(name: &str, url: &str) {
    let runtime = database::start_runtime().unwrap();
    let database = runtime.block_on(async {
        let database = Database::connect(url, CONNECTIONS).await.unwrap();
        database.migrate(&migrations()).await.unwrap();
        database
    });
    // Callers live on another runtime, as handlers do.
    let callers = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::new(database.clone());
    for in_flight in IN_FLIGHT {
        for how in [How::Together, How::OneByOne] {
            let commits = store.commits().commits();
            let (rows_s, p50) = callers.block_on(run(&store, how, in_flight));
            let commits = store.commits().commits() - commits;
            println!(
                "{name:<10} {in_flight:>4} in flight {how:<9?} {rows_s:>8.0} rows/s  p50 {p50:>9.1?}  {commits} group commits"
            );
        }
    }
    drop(store);
    database::end(runtime, &database);
}

/// Rows a second, and the median of one create.
async fn run(store: &Store, how: How, in_flight: usize) -> (f64, Duration) {
    let begin = Instant::now();
    let (from, until) = (begin + WARM_UP, begin + WARM_UP + MEASURED);
    let rows = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (store, rows) = (store.clone(), Arc::clone(&rows));
            tokio::spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < until {
                    let sent = Instant::now();
                    match how {
                        How::Together => together(&store).await,
                        How::OneByOne => one_by_one(store.database()).await,
                    }
                    if sent >= from {
                        rows.fetch_add(1, Ordering::Relaxed);
                        took.push(sent.elapsed());
                    }
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for caller in callers {
        took.extend(caller.await.unwrap());
    }
    took.sort_unstable();
    (rows.load(Ordering::Relaxed) as f64 / MEASURED.as_secs_f64(), took[took.len() / 2])
}

async fn together(store: &Store) {
    let far = Timestamp::from_unix_micros(MAX_UNIX_MICROS).unwrap();
    let deadline = Deadline::after(Duration::from_secs(30));
    store.create(delivery(), Some(far), 10_000, deadline).await.unwrap();
}

/// A pool, and a transaction for each row: how it is done where nobody thinks about it.
async fn one_by_one(database: &Database) {
    let (of_unit, delivery) = (database.clone(), delivery());
    let unit = async move {
        let mut transaction = of_unit.write().await?;
        let evidence = delivery.admission.evidence().unwrap();
        let order = &delivery.order;
        on_database!(transaction.connection(), c => {
            sqlx::query(INSERT)
                .bind(delivery.id.as_uuid())
                .bind(order.product.as_uuid())
                .bind(order.location.as_uuid())
                .bind(i64::from(order.quantity.get()))
                .bind(order.fingerprint().as_bytes())
                .bind(delivery.state.as_str())
                .bind(evidence.verdict.as_str())
                .bind(&evidence.reason)
                .bind(evidence.source.as_str())
                .bind(evidence.revision.as_str())
                .bind(evidence.check_time.unix_micros())
                .bind("[]")
                .bind(i64::from(delivery.version))
                .bind(delivery.create_time.unix_micros())
                .bind(delivery.update_time.unix_micros())
                .execute(c)
                .await
                .map(drop)?;
        });
        transaction.commit().await
    };
    database.run(unit).await.unwrap();
}

fn delivery() -> Delivery {
    let order = Order {
        product: ProductId::from_uuid(Uuid::from_u128(1)).unwrap(),
        location: LocationId::from_uuid(Uuid::from_u128(2)).unwrap(),
        quantity: Quantity::default(),
        external_reference: None,
    };
    let now = Timestamp::from_unix_micros(chassis::clock::unix_micros()).unwrap();
    let evidence = Evidence {
        verdict: Verdict::Deliverable,
        reason: "ALLOWED".to_owned(),
        source: Source::Live,
        revision: RevisionToken::parse("0190b0a0000070008000000000000001-42").unwrap(),
        check_time: now,
        deciding_rules: vec![RuleRef { id: RuleId::from_uuid(Uuid::from_u128(3)).unwrap(), version: 1 }],
    };
    Delivery::confirmed(DeliveryId::fresh(), order, evidence, now)
}
