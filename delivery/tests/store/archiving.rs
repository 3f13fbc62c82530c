//! What is long over leaves the database, once it is safe elsewhere, and nothing else does.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use chassis::shutdown::Shutdown;
use deliverability::Verdict;
use delivery::archive::{ARCHIVE_BATCH_ROWS, ArchiveError, archive};
use delivery::domain::{Delivery, DeliveryId, Source, State, Transition};
use delivery::store::{Place, Settlement, Store};
use uuid::Uuid;

use crate::committing::hold as hold_all;
use crate::databases::on_each_database;
use crate::locking::hold;
use crate::samples::{at, confirmed, evidence, in_time, order, pending, stored};

/// A file that goes with its test.
struct Archive(PathBuf);

impl Archive {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("candeliver-archive-{}.jsonl", Uuid::new_v4())))
    }

    /// The ids of its lines.
    fn ids(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.0).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines().map(|text| line(text)["delivery_id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn archived(store: &Store, before: i64, to: &Archive) -> Result<u64, ArchiveError> {
    let (_trigger, shutdown) = Shutdown::new();
    archive(store, at(before), &to.0, &shutdown, |_| ()).await
}

async fn moved(store: &Store, delivery: &Delivery, transition: Transition, second: i64) -> Delivery {
    store.transition(delivery.id, transition, None, None, at(second), in_time()).await.unwrap()
}

async fn cancelled(store: &Store, created: i64, second: i64) -> Delivery {
    let delivery = stored(store, confirmed(at(created))).await;
    moved(store, &delivery, Transition::Cancel, second).await
}

/// One in each state, in the order of State::ALL, last changed at 7.
async fn one_in_each_state(store: &Store) -> Vec<Delivery> {
    let mut all = vec![stored(store, pending(at(7))).await, stored(store, confirmed(at(7))).await];
    let rejected = stored(store, pending(at(1))).await;
    let no = evidence(Verdict::NotDeliverable, Source::Deferred);
    let settlement = Settlement { id: rejected.id, version: 1, evidence: no };
    assert_eq!(store.settle(vec![settlement], at(7)).await.unwrap().rejected, 1);
    all.push(rejected);
    let hurried = Delivery::pending(DeliveryId::fresh(), order(), None, at(6), at(1));
    let expired = stored(store, hurried).await;
    assert_eq!(store.expire(10, at(7)).await.unwrap(), 1);
    all.push(expired);
    for last in [None, Some(Transition::Complete), Some(Transition::Return)] {
        let delivery = stored(store, confirmed(at(1))).await;
        moved(store, &delivery, Transition::Dispatch, 7).await;
        if let Some(last) = last {
            moved(store, &delivery, last, 7).await;
        }
        all.push(delivery);
    }
    all.push(cancelled(store, 1, 7).await);
    all
}

#[test]
fn what_is_final_and_old_enough_leaves_and_everything_else_stays() {
    on_each_database(|store| async move {
        let all = one_in_each_state(&store).await;
        let young = cancelled(&store, 1, 8).await;
        let file = Archive::new();
        assert_eq!(archived(&store, 8, &file).await.unwrap(), State::FINAL.len() as u64);
        let ids: HashSet<_> = file.ids().into_iter().collect();
        for (delivery, state) in all.iter().zip(State::ALL) {
            let is_final = State::FINAL.contains(&state);
            assert_eq!(ids.contains(&delivery.id.to_string()), is_final, "{state:?}");
            let left = store.get(delivery.id).await.unwrap().map(|left| left.state);
            assert_eq!(left, (!is_final).then_some(state));
        }
        assert_eq!(store.get(young.id).await.unwrap(), Some(young));
        assert_eq!(archived(&store, 8, &file).await.unwrap(), 0, "nothing is left to archive");
        assert_eq!(file.ids().len(), State::FINAL.len());
    });
}

#[test]
fn a_line_holds_the_delivery_with_its_evidence() {
    on_each_database(|store| async move {
        let delivery = cancelled(&store, 0, 1).await;
        let file = Archive::new();
        archived(&store, 2, &file).await.unwrap();
        let line: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file.0).unwrap()).unwrap();
        let rule =
            |number: u128| serde_json::json!({"rule_id": Uuid::from_u128(number).to_string(), "version": 2});
        let wanted = serde_json::json!({
            "delivery_id": delivery.id.to_string(),
            "product_id": delivery.order.product.to_string(),
            "location_id": delivery.order.location.to_string(),
            "quantity": 3,
            "external_reference": "order-1",
            "state": "DELIVERY_STATE_CANCELLED",
            "admission": {
                "verdict": "VERDICT_DELIVERABLE",
                "reason": "ALLOWED",
                "source": "ADMISSION_SOURCE_LIVE",
                "revision": "r-7",
                "check_time": "2026-09-21T14:13:20Z",
                "deciding_rules": [rule(1), rule(2)],
            },
            "version": 2,
            "create_time": "2026-09-21T14:13:20Z",
            "update_time": "2026-09-21T14:13:21Z",
        });
        assert_eq!(line, wanted);
    });
}

#[test]
fn more_than_a_piece_leaves_piece_by_piece_and_only_once() {
    on_each_database(|store| async move {
        let count = 2 * ARCHIVE_BATCH_ROWS as usize + 3;
        let orders = (0..count).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { cancelled(&store, n as i64 % 5, 5).await.id.to_string() })
        });
        let mut wanted = HashSet::new();
        for order in orders.collect::<Vec<_>>() {
            wanted.insert(order.await.unwrap());
        }
        let file = Archive::new();
        assert_eq!(archived(&store, 6, &file).await.unwrap(), count as u64);
        let ids = file.ids();
        assert_eq!(ids.len(), count);
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), wanted);
    });
}

#[test]
fn what_changed_since_it_was_read_stays() {
    on_each_database(|store| async move {
        let (same, other) = (cancelled(&store, 0, 1).await, cancelled(&store, 0, 1).await);
        let finals = store.finals(Place::start(State::Cancelled), at(2), 10).await.unwrap();
        assert_eq!((finals.deliveries.len(), finals.next), (2, None));
        let stale = Delivery { version: other.version + 1, ..other.clone() };
        assert_eq!(store.remove(&[same.clone(), stale]).await.unwrap(), 1);
        assert_eq!(store.get(same.id).await.unwrap(), None);
        assert_eq!(store.get(other.id).await.unwrap(), Some(other));
        assert_eq!(store.remove(&[same]).await.unwrap(), 0, "another archive was faster");
    });
}

#[test]
fn what_somebody_else_has_in_hand_is_not_waited_for_and_left_to_the_next_archive() {
    on_each_database(|store| async move {
        let (held, free) = (cancelled(&store, 0, 1).await, cancelled(&store, 0, 1).await);
        let Some(transaction) = hold(&store, held.id).await else { return };
        let file = Archive::new();
        assert_eq!(archived(&store, 2, &file).await.unwrap(), 1);
        assert_eq!(store.get(held.id).await.unwrap(), Some(held.clone()));
        transaction.rollback().await.unwrap();
        assert_eq!(archived(&store, 2, &file).await.unwrap(), 1);
        let ids = file.ids();
        let lines = |delivery: &Delivery| ids.iter().filter(|id| **id == delivery.id.to_string()).count();
        assert_eq!((lines(&free), lines(&held)), (1, 2));
    });
}

#[test]
fn an_archive_that_ended_half_way_goes_on_in_its_file() {
    on_each_database(|store| async move {
        let first = cancelled(&store, 0, 1).await;
        let file = Archive::new();
        archived(&store, 2, &file).await.unwrap();
        // As a full disk or a power cut leaves it: the line was begun, and its delivery was not removed.
        let second = cancelled(&store, 2, 3).await;
        let torn = format!("{{\"delivery_id\":\"{}\",{}", second.id, "x".repeat(10_000));
        fs::OpenOptions::new().append(true).open(&file.0).unwrap().write_all(torn.as_bytes()).unwrap();
        assert_eq!(archived(&store, 4, &file).await.unwrap(), 1);
        assert_eq!(file.ids(), [first.id.to_string(), second.id.to_string()]);
    });
}

#[test]
fn a_file_that_is_no_archive_stays_as_it_is() {
    on_each_database(|store| async move {
        let delivery = cancelled(&store, 0, 1).await;
        for other in ["SQLite format 3\0\n\0\0", "{\"rows\":[]}\nmore", "no line at all"] {
            let file = Archive::new();
            fs::write(&file.0, other).unwrap();
            let refused = archived(&store, 2, &file).await.unwrap_err();
            assert!(matches!(refused, ArchiveError::NoArchive(_)), "{refused}");
            assert_eq!(fs::read_to_string(&file.0).unwrap(), other);
        }
        assert_eq!(store.get(delivery.id).await.unwrap(), Some(delivery));
    });
}

#[test]
fn archives_side_by_side_lose_nothing_and_never_share_a_file() {
    on_each_database(|store| async move {
        let mut wanted = HashSet::new();
        for second in 0..40 {
            wanted.insert(cancelled(&store, second, 50).await.id.to_string());
        }
        let files = [Archive::new(), Archive::new()];
        let (one, two) = tokio::join!(archived(&store, 60, &files[0]), archived(&store, 60, &files[1]));
        assert_eq!(one.unwrap() + two.unwrap(), 40);
        let ids: HashSet<_> = files.iter().flat_map(Archive::ids).collect();
        assert_eq!(ids, wanted);
        let held = fs::File::open(&files[0].0).unwrap();
        held.lock().unwrap();
        assert!(matches!(archived(&store, 60, &files[0]).await, Err(ArchiveError::Taken(_))));
    });
}

#[test]
fn nothing_is_removed_where_nothing_can_be_written() {
    on_each_database(|store| async move {
        let delivery = cancelled(&store, 0, 1).await;
        let full = Archive(PathBuf::from("/dev/full"));
        let refused = archived(&store, 2, &full).await;
        std::mem::forget(full);
        assert!(matches!(refused, Err(ArchiveError::File(..))), "{refused:?}");
        assert_eq!(store.get(delivery.id).await.unwrap(), Some(delivery));
    });
}

#[test]
fn an_archive_that_is_told_to_end_does_not_wait_for_a_silent_database() {
    on_each_database(|store| async move {
        cancelled(&store, 0, 1).await;
        // Whoever removes waits for it.
        let held = hold_all(&store).await;
        let (trigger, shutdown) = Shutdown::new();
        let file = Archive::new();
        let archiving = archive(&store, at(2), &file.0, &shutdown, |_| ());
        let told = async {
            while fs::read(&file.0).is_ok_and(|lines| lines.is_empty()) || !file.0.exists() {
                tokio::task::yield_now().await;
            }
            trigger.start();
        };
        let (ended, ()) = tokio::join!(archiving, told);
        assert!(matches!(ended, Err(ArchiveError::ToldToEnd(0))), "{ended:?}");
        held.rollback().await.unwrap();
    });
}

#[test]
fn an_archive_that_is_told_to_end_ends_between_two_pieces() {
    on_each_database(|store| async move {
        let delivery = cancelled(&store, 0, 1).await;
        let (trigger, shutdown) = Shutdown::new();
        trigger.start();
        let file = Archive::new();
        let ended = archive(&store, at(2), &file.0, &shutdown, |_| ()).await;
        assert!(matches!(ended, Err(ArchiveError::ToldToEnd(0))), "{ended:?}");
        assert_eq!(store.get(delivery.id).await.unwrap(), Some(delivery));
    });
}
