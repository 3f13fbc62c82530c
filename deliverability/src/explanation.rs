//! What each matching rule did to a decision.

use crate::{Effect, RuleRef};

/// Most rules that one decision is explained by: as many as the contract carries.
pub const MAX_EXPLANATIONS: usize = 100;

/// What one matching rule did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The rule.
    pub rule: RuleRef,
    /// What it says.
    pub effect: Effect,
    /// What became of it.
    pub outcome: RuleOutcome,
    /// The same in words.
    pub text: String,
}

/// What became of a rule that matches the product and the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOutcome {
    /// Not in force at the instant asked for.
    NotInForce,
    /// This more specific rule stands instead.
    Overridden(RuleRef),
    /// It stood, and decided nothing: another reason came first.
    Standing,
    /// It is one of the deciding rules.
    Deciding,
}
