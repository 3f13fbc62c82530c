//! The catalogue in memory, from which CanDeliver is answered without a database.
//!
//! Readers take the published catalogue as one immutable whole; the follower publishes the next. Each knows the revision
//! it is of, and the index knows when it was last seen to be the newest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use chassis::clock;
use deliverability::{Catalogue, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::digest::Digest;
use crate::revision::{Head, Revision};

/// One state of the catalogue.
#[derive(Debug)]
pub struct Published {
    /// What it says.
    pub catalogue: Catalogue,
    /// Which point of the catalogue's history it is.
    pub head: Head,
    /// The same as a token, made once for all the responses that carry it.
    pub token: String,
    /// Of the objects that it was made from.
    pub digest: Digest,
}

/// A catalogue that another has taken the place of. Readers may be at it still, and who lets go of it last pays for its end:
/// some milliseconds where much was changed. So whoever published keeps it until no one reads it.
#[derive(Debug)]
pub struct Retired(Arc<Option<Published>>);

/// Why a question can't be answered from the index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Nothing has been read yet.
    #[error("the catalogue is being loaded")]
    Loading,
    /// The database is older than what was read from it.
    #[error(
        "the database is older than what was read from it: it was restored; run `product new-epoch` to go on"
    )]
    Restored,
    /// It has been too long since the catalogue was seen to be current.
    #[error("the catalogue was last current {age_seconds} s ago, longer than --max-index-age-seconds allows")]
    Stale {
        /// How long ago.
        age_seconds: i64,
    },
}

/// Why a wait for a revision ended without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReached {
    /// The index answers nothing at all.
    Unavailable(Unavailable),
    /// The revision is of another database.
    Epoch,
    /// Time is over; the index is here.
    Deadline(Head),
}

/// The catalogue in memory. Shared by all handlers and the follower.
#[derive(Debug)]
pub struct Index {
    /// `None` until the first load is complete.
    published: ArcSwap<Option<Published>>,
    restored: AtomicBool,
    /// When the published catalogue was last seen to be the newest, in microseconds since the Unix epoch.
    current_at: AtomicI64,
    /// The revision that the database was last seen to be at.
    database_revision: AtomicI64,
    max_age: Duration,
    changed: watch::Sender<Option<Head>>,
}

/// A catalogue that a reader holds on to.
pub struct Reading(Guard<Arc<Option<Published>>>);

// === impl Reading ===

impl std::ops::Deref for Reading {
    type Target = Published;

    fn deref(&self) -> &Published {
        (**self.0).as_ref().expect("Index gives out loaded catalogues only")
    }
}

// === impl Retired ===

impl Retired {
    /// Whether a reader holds on to it. Once none does, none will again.
    #[must_use]
    pub fn is_read(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

// === impl Index ===

impl Index {
    /// An index that has nothing yet and, once it has, may fall behind by `max_age`.
    #[must_use]
    pub fn new(max_age: Duration) -> Self {
        Self {
            published: ArcSwap::from_pointee(None),
            restored: AtomicBool::new(false),
            current_at: AtomicI64::new(0),
            database_revision: AtomicI64::new(0),
            max_age,
            changed: watch::Sender::new(None),
        }
    }

    /// The catalogue as it is known now.
    ///
    /// # Errors
    /// There is none, or it may not be used.
    pub fn read(&self) -> Result<Reading, Unavailable> {
        if self.restored.load(Ordering::Acquire) {
            return Err(Unavailable::Restored);
        }
        let published = self.published.load();
        if published.is_none() {
            return Err(Unavailable::Loading);
        }
        let age = clock::unix_micros().saturating_sub(self.current_at.load(Ordering::Relaxed));
        if u128::from(age.unsigned_abs()) > self.max_age.as_micros() && age > 0 {
            return Err(Unavailable::Stale { age_seconds: age / 1_000_000 });
        }
        Ok(Reading(published))
    }

    /// The catalogue once it is at least at `wanted`, or what stands in the way when `deadline` passes.
    ///
    /// # Errors
    /// See `NotReached`.
    pub async fn read_at_least(&self, wanted: Head, deadline: Instant) -> Result<Reading, NotReached> {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let reading = self.read().map_err(NotReached::Unavailable)?;
            let head = reading.head;
            if head.epoch != wanted.epoch {
                return Err(NotReached::Epoch);
            }
            if head.revision >= wanted.revision {
                return Ok(reading);
            }
            drop(reading);
            match timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(NotReached::Deadline(head)),
            }
        }
    }

    /// Waits until what was written at `wanted` is published, through a change of epoch too, or `deadline` passes.
    pub async fn settle(&self, wanted: Head, deadline: Instant) {
        let has = |head: &Option<Head>| {
            head.is_some_and(|head| head.epoch == wanted.epoch && head.revision >= wanted.revision)
        };
        // What is stored is stored: an index that can't follow now is no reason to call it an error.
        let _ = timeout_at(deadline, self.changed.subscribe().wait_for(has)).await;
    }

    /// When the catalogue was last seen to be the newest.
    #[must_use]
    pub fn current_at(&self) -> Option<Timestamp> {
        Timestamp::from_unix_micros(self.current_at.load(Ordering::Relaxed)).ok()
    }

    /// How long it may go on answering after that.
    #[must_use]
    pub fn max_age(&self) -> Duration {
        self.max_age
    }

    /// What was last published, whether or not questions are answered from it.
    #[must_use]
    pub fn last(&self) -> Option<Reading> {
        let published = self.published.load();
        published.is_some().then_some(Reading(published))
    }

    /// The revision that the database was last seen to be at.
    #[must_use]
    pub fn database_revision(&self) -> Revision {
        Revision::new(self.database_revision.load(Ordering::Relaxed))
    }

    /// Notes what the database was seen to be at.
    pub fn seen_at(&self, revision: Revision) {
        self.database_revision.store(revision.number(), Ordering::Relaxed);
    }

    /// Tells of each published head.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<Head>> {
        self.changed.subscribe()
    }

    /// Puts a catalogue in the place of the last, which is given back.
    pub fn publish(&self, catalogue: Catalogue, head: Head, digest: Digest) -> Retired {
        let published = Published { catalogue, head, token: head.token(), digest };
        let retired = self.published.swap(Arc::new(Some(published)));
        self.restored.store(false, Ordering::Release);
        self.changed.send_replace(Some(head));
        Retired(retired)
    }

    /// Notes that what is published was the newest at an instant.
    pub fn seen_current(&self, unix_micros: i64) {
        self.current_at.store(unix_micros, Ordering::Relaxed);
    }

    /// Answers nothing more until the next `publish`: the database is not the one that was read.
    pub fn suspend(&self) {
        self.restored.store(true, Ordering::Release);
        // Whoever waits for a revision learns of it.
        self.changed.send_modify(|_| {});
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::Epoch;

    fn head(epoch: Epoch, revision: i64) -> Head {
        Head { epoch, revision: Revision::new(revision) }
    }

    fn publish(index: &Index, head: Head) -> Retired {
        index.publish(Catalogue::default(), head, Digest::default())
    }

    fn index_at(epoch: Epoch, revision: i64) -> Index {
        let index = Index::new(Duration::from_secs(60));
        publish(&index, head(epoch, revision));
        index.seen_current(clock::unix_micros());
        index
    }

    #[test]
    fn an_index_answers_nothing_before_it_is_loaded_and_nothing_when_it_is_too_old() {
        let index = Index::new(Duration::from_secs(60));
        assert_eq!(index.read().err(), Some(Unavailable::Loading));
        publish(&index, head(Epoch::fresh(), 1));
        index.seen_current(clock::unix_micros() - 61_000_000);
        assert_eq!(index.read().err(), Some(Unavailable::Stale { age_seconds: 61 }));
        index.seen_current(clock::unix_micros());
        assert_eq!(index.read().map(|reading| reading.head.revision).ok(), Some(Revision::new(1)));
    }

    #[test]
    fn a_suspended_index_answers_again_once_something_new_is_published() {
        let index = index_at(Epoch::fresh(), 5);
        index.suspend();
        assert_eq!(index.read().err(), Some(Unavailable::Restored));
        publish(&index, head(Epoch::fresh(), 2));
        assert!(index.read().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_waits_for_the_revision_it_wants_and_no_longer_than_its_deadline() {
        let epoch = Epoch::fresh();
        let index = Arc::new(index_at(epoch, 5));
        let deadline = Instant::now() + Duration::from_secs(1);
        let waiting = index.read_at_least(head(epoch, 6), deadline);
        let publishing = async { drop(publish(&index, head(epoch, 6))) };
        let (reading, ()) = tokio::join!(waiting, publishing);
        assert_eq!(reading.map(|reading| reading.head.revision).ok(), Some(Revision::new(6)));

        let too_far = index.read_at_least(head(epoch, 7), deadline).await;
        assert_eq!(too_far.err(), Some(NotReached::Deadline(head(epoch, 6))));
        assert_eq!(Instant::now(), deadline);
        let foreign = index.read_at_least(head(Epoch::fresh(), 1), deadline).await;
        assert_eq!(foreign.err(), Some(NotReached::Epoch));
    }

    #[test]
    fn a_reader_never_pays_for_the_end_of_what_it_read() {
        let index = index_at(Epoch::fresh(), 5);
        let reading = index.read().unwrap();
        let retired = publish(&index, head(Epoch::fresh(), 6));
        assert!(retired.is_read(), "the reader holds it, and is not the last to let go");
        drop(reading);
        assert!(!retired.is_read());
        let unread = publish(&index, head(Epoch::fresh(), 7));
        assert!(!unread.is_read());
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_waits_through_a_change_of_epoch() {
        let (index, next) = (Arc::new(index_at(Epoch::fresh(), 5)), head(Epoch::fresh(), 6));
        let started = Instant::now();
        let waiting = index.settle(next, started + Duration::from_secs(1));
        let publishing = async {
            index.suspend();
            tokio::time::sleep(Duration::from_millis(500)).await;
            publish(&index, next);
        };
        let ((), ()) = tokio::join!(waiting, publishing);
        assert_eq!(started.elapsed(), Duration::from_millis(500));
    }
}
