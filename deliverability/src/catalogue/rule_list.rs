//! The rules with one pair of selectors, and what can be told of them without looking at each.

use std::num::NonZeroU32;

use smallvec::SmallVec;

use crate::cow::CowVec;
use crate::{Effect, LimitKind, Limits, Rule, RuleId, RuleRef, Timestamp, Validity};

/// All lists, each under a number of its own.
#[derive(Clone, Default)]
pub(super) struct RuleLists {
    lists: CowVec<RuleList>,
    /// Numbers of empty lists. Copied by a clone: there are few, since a list that empties is used again first.
    free: Vec<u32>,
}

/// Most pairs of selectors have one rule, which then fills a line of the processor's cache.
#[derive(Clone, Default)]
#[repr(align(64))]
pub(super) struct RuleList {
    /// Those that start or end come first; then in the order of their ids, in which decisions name them.
    rules: SmallVec<[StoredRule; 1]>,
}

const _: () = assert!(size_of::<RuleList>() == 64, "one cache line");

/// Where a list is, and what is in force in it at all times: most lists need not be looked at to be overridden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListRef(NonZeroU32);

/// A set of effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effects(u8);

/// What decisions need of a rule, without its note.
#[derive(Clone, Copy)]
pub(super) struct StoredRule {
    pub(super) id: RuleId,
    pub(super) version: u32,
    /// 0: not limited.
    limits: [u32; 3],
    pub(super) validity: Validity,
    pub(super) effect: Effect,
}

// === impl ListRef ===

impl ListRef {
    const EFFECT_BITS: u32 = 3;
    /// Some rule starts or ends.
    const ENDS: u32 = 1 << Self::EFFECT_BITS;
    const NUMBER_SHIFT: u32 = Self::EFFECT_BITS + 1;

    /// The list is not empty.
    fn new(number: u32, list: &RuleList) -> Self {
        let always = list.rules.iter().filter(|rule| !rule.validity.has_ends());
        let effects = always.fold(Effects::default(), |effects, rule| effects.with(rule.effect));
        let ends = if list.with_ends().next().is_some() { Self::ENDS } else { 0 };
        let packed = number << Self::NUMBER_SHIFT | ends | u32::from(effects.0);
        Self(NonZeroU32::new(packed).expect("a rule always has an effect or has ends"))
    }

    fn number(self) -> u32 {
        self.0.get() >> Self::NUMBER_SHIFT
    }

    pub(super) fn has_ends(self) -> bool {
        self.0.get() & Self::ENDS != 0
    }

    /// Those of the rules that neither start nor end.
    pub(super) fn always(self) -> Effects {
        Effects((self.0.get() & (Self::ENDS - 1)) as u8)
    }
}

// === impl Effects ===

impl Effects {
    /// Those that can override: an EMBARGO wins in its own way.
    pub(super) const OVERRIDING: Self = Self(Self::of(Effect::Allow).0 | Self::of(Effect::Deny).0);

    pub(super) const fn of(effect: Effect) -> Self {
        Self(1 << effect as u8)
    }

    pub(super) fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn with(self, effect: Effect) -> Self {
        self.or(Self::of(effect))
    }
}

// === impl RuleLists ===

impl RuleLists {
    pub(super) fn get(&self, list: ListRef) -> &RuleList {
        &self.lists[list.number()]
    }

    /// Adds a rule to a list, a new one where there is none. Gives how the list is known from now on.
    pub(super) fn add(&mut self, list: Option<ListRef>, rule: StoredRule) -> ListRef {
        let number = match list {
            Some(list) => list.number(),
            None => self.free.pop().unwrap_or_else(|| self.lists.push(RuleList::default())),
        };
        assert!(number < 1 << (u32::BITS - ListRef::NUMBER_SHIFT), "memory ends before 2^28 lists");
        let list = &mut self.lists[number];
        list.push(rule);
        ListRef::new(number, list)
    }

    /// Takes a rule out of a list. None: it was the last one.
    pub(super) fn remove(&mut self, list: ListRef, id: RuleId) -> Option<ListRef> {
        let number = list.number();
        let list = &mut self.lists[number];
        list.rules.retain(|rule| rule.id != id);
        if list.rules.is_empty() {
            *list = RuleList::default();
            self.free.push(number);
            return None;
        }
        Some(ListRef::new(number, list))
    }
}

// === impl RuleList ===

impl RuleList {
    pub(super) fn iter(&self) -> impl Iterator<Item = &StoredRule> + Clone {
        self.rules.iter()
    }

    /// Those that start or end.
    pub(super) fn with_ends(&self) -> impl Iterator<Item = &StoredRule> {
        self.rules.iter().take_while(|rule| rule.validity.has_ends())
    }

    fn push(&mut self, rule: StoredRule) {
        let order = |rule: &StoredRule| (!rule.validity.has_ends(), rule.id);
        let place = self.rules.partition_point(|other| order(other) < order(&rule));
        self.rules.insert(place, rule);
    }
}

// === impl StoredRule ===

impl StoredRule {
    pub(super) fn in_force(&self, at: Timestamp) -> bool {
        self.validity.holds(at)
    }

    /// Whether it is in force and can override another.
    pub(super) fn overrides(&self, at: Timestamp) -> bool {
        self.effect != Effect::Embargo && self.in_force(at)
    }

    pub(super) fn is_limited(&self) -> bool {
        self.limits != [0; 3]
    }

    pub(super) fn limit(&self, kind: LimitKind) -> Option<u64> {
        let limit = self.limits[kind as usize];
        (limit > 0).then_some(u64::from(limit))
    }

    pub(super) fn reference(&self) -> RuleRef {
        RuleRef { id: self.id, version: self.version }
    }
}

impl From<&Rule> for StoredRule {
    fn from(rule: &Rule) -> Self {
        let Limits { max_weight_g, max_side_mm, max_quantity } = rule.limits;
        let mut limits = [0; 3];
        limits[LimitKind::WeightG as usize] = max_weight_g.unwrap_or(0);
        limits[LimitKind::SideMm as usize] = max_side_mm.unwrap_or(0);
        limits[LimitKind::Quantity as usize] = max_quantity.unwrap_or(0);
        Self { id: rule.id, version: rule.version, limits, validity: rule.validity, effect: rule.effect }
    }
}
