//! Keeps the index where the database is: reads the feed at start, after each commit of this process, at each word of
//! another's, and every now and then in case a word was lost.

mod sight;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use chassis::clock;
use chassis::database::StoreError;
use chassis::health::Health;
use deliverability::Catalogue;
use tokio::task::JoinHandle;

use crate::digest::Digesting;
use crate::index::{Index, Retired};
use crate::revision::{Head, Revision};
use crate::server::SERVICE_NAMES;
use crate::store::{Cursor, Entry, Page, Store, Words};
use sight::{Seen, Sight};

/// How often to look when nothing is heard: half of what other processes may see a write later.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// How long one read may take: a page takes a fraction of a second.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Rows of the feed in one read: an import's largest chunk, a few megabytes.
const PAGE_ROWS: u32 = 10_000;

/// Catalogues kept until their last reader is gone: a reader takes milliseconds, and a write more than that.
const MAX_RETIRED: usize = 4;

/// What the index is made from.
struct Follower {
    store: Store,
    index: Arc<Index>,
    health: Health,
    /// The catalogue as far as it has been read; published only when it is whole.
    building: Catalogue,
    digesting: Digesting,
    read_upto: Cursor,
    /// What the pages read so far are of.
    seen: Seen,
    /// What was last published.
    published: Option<Head>,
    /// What was published before and is read by somebody still.
    retired: Vec<Retired>,
    standing: Standing,
}

/// A page that is being read, on a task of its own: the next one is read while the last one goes into the catalogue. There is
/// never more than one.
struct Reading {
    asked_at: i64,
    page: JoinHandle<Result<Page, StoreError>>,
}

/// How the follower stands to the database; said once when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Loading,
    Following,
    Silent,
    Restored,
}

/// Follows the store for as long as its runtime lives.
pub async fn follow(store: Store, index: Arc<Index>, health: Health) {
    follow_by(store.words(), POLL_EVERY, store, index, health).await;
}

/// The same, by these words, and by a look so often.
async fn follow_by(mut words: Words, look_every: Duration, store: Store, index: Arc<Index>, health: Health) {
    let mut follower = Follower {
        store: store.clone(),
        index,
        health,
        building: Catalogue::default(),
        digesting: Digesting::default(),
        read_upto: Cursor::after(Revision::ZERO),
        seen: Seen::default(),
        published: None,
        retired: Vec::new(),
        standing: Standing::Loading,
    };
    loop {
        let standing = match follower.catch_up().await {
            Ok(standing) => standing,
            Err(error) => follower.silent(&error),
        };
        follower.stand(standing);
        // A silent database stops nobody from asking the catalogue as it is, until it is too old.
        follower.serve(follower.index.read().is_ok());
        tokio::select! {
            () = store.next_commit() => {}
            () = words.next() => {}
            () = tokio::time::sleep(look_every) => {}
        }
    }
}

// === impl Follower ===

impl Follower {
    /// Reads to the head and publishes what was read.
    async fn catch_up(&mut self) -> Result<Standing, StoreError> {
        let mut reading = self.read();
        loop {
            let asked_at = reading.asked_at;
            let page = reading.page().await?;
            self.index.seen_at(page.head.revision);
            match self.seen.look(page.head) {
                Sight::Same if self.standing != Standing::Restored => {}
                Sight::Another => {
                    self.start_again(page.head);
                    reading = self.read();
                    continue;
                }
                // Once seen it stays so: what is written now, on top of what was restored, is not what was read.
                Sight::Same | Sight::Restored => return Ok(Standing::Restored),
            }
            let (head, complete) = (page.head, page.complete);
            self.read_upto = page.end().unwrap_or(self.read_upto);
            if complete {
                tokio::task::block_in_place(|| {
                    self.apply(page);
                    self.publish(head, asked_at);
                });
                return Ok(Standing::Following);
            }
            reading = self.read();
            tokio::task::block_in_place(|| self.apply(page));
        }
    }

    /// Begins to read what comes next.
    fn read(&self) -> Reading {
        let asked_at = clock::unix_micros();
        let (store, after) = (self.store.clone(), self.read_upto);
        let page = tokio::spawn(async move {
            // A database that takes a question and never answers is silent too.
            let page = tokio::time::timeout(READ_TIMEOUT, store.feed(after, PAGE_ROWS)).await;
            page.map_err(|_| StoreError::from(sqlx::Error::PoolTimedOut))?
        });
        Reading { asked_at, page }
    }

    fn apply(&mut self, page: Page) {
        for Entry { cursor, fingerprint, change } in page.changes {
            self.digesting.put(cursor, fingerprint);
            self.building.apply(change);
        }
        if page.complete {
            self.building.seal();
        }
    }

    fn publish(&mut self, head: Head, asked_at: i64) {
        if self.published != Some(head) {
            let retired = self.index.publish(self.building.clone(), head, self.digesting.digest());
            self.retired.push(retired);
            self.published = Some(head);
        }
        self.index.seen_current(asked_at);
        self.retired.retain(Retired::is_read);
        let too_many = self.retired.len().saturating_sub(MAX_RETIRED);
        self.retired.drain(..too_many);
    }

    /// The database is another one: nothing of what was read is worth anything.
    fn start_again(&mut self, head: Head) {
        tracing::warn!(epoch = %head.epoch, revision = %head.revision, "a new epoch: the catalogue is loaded again");
        self.index.suspend();
        self.serve(false);
        self.standing = Standing::Loading;
        self.seen = Seen::default();
        self.building = Catalogue::default();
        self.digesting = Digesting::default();
        self.read_upto = Cursor::after(Revision::ZERO);
        self.published = None;
    }

    fn silent(&self, error: &StoreError) -> Standing {
        match self.standing {
            // An index that must not answer does not begin to because the database fell silent.
            Standing::Restored => Standing::Restored,
            Standing::Silent => Standing::Silent,
            Standing::Loading | Standing::Following => {
                match error {
                    // Trying again does not mend what is stored.
                    StoreError::Corrupt(_) => tracing::error!(
                        %error, "the catalogue can't be read; what was read before is served until it is too old"
                    ),
                    _ => tracing::warn!(%error, "the database is silent; the catalogue stays as it is"),
                }
                Standing::Silent
            }
        }
    }

    fn stand(&mut self, standing: Standing) {
        if self.standing == standing {
            return;
        }
        let catalogue = &self.building;
        match standing {
            Standing::Following => tracing::info!(
                revision = self.published.map_or(0, |head| head.revision.number()),
                products = catalogue.products(),
                locations = catalogue.locations(),
                rules = catalogue.rules(),
                "the catalogue is current"
            ),
            Standing::Restored => {
                self.index.suspend();
                tracing::error!(
                    "the database is not the one that was read: not serving until it is under a new epoch"
                );
            }
            Standing::Loading | Standing::Silent => {}
        }
        self.standing = standing;
    }

    fn serve(&self, serving: bool) {
        SERVICE_NAMES.iter().for_each(|name| self.health.set(name, serving));
    }
}

// === impl Reading ===

impl Reading {
    async fn page(self) -> Result<Page, StoreError> {
        self.page.await.unwrap_or_else(|panicked| Err(StoreError::Corrupt(panicked.to_string())))
    }
}
