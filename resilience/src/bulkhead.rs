//! The bulkhead: how many calls may be in flight. There is no queue: one more is refused at once, since a call that waits
//! here spends its deadline on nothing.

use crate::atomic::{AtomicU64, Ordering};

/// See the module. One for all calls of a kind, whatever thread they are on.
#[derive(Debug)]
pub struct Bulkhead {
    capacity: u64,
    in_flight: AtomicU64,
}

/// A call's place, until it is dropped.
#[derive(Debug)]
pub struct Place<'a>(&'a Bulkhead);

// === impl Bulkhead ===

impl Bulkhead {
    /// With room for so many calls.
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        Self { capacity: u64::from(capacity), in_flight: AtomicU64::new(0) }
    }

    /// A place, if there is one.
    pub fn enter(&self) -> Option<Place<'_>> {
        let one_more = |taken: u64| if taken < self.capacity { Some(taken + 1) } else { None };
        let entered = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        entered.ok().map(|_| Place(self))
    }

    /// Calls that have a place now.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Places in all.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }
}

// === impl Place ===

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
