//! A decision in words: what each rule that matches did.

use std::cmp::Reverse;

use super::Catalogue;
use super::decide::in_use;
use super::judge::judge;
use super::matching::{Match, Matches};
use super::places::Lineage;
use super::rule_list::StoredRule;
use super::rules::{PlaceKey, ProductKey};
use crate::{
    Decision, Explanation, MAX_DECIDING_RULES, MAX_EXPLANATIONS, Question, RuleOutcome, RuleRef, Tag,
};

impl Catalogue {
    /// Answers a question, and says what became of each rule that matches, the most specific first. No rule is looked
    /// at for an unknown product or location; for one out of use, rules are shown and none is deciding.
    pub fn explain(&self, question: &Question) -> (Decision, Vec<Explanation>) {
        let mut lineage = Lineage::new();
        let product = match self.find(question, &mut lineage) {
            Ok(product) => product,
            Err(reason) => return (Decision::without_rules(reason), Vec::new()),
        };
        let mut matches = Matches::new(&self.rules, question.at);
        self.gather(product, &lineage, &mut matches);
        let mut decision = match in_use(product, &lineage) {
            Ok(product) => judge(&matches, product, question.quantity),
            Err(reason) => Decision::without_rules(reason),
        };
        let outcomes = Outcomes::of(&matches, &decision);
        let rules =
            matches.found.iter().flat_map(|m| self.rules.list(m.list).iter().map(move |rule| (m, rule)));
        let mut rules: Vec<(&Match, &StoredRule)> = rules.collect();
        // This order lists a rule after every rule that overrides it.
        rules.sort_unstable_by_key(|(m, rule)| (Reverse((m.place, m.product)), rule.id));
        let explain = |(m, rule): (&Match, &StoredRule)| {
            self.explanation(m.level(lineage.len()), rule, outcomes.outcome(m, rule))
        };
        let explanations = rules.into_iter().take(MAX_EXPLANATIONS).map(explain).collect();
        decision.deciding_rules.truncate(MAX_DECIDING_RULES);
        (decision, explanations)
    }

    fn explanation(&self, level: usize, rule: &StoredRule, outcome: RuleOutcome) -> Explanation {
        let became = match outcome {
            RuleOutcome::NotInForce => "is not in force".to_owned(),
            RuleOutcome::Overridden(by) => format!("is overridden by the more specific rule {}", by.id),
            RuleOutcome::Standing => "stands, but decides nothing".to_owned(),
            RuleOutcome::Deciding => "decides".to_owned(),
        };
        let text = format!("{} of {} {became}", rule.effect.as_str(), self.selection(level, rule));
        Explanation { rule: rule.reference(), effect: rule.effect, outcome, text }
    }

    fn selection(&self, level: usize, rule: &StoredRule) -> String {
        let Some(key) = self.rules.key(rule.id) else { return String::new() };
        let product = match key.product() {
            ProductKey::Any => "any product".to_owned(),
            ProductKey::Class(class) => format!("class {}", self.classes.tag(class).map_or("", Tag::as_str)),
            ProductKey::Product(_) => "this product".to_owned(),
        };
        match key.place() {
            PlaceKey::Any => format!("{product} to any place"),
            PlaceKey::Zone(zone) => {
                let zone = self.zones.tag(zone).map_or("", Tag::as_str);
                format!("{product} to zone {zone} (level {level})")
            }
            PlaceKey::Location(slot) => {
                let name = self.places.location(slot).map_or("", |location| location.name.as_str());
                format!("{product} to {name} (level {level})")
            }
        }
    }
}

/// What is needed to tell what became of a rule.
struct Outcomes<'a> {
    matches: &'a Matches<'a>,
    /// One rule of each pair of selectors that is left standing.
    standing: Vec<(&'a Match, RuleRef)>,
    decision: &'a Decision,
}

impl<'a> Outcomes<'a> {
    fn of(matches: &'a Matches<'a>, decision: &'a Decision) -> Self {
        let standing = matches.found.iter().filter(|m| !matches.front.overrides(m)).filter_map(|m| {
            let rules = matches.rules.list(m.list).iter().filter(|rule| rule.overrides(matches.at));
            Some((m, rules.map(StoredRule::reference).min()?))
        });
        Self { matches, standing: standing.collect(), decision }
    }

    fn outcome(&self, m: &Match, rule: &StoredRule) -> RuleOutcome {
        if !rule.in_force(self.matches.at) {
            return RuleOutcome::NotInForce;
        }
        if self.decision.deciding_rules.binary_search(&rule.reference()).is_ok() {
            return RuleOutcome::Deciding;
        }
        if !rule.overrides(self.matches.at) || !self.matches.front.overrides(m) {
            return RuleOutcome::Standing;
        }
        let by = self.standing.iter().find(|(other, _)| other.is_more_specific_than(m));
        by.map_or(RuleOutcome::Standing, |(_, by)| RuleOutcome::Overridden(*by))
    }
}

impl Match {
    fn is_more_specific_than(&self, other: &Match) -> bool {
        self.product >= other.product
            && self.place >= other.place
            && (self.product, self.place) != (other.product, other.place)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Change;
    use super::super::samples::{at, class, location, location_id, product, product_id, rule, zone};
    use super::*;
    use crate::{
        Effect, Location, LocationKind, PlaceSelector, ProductSelector, Quantity, Reason, Rule, State, Tags,
        Validity,
    };

    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        let india = location(1, 0, LocationKind::Country, "India");
        let city = location(2, 1, LocationKind::City, "Bengaluru");
        let later = Validity::new(Some(at(100)), None).unwrap();
        let here = PlaceSelector::Location(location_id(2));
        for change in [
            Change::Product(product(1, &["perishable"])),
            Change::Location(Location { zones: Tags::parse(["asia"]).unwrap(), ..india }),
            Change::Location(city),
            Change::Rule(rule(1, Effect::Allow, ProductSelector::Any, zone("asia"))),
            Change::Rule(rule(2, Effect::Deny, class("perishable"), PlaceSelector::Any)),
            Change::Rule(rule(3, Effect::Allow, class("perishable"), here.clone())),
            Change::Rule(Rule { validity: later, ..rule(4, Effect::Embargo, ProductSelector::Any, here) }),
        ] {
            catalogue.apply(change);
        }
        catalogue
    }

    fn question(micros: i64) -> Question {
        let (product, location) = (product_id(1), location_id(2));
        Question { product, location, quantity: Quantity::default(), at: at(micros) }
    }

    fn texts(explanations: &[Explanation]) -> Vec<&str> {
        explanations.iter().map(|explanation| explanation.text.as_str()).collect()
    }

    #[test]
    fn each_rule_that_matches_is_explained_the_most_specific_first() {
        let (decision, explanations) = catalogue().explain(&question(0));
        assert_eq!(decision, catalogue().decide(&question(0)));
        let by = "00000000-0000-0000-0000-000000000003";
        assert_eq!(
            texts(&explanations),
            [
                "ALLOW of class perishable to Bengaluru (level 2) decides",
                "EMBARGO of any product to Bengaluru (level 2) is not in force",
                &format!(
                    "ALLOW of any product to zone asia (level 1) is overridden by the more specific rule {by}"
                ),
                &format!(
                    "DENY of class perishable to any place is overridden by the more specific rule {by}"
                ),
            ]
        );
        assert_eq!(explanations[2].outcome, RuleOutcome::Overridden(explanations[0].rule));
    }

    #[test]
    fn an_embargo_overrides_nothing_and_leaves_rules_standing() {
        let (decision, explanations) = catalogue().explain(&question(100));
        assert_eq!(decision.reason, Reason::Embargoed);
        let outcomes: Vec<RuleOutcome> = explanations.iter().map(|explanation| explanation.outcome).collect();
        let overridden = RuleOutcome::Overridden(explanations[0].rule);
        assert_eq!(outcomes, [RuleOutcome::Standing, RuleOutcome::Deciding, overridden, overridden]);
    }

    #[test]
    fn rules_of_a_product_out_of_use_are_shown_and_decide_nothing() {
        let mut catalogue = catalogue();
        catalogue.apply(Change::Product(crate::Product {
            state: State::Suspended,
            ..product(1, &["perishable"])
        }));
        let (decision, explanations) = catalogue.explain(&question(0));
        assert_eq!((decision.reason, decision.deciding_rules.len()), (Reason::ProductSuspended, 0));
        assert_eq!(explanations.len(), 4);
        assert!(explanations.iter().all(|explanation| explanation.outcome != RuleOutcome::Deciding));
    }

    #[test]
    fn an_unknown_location_has_no_rules_to_explain() {
        let question = Question { location: location_id(9), ..question(0) };
        let (decision, explanations) = catalogue().explain(&question);
        assert_eq!((decision.reason, explanations.len()), (Reason::LocationUnknown, 0));
    }

    #[test]
    fn at_most_a_hundred_rules_are_explained_and_named() {
        let mut catalogue = catalogue();
        for n in 0..200 {
            let here = PlaceSelector::Location(location_id(2));
            catalogue.apply(Change::Rule(rule(1_000 + n, Effect::Allow, class("perishable"), here)));
        }
        let (decision, explanations) = catalogue.explain(&question(0));
        assert_eq!(
            (decision.deciding_rules.len(), explanations.len()),
            (MAX_DECIDING_RULES, MAX_EXPLANATIONS)
        );
        assert!(explanations.iter().all(|explanation| explanation.outcome == RuleOutcome::Deciding));
    }
}
