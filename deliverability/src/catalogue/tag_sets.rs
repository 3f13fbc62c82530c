//! Sets of tags as small numbers: a million products have few different classes.

use std::ops::Deref;

use smallvec::SmallVec;

use super::interner::Interner;
use crate::cow::CowVec;
use crate::{Tag, Tags};

/// A tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct TagId(u32);

/// A set of tags. Most have few tags with low numbers, and spell them out, so that a decision reads them where it reads
/// the object; 0 is the empty one. The others are numbered, and have the highest bit set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SetId(u32);

/// All tags of one sort, classes or zones, and the sets of them.
#[derive(Clone, Default)]
pub(super) struct TagSets {
    tags: Interner<Tag>,
    /// Those that are numbered.
    sets: Interner<Tags>,
    /// The tags of each.
    members: CowVec<SmallVec<[TagId; 4]>>,
}

/// The tags of a set.
pub(super) enum Members<'a> {
    Spelled([TagId; SetId::MAX_SPELLED], usize),
    Numbered(&'a [TagId]),
}

// === impl TagId ===

impl TagId {
    pub(super) fn number(self) -> u32 {
        self.0
    }

    pub(super) fn from_number(number: u32) -> Self {
        Self(number)
    }
}

// === impl SetId ===

impl SetId {
    /// Tags that fit beside the highest bit, one more than its number each, so that 0 is none.
    const MAX_SPELLED: usize = 3;
    const TAG_BITS: u32 = 10;
    const NUMBERED: u32 = 1 << 31;

    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// None if they don't fit.
    fn spelled(tags: &[TagId]) -> Option<Self> {
        let fits = |tag: &TagId| tag.0 + 1 < 1 << Self::TAG_BITS;
        (tags.len() <= Self::MAX_SPELLED && tags.iter().all(fits))
            .then(|| Self(tags.iter().rfold(0, |set, tag| set << Self::TAG_BITS | (tag.0 + 1))))
    }

    fn spelled_tags(self) -> Members<'static> {
        let (mut tags, mut len, mut rest) = ([TagId(0); Self::MAX_SPELLED], 0, self.0);
        for tag in &mut tags {
            let Some(number) = (rest & ((1 << Self::TAG_BITS) - 1)).checked_sub(1) else { break };
            *tag = TagId(number);
            len += 1;
            rest >>= Self::TAG_BITS;
        }
        Members::Spelled(tags, len)
    }

    fn number(self) -> Option<u32> {
        (self.0 & Self::NUMBERED != 0).then_some(self.0 & !Self::NUMBERED)
    }
}

// === impl TagSets ===

impl TagSets {
    pub(super) fn acquire(&mut self, tag: &Tag) -> TagId {
        TagId(self.tags.acquire(tag).0)
    }

    pub(super) fn release(&mut self, tag: TagId) {
        self.tags.release(tag.0);
    }

    pub(super) fn tag(&self, tag: TagId) -> Option<&Tag> {
        self.tags.value(tag.0)
    }

    pub(super) fn acquire_set(&mut self, tags: &Tags) -> SetId {
        let members: SmallVec<[TagId; 4]> = tags.iter().map(|tag| self.acquire(tag)).collect();
        if let Some(set) = SetId::spelled(&members) {
            return set;
        }
        let (set, new) = self.sets.acquire(tags);
        if !new {
            // The set has acquired its tags before.
            members.into_iter().for_each(|tag| self.release(tag));
        } else if self.members.len() == set {
            self.members.push(members);
        } else {
            self.members[set] = members;
        }
        SetId(set | SetId::NUMBERED)
    }

    pub(super) fn release_set(&mut self, set: SetId) {
        match set.number() {
            Some(set) => self.sets.release(set),
            None => set.spelled_tags().iter().for_each(|tag| self.release(*tag)),
        }
    }

    pub(super) fn members(&self, set: SetId) -> Members<'_> {
        match set.number() {
            Some(set) => Members::Numbered(&self.members[set]),
            None => set.spelled_tags(),
        }
    }

    /// Forgets the sets, and then the tags, that nothing has.
    pub(super) fn sweep(&mut self) {
        for (set, _) in self.sets.sweep() {
            for tag in std::mem::take(&mut self.members[set]) {
                self.release(tag);
            }
        }
        self.tags.sweep();
    }
}

impl Deref for Members<'_> {
    type Target = [TagId];

    fn deref(&self) -> &[TagId] {
        match self {
            Self::Spelled(tags, len) => &tags[..*len],
            Self::Numbered(tags) => tags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(texts: &[&str]) -> Tags {
        Tags::parse(texts).unwrap()
    }

    #[test]
    fn a_set_and_a_rule_mean_the_same_tag() {
        let mut sets = TagSets::default();
        let set = sets.acquire_set(&tags(&["eu", "remote"]));
        let eu = sets.acquire(&Tag::parse("eu").unwrap());
        assert!(sets.members(set).contains(&eu));
        assert_eq!(sets.acquire_set(&tags(&["remote", "eu"])), set);
    }

    #[test]
    fn a_set_is_spelled_out_if_it_fits_and_numbered_if_not() {
        let mut sets = TagSets::default();
        for n in 0..1_030 {
            sets.acquire(&Tag::parse(&format!("t{n}")).unwrap());
        }
        for (texts, numbered) in [
            (&["t0"][..], false),
            (&["t0", "t1", "t1022"], false),
            (&["t0", "t1", "t1023"], true),
            (&["t0", "t1", "t2", "t3"], true),
        ] {
            let set = sets.acquire_set(&tags(texts));
            assert_eq!(set.number().is_some(), numbered, "{texts:?}");
            let members: Vec<_> =
                sets.members(set).iter().map(|tag| sets.tag(*tag).unwrap().as_str()).collect();
            assert_eq!(members, texts);
            assert_eq!(sets.acquire_set(&tags(texts)), set);
        }
    }

    #[test]
    fn a_set_that_does_not_fit_keeps_its_tags_until_it_goes() {
        let mut sets = TagSets::default();
        let many = tags(&["a", "b", "c", "d"]);
        let set = sets.acquire_set(&many);
        assert_eq!(sets.acquire_set(&many), set);
        sets.release_set(set);
        sets.sweep();
        assert_eq!(sets.members(set).len(), 4);
        assert!(sets.members(set).iter().all(|tag| sets.tag(*tag).is_some()));
        sets.release_set(set);
        sets.sweep();
        assert!((0..4).all(|n| sets.tag(TagId(n)).is_none()));
    }

    #[test]
    fn the_empty_set_is_not_stored() {
        let mut sets = TagSets::default();
        let set = sets.acquire_set(&Tags::default());
        assert_eq!(set, SetId::default());
        assert!(sets.members(set).is_empty());
        sets.release_set(set);
    }

    #[test]
    fn a_tag_outlives_its_set_while_a_rule_names_it() {
        let mut sets = TagSets::default();
        let set = sets.acquire_set(&tags(&["eu"]));
        let eu = sets.acquire(&Tag::parse("eu").unwrap());
        sets.release_set(set);
        sets.sweep();
        assert_eq!(sets.tag(eu).map(Tag::as_str), Some("eu"));
        sets.release(eu);
        sets.sweep();
        assert_eq!(sets.tag(eu), None);
    }
}
