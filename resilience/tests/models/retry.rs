//! Retries against the rules, written down one by one.

use std::time::Duration;

use proptest::prelude::*;
use resilience::budget::{Budget, BudgetSettings};
use resilience::deadline::{CallTime, DeadlineSettings};
use resilience::outcome::{Again, Evidence, Kind, Meaning, Pushback};
use resilience::retry::{Circumstances, Next, Retries, RetrySettings, Stop};
use tokio::time::Instant;

const FLOOR: Duration = Duration::from_millis(1);

#[derive(Clone, Debug)]
struct Failure {
    meaning: Meaning,
    /// How long the attempt took.
    took_ms: u64,
    others: bool,
    anywhere: bool,
    chance: f64,
}

fn failure() -> impl Strategy<Value = Failure> {
    let again = prop_oneof![
        1 => Just(Again::No),
        4 => Just(Again::Yes),
        2 => Just(Again::Elsewhere),
        2 => Just(Again::Unprocessed),
        2 => Just(Again::Unsent),
    ];
    let evidence = prop_oneof![Just(Evidence::Neutral), Just(Evidence::Failure)];
    let pushback = prop::option::weighted(
        0.2,
        (0..3_000_u64, any::<bool>()).prop_map(|(ms, is_hint)| {
            let pause = Duration::from_millis(ms);
            if is_hint { Pushback::Hint(pause) } else { Pushback::Order(pause) }
        }),
    );
    (again, evidence, pushback, 0..400_u64, any::<(bool, bool)>(), 0.0..1.0).prop_map(
        |(again, evidence, pushback, took_ms, (others, same), chance)| Failure {
            meaning: Meaning { evidence, again, pushback, kind: Kind::Failed },
            took_ms,
            others,
            anywhere: others || same,
            chance,
        },
    )
}

fn time(now: Instant) -> CallTime {
    let settings = DeadlineSettings {
        reserve: Duration::ZERO,
        reserve_fraction: 1,
        cap: Duration::from_secs(1),
        attempt: Duration::from_millis(300),
        floor: FLOOR,
    };
    settings.call(now, None)
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn no_rule_of_retrying_is_ever_broken(
        max_attempts in 1..6_u32,
        first_pause_ms in 0..100_u64,
        max_pause_ms in 0..400_u64,
        tokens in 0..5_u32,
        failures in prop::collection::vec(failure(), 1..12),
    ) {
        let settings = RetrySettings {
            max_attempts,
            first_pause: Duration::from_millis(first_pause_ms),
            max_pause: Duration::from_millis(max_pause_ms),
        };
        let budget =
            Budget::new(BudgetSettings { per_ten_thousand: 10_000, capacity_tokens: 100, reserve_per_second: 0 });
        (0..tokens).for_each(|_| budget.deposit());
        let mut now = Instant::now();
        let time = time(now);
        let mut retries = Retries::new(settings);
        let (mut charged, mut resent, mut moved) = (0, 0, 0);
        for failure in failures {
            now += Duration::from_millis(failure.took_ms);
            let Failure { meaning, others, anywhere, chance, .. } = failure;
            let around = Circumstances { now, now_ns: 0, time: &time, others, anywhere, chance };
            let next = retries.next(&meaning, &budget, around);
            match next {
                Next::Stop(why) => {
                    match why {
                        Stop::Pointless => prop_assert_eq!(meaning.again, Again::No),
                        Stop::Attempts => prop_assert_eq!(charged + 1, max_attempts),
                        Stop::Budget => prop_assert_eq!(budget.tokens(), 0),
                        Stop::Time => {
                            let least = meaning.pushback.map(Pushback::pause).unwrap_or_default();
                            let most = least.max(settings.max_pause);
                            prop_assert!(time.remaining(now) < most + FLOOR, "there was time");
                        }
                        Stop::NowhereElse => {
                            prop_assert!(!anywhere || (meaning.again == Again::Elsewhere && (!others || moved > 0)));
                        }
                    }
                    break;
                }
                Next::Attempt { pause, elsewhere, charged: is_charged } => {
                    prop_assert!(meaning.again != Again::No, "what would end the same is not tried");
                    prop_assert!(time.remaining(now) >= pause + FLOOR, "nothing begins too late");
                    prop_assert!(!elsewhere || others, "there must be somewhere else");
                    let is_free = match meaning.again {
                        Again::Unprocessed => resent == 0,
                        Again::Unsent => resent == 0 && others,
                        Again::Elsewhere => meaning.evidence == Evidence::Neutral,
                        Again::Yes | Again::No => false,
                    };
                    prop_assert_eq!(is_charged, !is_free, "what was never processed costs nothing, once");
                    if is_charged {
                        charged += 1;
                        let grown = settings.first_pause * (1 << (charged - 1).min(16));
                        let longest = grown.min(settings.max_pause);
                        match meaning.pushback {
                            _ if meaning.again == Again::Elsewhere => prop_assert_eq!(pause, Duration::ZERO),
                            Some(Pushback::Hint(_)) if elsewhere => prop_assert!(pause <= longest),
                            Some(asked) => prop_assert_eq!(pause, asked.pause()),
                            None => prop_assert!(pause <= longest),
                        }
                    } else {
                        prop_assert_eq!(pause, Duration::ZERO);
                        match meaning.again {
                            Again::Elsewhere => prop_assert_eq!(meaning.evidence, Evidence::Neutral),
                            _ => resent += 1,
                        }
                    }
                    moved += u32::from(meaning.again == Again::Elsewhere);
                    now += pause;
                }
            }
            prop_assert!(charged < max_attempts && charged <= tokens && resent <= 1 && moved <= 1);
            prop_assert_eq!(budget.tokens(), u64::from(tokens - charged));
        }
    }
}
