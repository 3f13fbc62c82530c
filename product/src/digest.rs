//! A digest of the catalogue as a process has read it: the same objects give the same digest, in whatever order they came.
//!
//! Processes that follow one database show theirs beside their revision, so that an operator can see that they agree. It
//! finds what was missed or read wrong; it is no proof against somebody who means to deceive.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use uuid::Uuid;

use crate::store::{Cursor, Kind};

/// A double holds 53; 48 are 12 digits in hex, and two catalogues that differ agree in them once in 10^14 times.
const FIGURE_BITS: u32 = 48;

/// Stands for all objects of a catalogue. Comparable among processes of one release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u64);

/// The digest of a catalogue that changes: the sum of its objects' fingerprints, of which each is remembered so that it can
/// be taken out again. 29 to 57 bytes an object, 86 while a table grows.
#[derive(Debug, Default)]
pub struct Digesting {
    products: Fingerprints,
    locations: Fingerprints,
    rules: Fingerprints,
    sum: u64,
}

type Fingerprints = HashMap<Uuid, u64, RandomState>;

// === impl Digest ===

impl Digest {
    /// As a figure for metrics, which are doubles: as much of it as is exact in one.
    #[must_use]
    pub fn figure(self) -> u64 {
        self.0 & ((1 << FIGURE_BITS) - 1)
    }
}

// === impl Digesting ===

impl Digesting {
    /// Puts an object in the place of the one with its id.
    pub fn put(&mut self, cursor: Cursor, fingerprint: u64) {
        let (kind, id) = cursor.object();
        let objects = match kind {
            Kind::Product => &mut self.products,
            Kind::Location => &mut self.locations,
            Kind::Rule => &mut self.rules,
        };
        let before = objects.insert(id, fingerprint).unwrap_or(0);
        self.sum = self.sum.wrapping_sub(before).wrapping_add(fingerprint);
    }

    /// Of all objects as they are now.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(self.sum)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [Kind; 3] = [Kind::Product, Kind::Location, Kind::Rule];

    fn put(digesting: &mut Digesting, kind: usize, id: u128, fingerprint: u64) {
        digesting.put(Cursor::of(KINDS[kind], Uuid::from_u128(id)), fingerprint);
    }

    proptest! {
        #[test]
        fn the_same_objects_give_the_same_digest_whatever_they_were_before_and_in_any_order(
            changes in prop::collection::vec((0..3_usize, 0..4_u128, any::<u64>()), 0..40),
        ) {
            let (mut followed, mut last) = (Digesting::default(), HashMap::new());
            for (kind, id, fingerprint) in changes {
                put(&mut followed, kind, id, fingerprint);
                last.insert((kind, id), fingerprint);
            }
            let mut loaded = Digesting::default();
            last.into_iter().for_each(|((kind, id), fingerprint)| put(&mut loaded, kind, id, fingerprint));
            prop_assert_eq!(followed.digest(), loaded.digest());
        }
    }

    #[test]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the point"
    )]
    fn the_figure_of_a_digest_is_exact_in_a_double() {
        for digest in [Digest(u64::MAX), Digest(0x0123_4567_89ab_cdef)] {
            assert_eq!(digest.figure() as f64 as u64, digest.figure());
        }
        assert_eq!(Digest(0x0123_4567_89ab_cdef).figure(), 0x4567_89ab_cdef);
    }

    #[test]
    fn one_object_more_or_another_one_is_another_digest() {
        let mut digesting = Digesting::default();
        let mut seen = vec![digesting.digest()];
        for (kind, id, fingerprint) in [(0, 1, 7), (1, 1, 8), (0, 1, 9), (2, 2, 7)] {
            put(&mut digesting, kind, id, fingerprint);
            assert!(!seen.contains(&digesting.digest()), "{seen:?}");
            seen.push(digesting.digest());
        }
        assert_eq!(seen[0].figure(), 0, "of no objects");
    }
}
