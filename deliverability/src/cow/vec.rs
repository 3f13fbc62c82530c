//! A growing vector in pages, each copied when it is first changed after a clone.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// Elements of one page: small, so that one change copies little; large beside the pointer to it.
const PAGE: usize = 64;

/// A vector that is cheap to clone and is indexed by the numbers that [`CowVec::push`] gave.
#[derive(Clone)]
pub(crate) struct CowVec<T> {
    pages: Arc<Vec<Arc<[T; PAGE]>>>,
    len: u32,
}

impl<T> Default for CowVec<T> {
    fn default() -> Self {
        Self { pages: Arc::default(), len: 0 }
    }
}

impl<T> CowVec<T> {
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        (index < self.len).then(|| &self[index])
    }
}

impl<T: Default + Clone> CowVec<T> {
    /// The element at an index, with default ones up to there where there were none.
    pub(crate) fn grow_to(&mut self, index: u32) -> &mut T {
        while self.len <= index {
            self.push(T::default());
        }
        &mut self[index]
    }

    /// Gives the element's index.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        let index = self.len;
        self.len = index.checked_add(1).expect("memory ends before 2^32 elements");
        if (index as usize).is_multiple_of(PAGE) {
            Arc::make_mut(&mut self.pages).push(Arc::new(std::array::from_fn(|_| T::default())));
        }
        self[index] = value;
        index
    }
}

impl<T> Index<u32> for CowVec<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        &self.pages[index as usize / PAGE][index as usize % PAGE]
    }
}

impl<T: Clone> IndexMut<u32> for CowVec<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        let page = &mut Arc::make_mut(&mut self.pages)[index as usize / PAGE];
        &mut Arc::make_mut(page)[index as usize % PAGE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_stays_where_it_was_pushed() {
        let mut vec = CowVec::default();
        let indexes: Vec<u32> = (0..1_000_u32).map(|n| vec.push(n * 3)).collect();
        assert!(indexes.iter().all(|index| vec[*index] == index * 3));
    }

    #[test]
    fn a_clone_keeps_what_it_was_and_shares_the_rest() {
        let mut vec = CowVec::default();
        (0..1_000_u32).for_each(|n| assert_eq!(vec.push(n), n));
        let before = vec.clone();
        vec[500] = 0;
        assert_eq!((before[500], vec[500]), (500, 0));
        let shared = vec.pages.iter().zip(before.pages.iter()).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, vec.pages.len() - 1);
    }
}
