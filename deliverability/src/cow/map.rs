//! A hash map in shards, each copied when it is first changed after a clone.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::shard::Shard;

/// Most shards of one map: with a million entries a change copies a thousand of them and the list of shards, some ten
/// microseconds' work each.
const MAX_SHARDS: usize = 1024;
/// A map has twice as many shards when each has more entries than this: a small catalogue's maps have one.
const SHARD_ENTRIES: usize = 800;
/// A shard uses the lower half of a hash; the shard is chosen by the upper half.
const SHARD_SHIFT: u32 = 32;

/// A hash map that is cheap to clone. A line of the processor's cache (64 bytes, or a multiple) holds LANES entries.
#[derive(Clone)]
pub(crate) struct CowMap<K, V, const LANES: usize> {
    /// Their number is a power of two.
    shards: Arc<[Shard<K, V, LANES>]>,
    hasher: RandomState,
    len: usize,
}

impl<K, V, const LANES: usize> Default for CowMap<K, V, LANES> {
    fn default() -> Self {
        Self { shards: Arc::new([Shard::default()]), hasher: RandomState::default(), len: 0 }
    }
}

impl<K, V, const LANES: usize> CowMap<K, V, LANES> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl<K: Hash + Eq + Clone, V: Clone, const LANES: usize> CowMap<K, V, LANES> {
    #[inline]
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        self.shards[shard(hash, self.shards.len())].get(hash, key)
    }

    pub(crate) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        // Looked for first: what is absent must not cost a copy.
        self.get(key)?;
        let hash = self.hasher.hash_one(key);
        self.shard_mut(hash).get_mut(hash, key)
    }

    /// Gives the value before, if there was one.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&key);
        if let Some(old) = self.shard_mut(hash).get_mut(hash, &key) {
            return Some(std::mem::replace(old, value));
        }
        self.add(hash, key, value);
        None
    }

    /// Changes a value, one made by default where there is none.
    pub(crate) fn update<R>(&mut self, key: K, change: impl FnOnce(&mut V) -> R) -> R
    where
        V: Default,
    {
        let hash = self.hasher.hash_one(&key);
        if let Some(value) = self.shard_mut(hash).get_mut(hash, &key) {
            return change(value);
        }
        let mut value = V::default();
        let result = change(&mut value);
        self.add(hash, key, value);
        result
    }

    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        // Looked for first: what is absent must not cost a copy.
        self.get(key)?;
        let hash = self.hasher.hash_one(key);
        let count = self.shards.len();
        let shard = &mut Arc::make_mut(&mut self.shards)[shard(hash, count)];
        let removed = shard.remove(hash, key, |key| self.hasher.hash_one(key))?;
        self.len -= 1;
        Some(removed)
    }

    /// The key must not be there.
    fn add(&mut self, hash: u64, key: K, value: V) {
        let mut count = self.shards.len();
        if self.len == count * SHARD_ENTRIES && count < MAX_SHARDS {
            count *= 2;
            self.spread(count);
        }
        let shard = &mut Arc::make_mut(&mut self.shards)[shard(hash, count)];
        shard.add(hash, key, value, |key| self.hasher.hash_one(key));
        self.len += 1;
    }

    fn spread(&mut self, count: usize) {
        let hash_of = |key: &K| self.hasher.hash_one(key);
        // Room for what comes before the next time.
        let mut shards: Vec<_> = (0..count).map(|_| Shard::with_room(SHARD_ENTRIES)).collect();
        for (key, value) in self.shards.iter().flat_map(Shard::iter) {
            let hash = hash_of(key);
            shards[shard(hash, count)].add(hash, key.clone(), value.clone(), hash_of);
        }
        self.shards = shards.into();
    }

    fn shard_mut(&mut self, hash: u64) -> &mut Shard<K, V, LANES> {
        let count = self.shards.len();
        &mut Arc::make_mut(&mut self.shards)[shard(hash, count)]
    }
}

fn shard(hash: u64, count: usize) -> usize {
    (hash >> SHARD_SHIFT) as usize & (count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_gives_back_what_was_put_in() {
        let mut map = CowMap::<_, _, 2>::default();
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
        let mut map = CowMap::<_, _, 2>::default();
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
    fn a_small_map_has_one_shard_and_a_large_one_has_many() {
        let mut map = CowMap::<_, _, 2>::default();
        let shards: Vec<usize> = [800, 801, 1_601, 100_000]
            .into_iter()
            .map(|len| {
                (map.len() as u32..len).for_each(|n| assert_eq!(map.insert(n, ()), None));
                map.shards.len()
            })
            .collect();
        assert_eq!(shards, [1, 2, 4, 128]);
    }

    #[test]
    fn a_change_copies_one_shard() {
        let mut map = CowMap::<_, _, 2>::default();
        (0..10_000_u32).for_each(|n| assert_eq!(map.insert(n, ()), None));
        let before = map.clone();
        map.insert(10_000, ());
        let shared = map.shards.iter().zip(before.shards.iter()).filter(|(a, b)| a.is_shared_with(b)).count();
        assert_eq!(shared, map.shards.len() - 1);
    }
}
