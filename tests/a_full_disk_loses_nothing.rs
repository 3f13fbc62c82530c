//! The disk below a database is full: callers hear that it is away, Product goes on answering, and when there is room again
//! both go on without a restart, with every delivery that was acknowledged.
//!
//! PostgreSQL gives up when it has no room for its log, and may need to be started again; the services don't.

use crate::support::cluster::Cluster;
use crate::support::small_disk::SmallDisk;
use crate::support::trial::{Says, Trial};

/// Room for a server, its two databases and their logs; and for two files of SQLite and theirs.
const POSTGRES_MEGABYTES: u32 = 160;
const SQLITE_MEGABYTES: u32 = 24;

#[tokio::test]
async fn a_full_disk_below_postgres_loses_nothing() {
    let Some(disk) = SmallDisk::mount(POSTGRES_MEGABYTES) else { return };
    let settings = ["min_wal_size=2MB", "max_wal_size=8MB"];
    let Some(cluster) = Cluster::start_in(disk.path(), &settings) else { return };
    let trial = Trial::on(&cluster).await.where_it_says(&[Says::Away]);

    let full = async {
        disk.fill();
        trial.until_nothing_is_written().await;
        disk.free();
        cluster.start_if_ended();
        trial.until_all_is_written().await;
    };
    let ((), failed) = trial.during(full).await;
    assert!(failed > 0, "the disk was full");
    trial.has_lost_nothing().await;
}

#[tokio::test]
async fn a_full_disk_below_sqlite_loses_nothing() {
    let Some(disk) = SmallDisk::mount(SQLITE_MEGABYTES) else { return };
    let [product, delivery] =
        ["product", "delivery"].map(|name| format!("sqlite://{}/{name}.db", disk.path().display()));
    let trial = Trial::start(&product, &delivery, &[]).await.where_it_says(&[Says::Away]);

    let full = async {
        disk.fill();
        trial.until_nothing_is_written().await;
        trial.reads().await.expect("reading needs no room");
        disk.free();
        trial.until_all_is_written().await;
    };
    let ((), failed) = trial.during(full).await;
    assert!(failed > 0, "the disk was full");
    trial.has_lost_nothing().await;
}
