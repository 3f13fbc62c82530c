//! A small hash table with open addressing, laid out in lines of the processor's cache: keys and values lie side by side,
//! and a search begins where a line does, so that a lookup in a map that no cache holds waits for memory about once.

use std::borrow::Borrow;
use std::sync::Arc;

/// At most 7 of 10 places are taken: a search seldom leaves its first line, and always meets a free place.
const MAX_LOAD_TENTHS: usize = 7;

/// Copied when it is first changed after a clone.
pub(super) struct Shard<K, V, const LANES: usize> {
    /// An entry lies in its home line, or in the first place after it that was free.
    lines: Arc<[Line<K, V, LANES>]>,
    taken: usize,
}

/// As many entries as one cache line holds, or several when they are larger.
#[derive(Clone)]
#[repr(align(64))]
struct Line<K, V, const LANES: usize>([Option<(K, V)>; LANES]);

impl<K, V, const LANES: usize> Default for Shard<K, V, LANES> {
    fn default() -> Self {
        Self { lines: Arc::new([]), taken: 0 }
    }
}

impl<K, V, const LANES: usize> Clone for Shard<K, V, LANES> {
    fn clone(&self) -> Self {
        Self { lines: Arc::clone(&self.lines), taken: self.taken }
    }
}

impl<K, V, const LANES: usize> Shard<K, V, LANES> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.lines.iter().flat_map(|line| line.0.iter().flatten())
    }
}

impl<K: Eq + Clone, V: Clone, const LANES: usize> Shard<K, V, LANES> {
    /// With room for so many entries.
    pub(super) fn with_room(entries: usize) -> Self {
        Self { lines: empty((entries * 10).div_ceil(LANES * MAX_LOAD_TENTHS)), taken: 0 }
    }

    #[inline]
    pub(super) fn get<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let mut line = home(hash, self.lines.len());
        // An empty shard has no line at all; any other has a free place, where every search ends.
        while let Some(Line(places)) = self.lines.get(line) {
            for place in places {
                let (other, value) = place.as_ref()?;
                if other.borrow() == key {
                    return Some(value);
                }
            }
            line = after(line, self.lines.len());
        }
        None
    }

    pub(super) fn get_mut<Q: Eq + ?Sized>(&mut self, hash: u64, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(hash, key)?;
        let (_, value) = at_mut(Arc::make_mut(&mut self.lines), place).as_mut()?;
        Some(value)
    }

    /// The key must not be there.
    pub(super) fn add(&mut self, hash: u64, key: K, value: V, hash_of: impl Fn(&K) -> u64) {
        if (self.taken + 1) * 10 > self.places() * MAX_LOAD_TENTHS {
            self.grow(hash_of);
        }
        put(Arc::make_mut(&mut self.lines), hash, (key, value));
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
        let count = self.places();
        let lines = Arc::make_mut(&mut self.lines);
        let (_, value) = at_mut(lines, gap).take()?;
        self.taken -= 1;
        // Whatever was pushed past the gap moves back into it, so that no search ends early.
        let distance = |from: usize, to: usize| (to + count - from) % count;
        let mut place = after(gap, count);
        while let Some((key, _)) = at_mut(lines, place) {
            let home = home(hash_of(key), lines.len()) * LANES;
            if distance(home, place) >= distance(gap, place) {
                *at_mut(lines, gap) = at_mut(lines, place).take();
                gap = place;
            }
            place = after(place, count);
        }
        Some(value)
    }

    fn find<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        if self.taken == 0 {
            return None;
        }
        let mut place = home(hash, self.lines.len()) * LANES;
        while let Some((other, _)) = &self.lines[place / LANES].0[place % LANES] {
            if other.borrow() == key {
                return Some(place);
            }
            place = after(place, self.places());
        }
        None
    }

    fn places(&self) -> usize {
        self.lines.len() * LANES
    }

    /// By half: twice would leave more places empty.
    fn grow(&mut self, hash_of: impl Fn(&K) -> u64) {
        let count = self.lines.len() + (self.lines.len() / 2).max(1);
        let mut lines = empty(count);
        let new = Arc::make_mut(&mut lines);
        for entry in self.iter() {
            put(new, hash_of(&entry.0), entry.clone());
        }
        self.lines = lines;
    }

    #[cfg(test)]
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.lines, &other.lines)
    }
}

fn empty<K, V, const LANES: usize>(lines: usize) -> Arc<[Line<K, V, LANES>]> {
    (0..lines).map(|_| Line([const { None }; LANES])).collect()
}

fn put<K, V, const LANES: usize>(lines: &mut [Line<K, V, LANES>], hash: u64, entry: (K, V)) {
    let count = lines.len() * LANES;
    let mut place = home(hash, lines.len()) * LANES;
    while at_mut(lines, place).is_some() {
        place = after(place, count);
    }
    *at_mut(lines, place) = Some(entry);
}

fn at_mut<K, V, const LANES: usize>(lines: &mut [Line<K, V, LANES>], place: usize) -> &mut Option<(K, V)> {
    &mut lines[place / LANES].0[place % LANES]
}

/// Scales the lower half of the hash to the number of lines, which needs no power of two.
fn home(hash: u64, lines: usize) -> usize {
    (((hash & u64::from(u32::MAX)) * lines as u64) >> 32) as usize
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

    fn entries_with_one_home_are_all_found_in<const LANES: usize>() {
        let mut shard = Shard::<u32, u32, LANES>::default();
        (0..50).for_each(|n| shard.add(crowded(&n), n, n * 2, crowded));
        assert!((0..50).all(|n| shard.get(crowded(&n), &n) == Some(&(n * 2))));
        assert_eq!(shard.get(crowded(&50), &50), None);
    }

    fn a_removal_hides_nothing_in<const LANES: usize>() {
        for step in [7, 11, 13] {
            let mut shard = Shard::<u32, u32, LANES>::default();
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
    fn entries_with_one_home_are_all_found() {
        entries_with_one_home_are_all_found_in::<1>();
        entries_with_one_home_are_all_found_in::<2>();
        entries_with_one_home_are_all_found_in::<3>();
    }

    #[test]
    fn a_removal_hides_nothing_that_was_pushed_past_it() {
        a_removal_hides_nothing_in::<1>();
        a_removal_hides_nothing_in::<2>();
        a_removal_hides_nothing_in::<3>();
    }

    #[test]
    fn an_empty_shard_finds_nothing() {
        assert_eq!(Shard::<u32, u32, 2>::default().get(0, &1), None);
    }
}
