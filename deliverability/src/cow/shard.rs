//! A small hash table with open addressing: keys and values lie side by side in one allocation, so that a lookup in a
//! map that no cache holds waits for memory about once, where a table with separate control bytes waits twice or more.

use std::borrow::Borrow;
use std::sync::Arc;

/// At most 7 of 10 places are taken: the average search looks at two, and always meets a free one.
const MAX_LOAD_TENTHS: usize = 7;
/// Places of the smallest table.
const MIN_PLACES: usize = 4;

/// Copied when it is first changed after a clone.
pub(super) struct Shard<K, V> {
    /// An entry lies at its home, or in the first place after it that was free.
    places: Arc<[Place<K, V>]>,
    taken: usize,
}

type Place<K, V> = Option<(K, V)>;

impl<K, V> Default for Shard<K, V> {
    fn default() -> Self {
        Self { places: Arc::new([]), taken: 0 }
    }
}

impl<K, V> Clone for Shard<K, V> {
    fn clone(&self) -> Self {
        Self { places: Arc::clone(&self.places), taken: self.taken }
    }
}

impl<K: Eq + Clone, V: Clone> Shard<K, V> {
    #[inline]
    pub(super) fn get<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (_, value) = self.places[self.find(hash, key)?].as_ref()?;
        Some(value)
    }

    pub(super) fn get_mut<Q: Eq + ?Sized>(&mut self, hash: u64, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(hash, key)?;
        let (_, value) = Arc::make_mut(&mut self.places)[place].as_mut()?;
        Some(value)
    }

    /// The key must not be there.
    pub(super) fn add(&mut self, hash: u64, key: K, value: V, hash_of: impl Fn(&K) -> u64) {
        if (self.taken + 1) * 10 > self.places.len() * MAX_LOAD_TENTHS {
            self.grow(hash_of);
        }
        put(Arc::make_mut(&mut self.places), hash, (key, value));
        self.taken += 1;
    }

    pub(super) fn remove<Q: Eq + ?Sized>(
        &mut self,
        hash: u64,
        key: &Q,
        hash_of: impl Fn(&K) -> u64,
    ) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let mut gap = self.find(hash, key)?;
        let places = Arc::make_mut(&mut self.places);
        let (_, value) = places[gap].take()?;
        self.taken -= 1;
        // Whatever was pushed past the gap moves back into it, so that no search ends early.
        let count = places.len();
        let distance = |from: usize, to: usize| (to + count - from) % count;
        let mut place = after(gap, count);
        while let Some((key, _)) = &places[place] {
            if distance(home(hash_of(key), count), place) >= distance(gap, place) {
                places.swap(gap, place);
                gap = place;
            }
            place = after(place, count);
        }
        Some(value)
    }

    #[inline]
    fn find<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        if self.taken == 0 {
            return None;
        }
        let mut place = home(hash, self.places.len());
        while let Some((other, _)) = &self.places[place] {
            if other.borrow() == key {
                return Some(place);
            }
            place = after(place, self.places.len());
        }
        None
    }

    /// By half: twice would leave more places empty.
    fn grow(&mut self, hash_of: impl Fn(&K) -> u64) {
        let count = (self.places.len() + self.places.len() / 2).max(MIN_PLACES);
        let mut places: Arc<[Place<K, V>]> = (0..count).map(|_| None).collect();
        let new = Arc::make_mut(&mut places);
        for entry in self.places.iter().flatten() {
            put(new, hash_of(&entry.0), entry.clone());
        }
        self.places = places;
    }

    #[cfg(test)]
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.places, &other.places)
    }
}

fn put<K, V>(places: &mut [Place<K, V>], hash: u64, entry: (K, V)) {
    let mut place = home(hash, places.len());
    while places[place].is_some() {
        place = after(place, places.len());
    }
    places[place] = Some(entry);
}

/// Scales the lower half of the hash to the number of places, which needs no power of two.
fn home(hash: u64, count: usize) -> usize {
    (((hash & u64::from(u32::MAX)) * count as u64) >> 32) as usize
}

fn after(place: usize, count: usize) -> usize {
    if place + 1 == count { 0 } else { place + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few homes, some at the end, so that entries collide and wrap around.
    fn crowded(n: &u32) -> u64 {
        u64::from(n % 3) * 0x7fff_ffff
    }

    #[test]
    fn entries_with_one_home_are_all_found() {
        let mut shard = Shard::default();
        (0..50).for_each(|n| shard.add(crowded(&n), n, n * 2, crowded));
        assert!((0..50).all(|n| shard.get(crowded(&n), &n) == Some(&(n * 2))));
        assert_eq!(shard.get(crowded(&50), &50), None);
    }

    #[test]
    fn a_removal_hides_nothing_that_was_pushed_past_it() {
        for step in [7, 11, 13] {
            let mut shard = Shard::default();
            (0..50).for_each(|n| shard.add(crowded(&n), n, n, crowded));
            let mut left: Vec<u32> = (0..50).collect();
            for removed in (0..50).map(|n| n * step % 50) {
                assert_eq!(shard.remove(crowded(&removed), &removed, crowded), Some(removed));
                left.retain(|n| *n != removed);
                assert!(
                    (0..50).all(|n| shard.get(crowded(&n), &n).is_some() == left.contains(&n)),
                    "{removed}"
                );
            }
        }
    }

    #[test]
    fn an_empty_shard_finds_nothing() {
        assert_eq!(Shard::<u32, u32>::default().get(0, &1), None);
    }
}
