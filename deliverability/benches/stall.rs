//! How long an import holds up who reads the index: one thread reads and decides without a pause while another applies a
//! million rows, chunk after chunk, and publishes each. Beside it the same with nothing published: what the machine itself,
//! and the memory that both use, hold up.
//!
//! `cargo bench -p deliverability --bench stall`. Needs two cores that nobody else uses.
#![allow(clippy::unwrap_used, reason = "a bench that fails should stop")]

#[path = "decide/made.rs"]
#[allow(dead_code, reason = "shared with the bench of decide")]
mod made;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use deliverability::{Catalogue, Change, Question};
use made::Made;

/// As Product has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rows that an import commits, and a follower publishes, at once.
const CHUNK: usize = 10_000;
const ROUNDS: usize = 3;
const QUESTIONS: usize = 1 << 16;
/// What no reader is to wait.
const LONGEST: Duration = Duration::from_millis(1);

/// What one reader met.
struct Seen {
    reads: usize,
    /// The longest, the longest first.
    longest: Vec<Duration>,
    took: Duration,
}

fn main() {
    let made = Made::new(900_000, 90_000, 10_000, 3);
    let questions = made.questions(QUESTIONS);
    println!(
        "1,000,000 rows in chunks of {CHUNK}, one reader; reads that took longer than {LONGEST:?}, and the longest"
    );
    for _ in 0..ROUNDS {
        for (name, publishes) in [("published", true), ("nothing published", false)] {
            let seen = read_during_an_import(&made, &questions, publishes);
            let over = seen.longest.iter().filter(|took| **took > LONGEST).count();
            println!(
                "{name:18} {over:3} of {} reads in {:.1?}; {:?}",
                seen.reads,
                seen.took,
                &seen.longest[..3.min(seen.longest.len())]
            );
        }
    }
}

fn read_during_an_import(made: &Made, questions: &[Question], publishes: bool) -> Seen {
    let changes: Vec<Change> = made.changes().collect();
    // As Product's index holds it.
    let (index, is_done) = (ArcSwap::from_pointee(Catalogue::default()), AtomicBool::new(false));
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| read_until(&is_done, &index, questions));
        import(changes, publishes.then_some(&index));
        is_done.store(true, Ordering::Release);
        reader.join().unwrap()
    })
}

/// As Product's follower does it: what was published before is kept until nobody reads it.
fn import(changes: Vec<Change>, index: Option<&ArcSwap<Catalogue>>) {
    let (mut catalogue, mut retired) = (Catalogue::default(), Vec::new());
    let mut changes = changes.into_iter().peekable();
    while changes.peek().is_some() {
        changes.by_ref().take(CHUNK).for_each(|change| catalogue.apply(change));
        catalogue.seal();
        retired.extend(index.map(|index| index.swap(Arc::new(catalogue.clone()))));
        retired.retain(|retired| Arc::strong_count(retired) > 1);
    }
}

fn read_until(is_done: &AtomicBool, index: &ArcSwap<Catalogue>, questions: &[Question]) -> Seen {
    let (mut reads, mut longest, begun) = (0, Vec::new(), Instant::now());
    while !is_done.load(Ordering::Acquire) {
        for question in questions {
            let began = Instant::now();
            let decision = index.load().decide(question);
            let took = began.elapsed();
            std::hint::black_box(decision);
            reads += 1;
            if took > LONGEST / 10 {
                longest.push(took);
            }
        }
    }
    longest.sort_unstable_by(|one, other| other.cmp(one));
    Seen { reads, longest, took: begun.elapsed() }
}
