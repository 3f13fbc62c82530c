//! How long a decision takes in catalogues of a real size, how long changes hold it up, and what the index weighs.
//!
//! Each decision is timed by itself, as a call meets it: in groups the processor would overlap one's waits for memory
//! with the next. So the clock's own cost is in each figure; it is printed first.
//!
//! Instructions don't vary with the neighbours. To count those of 10,000 decisions:
//! `valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*counted*' target/release/deps/decide-* count`

mod made;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group};
use deliverability::{Catalogue, Question};

use self::made::{Made, Random};

/// As Product has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// More than a processor's caches hold, so that uniform questions meet cold memory.
const QUESTIONS: usize = 1 << 20;
/// Of 100 rules, those to any place or to a zone: most rules speak of a place.
const USUAL_PERCENT: usize = 3;
/// So many that a hundred rules match each question.
const CROWDED_PERCENT: usize = 30;
/// Pairs that shops ask for again and again.
const HOT_PAIRS: usize = 1_000;
/// As many as one chunk of an import.
const BATCH: usize = 10_000;
/// Enough for a mean, few enough for callgrind.
const COUNTED: usize = 10_000;

fn decisions(criterion: &mut Criterion, name: &str, catalogue: &Catalogue, questions: &[Question]) {
    let mut next = questions.iter().cycle();
    criterion.bench_function(&format!("decide/{name}"), |bencher| {
        bencher.iter(|| catalogue.decide(black_box(next.next().expect("endless"))));
    });
    let mut taken: Vec<Duration> =
        questions.iter().map(|question| time(|| catalogue.decide(question))).collect();
    taken.sort_unstable();
    let quantile = |share: f64| taken[(taken.len() as f64 * share) as usize];
    let (p50, p99, p999) = (quantile(0.5), quantile(0.99), quantile(0.999));
    println!("decide/{name}: one at a time, clock included: p50 {p50:?}, p99 {p99:?}, p99.9 {p999:?}");
}

fn changes(criterion: &mut Criterion, made: &Made, catalogue: &Catalogue) {
    for count in [1, BATCH] {
        let mut random = Random::new(7);
        criterion.bench_function(&format!("apply/{count} changes to a snapshot of 1,000,000"), |bencher| {
            let changes = |random: &mut Random| (0..count).map(|_| made.change(random)).collect::<Vec<_>>();
            let setup = || (catalogue.clone(), changes(&mut random));
            let apply = |(mut catalogue, changes): (Catalogue, Vec<_>)| {
                changes.into_iter().for_each(|change| catalogue.apply(change));
                catalogue.seal();
                catalogue
            };
            bencher.iter_batched(setup, apply, BatchSize::PerIteration);
        });
    }
    criterion.bench_function("apply/the root of 90,000 locations changes", |bencher| {
        let apply = |mut catalogue: Catalogue| {
            catalogue.apply(made.root());
            catalogue
        };
        bencher.iter_batched(|| catalogue.clone(), apply, BatchSize::PerIteration);
    });
    criterion.bench_function("clone/1,000,000", |bencher| bencher.iter(|| catalogue.clone()));
}

fn load(name: &str, made: &Made) -> Catalogue {
    let mut catalogue = Catalogue::default();
    let mut applying = Duration::ZERO;
    for change in made.changes() {
        let began = Instant::now();
        catalogue.apply(change);
        applying += began.elapsed();
    }
    catalogue.seal();
    println!("load/{name}: {catalogue:?} in {applying:?}");
    catalogue
}

/// What the reasons are, so that a figure can't come from an empty catalogue.
fn tell_reasons(catalogue: &Catalogue, questions: &[Question]) {
    let mut reasons = std::collections::BTreeMap::<&str, usize>::new();
    for question in &questions[..100_000] {
        *reasons.entry(catalogue.decide(question).reason.as_str()).or_default() += 1;
    }
    println!("reasons of 100,000 decisions: {reasons:?}");
    let matching: usize =
        questions[..10_000].iter().map(|question| catalogue.explain(question).1.len()).sum();
    println!("rules that match a question, on average: {:.1}", matching as f64 / 10_000.0);
}

fn all(criterion: &mut Criterion) {
    let mut clock: Vec<Duration> = (0..QUESTIONS).map(|_| time(|| ())).collect();
    clock.sort_unstable();
    println!("the clock: p50 {:?}", clock[QUESTIONS / 2]);
    let made = Made::new(900_000, 90_000, 10_000, USUAL_PERCENT);
    let before = resident_kib();
    let catalogue = load("900k x 90k x 10k", &made);
    println!("the index: {} MiB resident", resident_kib().saturating_sub(before) / 1024);
    let questions = made.questions(QUESTIONS);
    tell_reasons(&catalogue, &questions);
    decisions(criterion, "900k x 90k x 10k, uniform", &catalogue, &questions);
    let hot: Vec<Question> = questions[..HOT_PAIRS].iter().copied().cycle().take(QUESTIONS).collect();
    decisions(criterion, "900k x 90k x 10k, 1,000 hot pairs", &catalogue, &hot);
    changes(criterion, &made, &catalogue);
    drop((made, catalogue));

    for (name, broad_percent) in [("uniform", USUAL_PERCENT), ("uniform, crowded rules", CROWDED_PERCENT)] {
        let made = Made::new(100_000, 10_000, 10_000, broad_percent);
        let catalogue = load(name, &made);
        let questions = made.questions(QUESTIONS);
        tell_reasons(&catalogue, &questions);
        decisions(criterion, &format!("100k x 10k x 10k, {name}"), &catalogue, &questions);
    }
}

fn time<R>(work: impl FnOnce() -> R) -> Duration {
    let began = Instant::now();
    black_box(work());
    began.elapsed()
}

/// 0 where /proc does not exist.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// What callgrind looks at.
#[inline(never)]
fn counted(catalogue: &Catalogue, questions: &[Question]) {
    questions.iter().for_each(|question| drop(black_box(catalogue.decide(black_box(question)))));
}

criterion_group!(benches, all);

fn main() {
    if std::env::args().any(|argument| argument == "count") {
        let made = Made::new(100_000, 10_000, 10_000, USUAL_PERCENT);
        counted(&load("100k x 10k x 10k", &made), &made.questions(COUNTED));
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
