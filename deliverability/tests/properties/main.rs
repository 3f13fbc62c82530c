//! What must hold for every catalogue, tried on thousands of small random ones.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

mod model;
mod postal;
mod world;

use deliverability::{Catalogue, Change, Decision, Effect, Limits, PlaceSelector, Reason, Rule, Verdict};
use proptest::prelude::*;
use proptest::sample::Index;

use self::world::{World, build, questions};

fn decisions(catalogue: &Catalogue) -> Vec<Decision> {
    questions().map(|question| catalogue.decide(&question)).collect()
}

/// A rule under an id of its own.
fn added(rule: &Rule, effect: Effect) -> Change {
    let limits = Limits::default();
    Change::Rule(Rule { id: world::rule_id(world::RULES), effect, limits, deleted: false, ..rule.clone() })
}

fn is_yes(decision: &Decision) -> bool {
    decision.verdict() == Verdict::Deliverable
}

/// The same rule on each node that has its zone; the copies' ids tell which rule they were.
fn spelled_out(world: &World) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (n, rule) in world.rules.iter().enumerate() {
        let PlaceSelector::Zone(zone) = &rule.place else {
            rules.push(rule.clone());
            continue;
        };
        let tagged = world.locations.iter().filter(|location| location.zones.iter().any(|tag| tag == zone));
        rules.extend(tagged.enumerate().map(|(copy, location)| Rule {
            id: world::rule_id(n + (copy + 1) * 1_000),
            place: PlaceSelector::Location(location.id),
            ..rule.clone()
        }));
    }
    rules
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_decision_is_what_the_sentence_says(world in world::worlds()) {
        let catalogue = build(&world.changes());
        for question in questions() {
            prop_assert_eq!(catalogue.decide(&question), model::decide(&world, &question), "{:?}", question);
        }
    }

    #[test]
    fn an_explanation_tells_of_the_same_decision_and_of_each_rule_that_matches(world in world::worlds()) {
        let catalogue = build(&world.changes());
        for question in questions() {
            let (decision, explanations) = catalogue.explain(&question);
            prop_assert_eq!(&decision, &catalogue.decide(&question));
            let mut seen: Vec<_> = explanations.iter().map(|one| (one.rule, one.outcome)).collect();
            seen.sort_by_key(|(rule, _)| *rule);
            let mut expected = model::outcomes(&world, &question);
            expected.sort_by_key(|(rule, _)| *rule);
            prop_assert_eq!(seen.len(), expected.len());
            for ((rule, outcome), (expected_rule, expected)) in seen.into_iter().zip(expected) {
                prop_assert_eq!(rule, expected_rule);
                prop_assert!(expected.allows(&outcome), "{:?}: {:?}, not {:?}", rule, outcome, expected);
            }
        }
    }

    #[test]
    fn the_order_of_changes_does_not_matter(
        world in world::worlds(),
        shuffled in Just(()).prop_flat_map(|()| prop::collection::vec(any::<Index>(), world::OBJECTS)),
    ) {
        let mut changes = world.changes();
        for (n, index) in shuffled.iter().enumerate().take(changes.len()) {
            let other = index.index(changes.len());
            changes.swap(n, other);
        }
        prop_assert_eq!(decisions(&build(&changes)), decisions(&build(&world.changes())));
    }

    #[test]
    fn updates_and_moves_leave_no_trace(
        before in world::tangled_worlds(),
        after in world::worlds(),
        seals in any::<u32>(),
        twice in any::<bool>(),
    ) {
        let mut catalogue = Catalogue::default();
        let changes = after.changes();
        let repeated = if twice { changes.clone() } else { Vec::new() };
        for (n, change) in before.changes().into_iter().chain(repeated).chain(changes).enumerate() {
            catalogue.apply(change);
            if seals.rotate_left(n as u32) & 1 == 1 {
                catalogue.seal();
            }
        }
        catalogue.seal();
        prop_assert_eq!(decisions(&catalogue), decisions(&build(&after.changes())));
        let counts = |catalogue: &Catalogue| (catalogue.products(), catalogue.locations(), catalogue.rules());
        prop_assert_eq!(counts(&catalogue), counts(&build(&after.changes())));
    }

    #[test]
    fn a_clone_is_not_changed_by_later_changes(before in world::worlds(), after in world::worlds()) {
        let mut catalogue = build(&before.changes());
        let snapshot = catalogue.clone();
        for change in after.changes() {
            catalogue.apply(change);
        }
        catalogue.seal();
        prop_assert_eq!(decisions(&snapshot), decisions(&build(&before.changes())));
        prop_assert_eq!(decisions(&catalogue), decisions(&build(&after.changes())));
    }

    #[test]
    fn adding_a_deny_makes_nothing_deliverable(world in world::worlds(), one_more in world::rules()) {
        let catalogue = build(&world.changes());
        let mut stricter = catalogue.clone();
        stricter.apply(added(&one_more, Effect::Deny));
        for question in questions() {
            prop_assert!(is_yes(&catalogue.decide(&question)) || !is_yes(&stricter.decide(&question)));
        }
    }

    #[test]
    fn adding_an_unlimited_allow_makes_nothing_undeliverable(world in world::worlds(), one_more in world::rules()) {
        let catalogue = build(&world.changes());
        let mut wider = catalogue.clone();
        wider.apply(added(&one_more, Effect::Allow));
        for question in questions() {
            prop_assert!(!is_yes(&catalogue.decide(&question)) || is_yes(&wider.decide(&question)));
        }
    }

    #[test]
    fn a_zone_rule_equals_the_same_rule_on_each_tagged_node(world in world::worlds()) {
        let zoned = build(&world.changes());
        let spelled_out = build(&World { rules: spelled_out(&world), ..world }.changes());
        for question in questions() {
            let mut decision = spelled_out.decide(&question);
            for rule in &mut decision.deciding_rules {
                rule.id = world::rule_id(world::rule_number(rule.id) % 1_000);
            }
            decision.deciding_rules.sort_unstable();
            decision.deciding_rules.dedup();
            prop_assert_eq!(zoned.decide(&question), decision);
        }
    }
}

#[test]
fn the_random_worlds_meet_every_reason() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::<Reason, usize>::new();
    for _ in 0..500 {
        let world = world::worlds().new_tree(&mut runner).unwrap().current();
        let catalogue = build(&world.changes());
        questions().for_each(|question| *seen.entry(catalogue.decide(&question).reason).or_default() += 1);
    }
    assert_eq!(seen.len(), 14, "{seen:?}");
    assert!(seen.values().all(|times| *times >= 20), "{seen:?}");
}
