//! Small numbers for values that many objects share, given back when nothing uses them.

use std::hash::Hash;
use std::sync::Arc;

use crate::cow::{CowMap, CowVec};

/// A value's number; counts its users.
#[derive(Clone)]
pub(super) struct Interner<T> {
    numbers: CowMap<T, u32, 2>,
    values: CowVec<Interned<T>>,
    /// Numbers without a value.
    free: Arc<Vec<u32>>,
    /// Numbers that lost their last user since the last sweep; some have found one again.
    idle: Vec<u32>,
}

#[derive(Clone)]
struct Interned<T> {
    value: Option<T>,
    uses: u32,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { numbers: CowMap::default(), values: CowVec::default(), free: Arc::default(), idle: Vec::new() }
    }
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { value: None, uses: 0 }
    }
}

impl<T: Hash + Eq + Clone> Interner<T> {
    /// The value's number, and whether it is new.
    pub(super) fn acquire(&mut self, value: &T) -> (u32, bool) {
        if let Some(number) = self.number(value) {
            self.values[number].uses += 1;
            return (number, false);
        }
        let interned = Interned { value: Some(value.clone()), uses: 1 };
        let number = if self.free.is_empty() {
            self.values.push(interned)
        } else {
            let number = Arc::make_mut(&mut self.free).pop().expect("not empty");
            self.values[number] = interned;
            number
        };
        self.numbers.insert(value.clone(), number);
        (number, true)
    }

    /// Takes back one `acquire`. The value keeps its number until the next sweep.
    pub(super) fn release(&mut self, number: u32) {
        let interned = &mut self.values[number];
        interned.uses -= 1;
        if interned.uses == 0 {
            self.idle.push(number);
        }
    }

    pub(super) fn number(&self, value: &T) -> Option<u32> {
        self.numbers.get(value).copied()
    }

    pub(super) fn value(&self, number: u32) -> Option<&T> {
        self.values[number].value.as_ref()
    }

    /// Frees the numbers that nothing uses, and says which they were, and of what.
    pub(super) fn sweep(&mut self) -> Vec<(u32, T)> {
        let mut freed = Vec::new();
        for number in std::mem::take(&mut self.idle) {
            if self.values[number].uses == 0
                && let Some(value) = self.values[number].value.take()
            {
                self.numbers.remove(&value);
                freed.push((number, value));
            }
        }
        if !freed.is_empty() {
            Arc::make_mut(&mut self.free).extend(freed.iter().map(|(number, _)| number));
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_number() {
        let mut interner = Interner::default();
        assert_eq!(interner.acquire(&"eu"), (0, true));
        assert_eq!(interner.acquire(&"remote"), (1, true));
        assert_eq!(interner.acquire(&"eu"), (0, false));
        assert_eq!(interner.value(1), Some(&"remote"));
    }

    #[test]
    fn a_number_is_given_back_at_the_sweep_after_its_last_use() {
        let mut interner = Interner::default();
        interner.acquire(&"eu");
        interner.acquire(&"eu");
        interner.release(0);
        assert!(interner.sweep().is_empty());
        interner.release(0);
        assert_eq!(interner.sweep(), [(0, "eu")]);
        assert_eq!(interner.acquire(&"remote"), (0, true));
    }

    #[test]
    fn a_value_used_again_before_the_sweep_keeps_its_number() {
        let mut interner = Interner::default();
        for _ in 0..3 {
            interner.acquire(&"eu");
            interner.release(0);
        }
        interner.acquire(&"eu");
        assert!(interner.sweep().is_empty());
        assert_eq!(interner.value(0), Some(&"eu"));
    }
}
