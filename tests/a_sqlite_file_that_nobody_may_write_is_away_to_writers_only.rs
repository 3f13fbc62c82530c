//! An SQLite file that can't be written: a service that is to start on one says so and ends; one that runs tells writers that
//! its database is away, reads, and writes again when it may, without a restart.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::databases::Throwaway;
use crate::support::small_disk::Immutable;
use crate::support::trial::{Says, Trial};
use crate::support::{binaries, eventually};

#[tokio::test]
async fn a_sqlite_file_that_nobody_may_write_is_away_to_writers_only() {
    let (product, delivery) = (Throwaway::sqlite(), Throwaway::sqlite());
    let trial = Trial::start(&product.url(), &delivery.url(), &[]).await.where_it_says(&[Says::Away]);

    let files: Vec<_> = [&product, &delivery].into_iter().flat_map(files_of).collect();
    let read_only = async {
        let Some(immutable) = Immutable::make(files) else { return false };
        trial.until_nothing_is_written().await;
        trial.reads().await.expect("reading goes on");
        drop(immutable);
        trial.until_all_is_written().await;
        true
    };
    let (was_read_only, failed) = trial.during(read_only).await;
    assert_eq!(failed > 0, was_read_only);
    trial.has_lost_nothing().await;
}

#[tokio::test]
async fn a_service_says_that_it_may_not_write_its_sqlite_file_and_ends() {
    for program in ["product", "delivery"] {
        let database = Throwaway::sqlite();
        let Throwaway::Sqlite { folder } = &database else { panic!("it is SQLite") };
        fs::write(folder.join("test.db"), "").expect("an empty file");
        let Some(_immutable) = Immutable::make(vec![folder.join("test.db")]) else { return };
        let mut service = Command::new(binaries::path(program))
            .args(["--listen", "127.0.0.1:0", "--database-url", &database.url()])
            .args(if program == "delivery" { &["--product-url", "http://127.0.0.1:1"][..] } else { &[] })
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let status =
            eventually("it ends", async || service.try_wait().expect("a child").ok_or("it runs")).await;
        let said = service.wait_with_output().expect("it has ended").stderr;
        let said = String::from_utf8_lossy(&said);
        assert!(!status.success() && said.contains("readonly"), "{status}: {said}");
    }
}

/// The file and its log. What readers and writers share beside them is memory rather than a file: to have that taken away ends
/// a process.
fn files_of(database: &Throwaway) -> Vec<PathBuf> {
    let Throwaway::Sqlite { folder } = database else { panic!("it is SQLite") };
    let files = folder.read_dir().expect("a folder").map(|file| file.expect("a file").path());
    files.filter(|file| file.ends_with("test.db") || file.ends_with("test.db-wal")).collect()
}
