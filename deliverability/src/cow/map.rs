//! A hash map in shards, each copied when it is first changed after a clone.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::shard::Shard;

/// Shards of one map: with a million entries, a change copies a thousand of them, some ten microseconds' work.
const SHARDS: usize = 1024;
/// A shard uses the lower half of a hash; the shard is chosen by the upper half.
const SHARD_SHIFT: u32 = 32;

/// A hash map that is cheap to clone.
#[derive(Clone)]
pub(crate) struct CowMap<K, V> {
    shards: Arc<[Shard<K, V>]>,
    hasher: RandomState,
    len: usize,
}

impl<K, V> Default for CowMap<K, V> {
    fn default() -> Self {
        let empty = Shard::default();
        Self { shards: vec![empty; SHARDS].into(), hasher: RandomState::default(), len: 0 }
    }
}

impl<K, V> CowMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl<K: Hash + Eq + Clone, V: Clone> CowMap<K, V> {
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        self.shards[shard(hash)].get(hash, key)
    }

    /// Gives the value before, if there was one.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&key);
        let shard = &mut Arc::make_mut(&mut self.shards)[shard(hash)];
        if let Some(old) = shard.get_mut(hash, &key) {
            return Some(std::mem::replace(old, value));
        }
        shard.add(hash, key, value, |key| self.hasher.hash_one(key));
        self.len += 1;
        None
    }

    /// Changes a value, one made by default where there is none.
    pub(crate) fn update<R>(&mut self, key: K, change: impl FnOnce(&mut V) -> R) -> R
    where
        V: Default,
    {
        let hash = self.hasher.hash_one(&key);
        let shard = &mut Arc::make_mut(&mut self.shards)[shard(hash)];
        if let Some(value) = shard.get_mut(hash, &key) {
            return change(value);
        }
        let mut value = V::default();
        let result = change(&mut value);
        shard.add(hash, key, value, |key| self.hasher.hash_one(key));
        self.len += 1;
        result
    }

    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        // Looked for first: what is absent must not cost a copy.
        self.get(key)?;
        let hash = self.hasher.hash_one(key);
        let shard = &mut Arc::make_mut(&mut self.shards)[shard(hash)];
        let removed = shard.remove(hash, key, |key| self.hasher.hash_one(key))?;
        self.len -= 1;
        Some(removed)
    }
}

fn shard(hash: u64) -> usize {
    (hash >> SHARD_SHIFT) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_gives_back_what_was_put_in() {
        let mut map = CowMap::default();
        for n in 0..10_000_u32 {
            assert_eq!(map.insert(n, n), None);
        }
        assert_eq!(map.insert(7, 70), Some(7));
        assert_eq!(map.remove(&8), Some(8));
        assert_eq!(map.remove(&8), None);
        map.update(9, |n| *n += 1);
        map.update(20_000, |n| *n += 1);
        assert_eq!([7, 8, 9, 20_000].map(|n| map.get(&n).copied()), [Some(70), None, Some(10), Some(1)]);
        assert_eq!(map.len(), 10_000);
    }

    #[test]
    fn a_clone_keeps_what_it_was() {
        let mut map = CowMap::default();
        map.insert("stays".to_owned(), 1);
        map.insert("goes".to_owned(), 1);
        let before = map.clone();
        map.update("stays".to_owned(), |n| *n = 2);
        map.remove("goes");
        map.insert("comes".to_owned(), 1);
        let seen = ["stays", "goes", "comes"].map(|key| (before.get(key).copied(), map.get(key).copied()));
        assert_eq!(seen, [(Some(1), Some(2)), (Some(1), None), (None, Some(1))]);
        assert_eq!((before.len(), map.len()), (2, 2));
    }

    #[test]
    fn a_change_copies_one_shard() {
        let mut map = CowMap::default();
        (0..10_000_u32).for_each(|n| assert_eq!(map.insert(n, ()), None));
        let before = map.clone();
        map.insert(10_000, ());
        let shared = map.shards.iter().zip(before.shards.iter()).filter(|(a, b)| a.is_shared_with(b)).count();
        assert_eq!(shared, SHARDS - 1);
    }
}
