//! What one process sees of another one's commits.

use std::sync::atomic::{AtomicUsize, Ordering};

use chassis::database::Database;
use chassis::database::throwaway::Throwaway;
use deliverability::{Name, Product, ProductId, State, Tags};
use sqlx::Error;
use tokio::time::timeout;
use uuid::Uuid;

use super::*;
use crate::store::{Author, Intent, migrations};

/// Nothing is found by looking: what is seen was heard of.
const NEVER: Duration = Duration::from_secs(86_400);
/// Often enough to be soon there.
const OFTEN: Duration = Duration::from_millis(5);
/// The longest that a commit is waited for, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first look may find one commit, and the one when words begin to be heard another: a third must have been heard of.
const COMMITS: usize = 3;

/// A process that writes and one that follows it.
struct Two {
    writer: Store,
    index: Arc<Index>,
    follower: JoinHandle<()>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_another_process_is_heard_of() {
    let Some(database) = Throwaway::postgres().await else { return };
    let two = Two::on(&database, NEVER, Store::words).await;
    two.see_commits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_listening_connection_was_ended_hears_again() {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let Some(database) = Throwaway::postgres().await else { return };
    let two = Two::on(&database, NEVER, Store::words).await;
    two.see_commits().await;
    let pool = two.writer.database().postgres().unwrap();
    let ended: Vec<bool> = sqlx::query_scalar(END).fetch_all(pool).await.unwrap();
    assert_eq!(ended, [true], "one connection listens");
    two.see_commits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_word_is_heard_looking_suffices() {
    for database in [Some(Throwaway::sqlite()), Throwaway::postgres().await].into_iter().flatten() {
        let deaf = |_: &Store| Words::over(|| Box::pin(async { Err(Error::PoolTimedOut) }));
        let two = Two::on(&database, OFTEN, deaf).await;
        two.see_commits().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_takes_long_to_open_is_not_begun_again_at_each_look() {
    let opened = Arc::new(AtomicUsize::new(0));
    let slow = |_: &Store| {
        let opened = Arc::clone(&opened);
        Words::over(move || {
            opened.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::pending())
        })
    };
    let database = Throwaway::sqlite();
    let two = Two::on(&database, OFTEN, slow).await;
    // Each is found by another look.
    two.see_commits().await;
    assert_eq!(opened.load(Ordering::Relaxed), 1);
}

// === impl Two ===

impl Two {
    async fn on(database: &Throwaway, look_every: Duration, words: impl Fn(&Store) -> Words) -> Self {
        let (writer, reader) = (open(database).await, open(database).await);
        let index = Arc::new(Index::new(NEVER));
        let words = words(&reader);
        let health = Health::new(SERVICE_NAMES);
        let follower = tokio::spawn(follow_by(words, look_every, reader, Arc::clone(&index), health));
        Self { writer, index, follower }
    }

    /// Writes, and waits until the other process has it, several times.
    async fn see_commits(&self) {
        for _ in 0..COMMITS {
            let head = self.writer.write(Intent::Create(product()), Author::default()).await.unwrap().head;
            let mut published = self.index.subscribe();
            let seen = published.wait_for(|seen| seen.is_some_and(|seen| seen.revision >= head.revision));
            timeout(PATIENCE, seen).await.expect("it is seen").unwrap();
        }
    }
}

impl Drop for Two {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

async fn open(place: &Throwaway) -> Store {
    let database = Database::connect(&place.url(), 5).await.unwrap();
    database.migrate(&migrations()).await.unwrap();
    Store::open(database).await.unwrap()
}

fn product() -> Product {
    Product {
        id: ProductId::from_uuid(Uuid::now_v7()).unwrap(),
        name: Name::parse("milk").unwrap(),
        classes: Tags::default(),
        weight: None,
        size: None,
        state: State::Active,
        version: 1,
    }
}
