//! Sets of tags as small numbers: a million products have few different sets of classes.

use smallvec::SmallVec;

use super::interner::Interner;
use crate::cow::CowVec;
use crate::{Tag, Tags};

/// A tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TagId(u32);

/// A set of tags: 0 is the empty set, which most objects have, and n + 1 the nth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SetId(u32);

impl TagId {
    pub(super) fn number(self) -> u32 {
        self.0
    }

    pub(super) fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// All tags of one sort, classes or zones, and the sets of them.
#[derive(Clone, Default)]
pub(super) struct TagSets {
    tags: Interner<Tag>,
    sets: Interner<Tags>,
    /// The tags of each set.
    members: CowVec<SmallVec<[TagId; 4]>>,
}

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
        if tags.is_empty() {
            return SetId(0);
        }
        let (set, new) = self.sets.acquire(tags);
        if new {
            let members = tags.iter().map(|tag| self.acquire(tag)).collect();
            if self.members.len() == set {
                self.members.push(members);
            } else {
                self.members[set] = members;
            }
        }
        SetId(set + 1)
    }

    pub(super) fn release_set(&mut self, set: SetId) {
        if let Some(set) = set.0.checked_sub(1) {
            self.sets.release(set);
        }
    }

    pub(super) fn members(&self, set: SetId) -> &[TagId] {
        match set.0.checked_sub(1) {
            Some(set) => &self.members[set],
            None => &[],
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
