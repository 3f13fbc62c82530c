//! How far the database has been seen to be: what it says afterwards shows whether it is still the same one.

use crate::revision::Head;

/// The highest head that was seen under one epoch.
#[derive(Debug, Default)]
pub(super) struct Seen(Option<Head>);

/// What a head tells about the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It went on, or nothing was seen before.
    Same,
    /// It is under another epoch.
    Another,
    /// It was further before: it was restored from a backup.
    Restored,
}

// === impl Seen ===

impl Seen {
    /// Looks at a head. What was read so far may lie below one that was only seen: of a database that is restored while it
    /// is loaded, pages before and after would be of two histories.
    pub(super) fn look(&mut self, head: Head) -> Sight {
        match self.0 {
            Some(seen) if seen.epoch != head.epoch => Sight::Another,
            Some(seen) if seen.revision > head.revision => Sight::Restored,
            _ => {
                self.0 = Some(head);
                Sight::Same
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::{Epoch, Revision};

    #[test]
    fn a_head_below_one_that_was_seen_is_of_a_database_that_was_restored() {
        let epoch = Epoch::fresh();
        let mut seen = Seen::default();
        let mut look = |revision| seen.look(Head { epoch, revision: Revision::new(revision) });
        assert_eq!([3, 3, 9].map(&mut look), [Sight::Same; 3]);
        assert_eq!([8, 0].map(&mut look), [Sight::Restored; 2]);
        assert_eq!(look(9), Sight::Same, "what was seen is not forgotten");
    }

    #[test]
    fn another_epoch_is_another_database_however_far_it_is() {
        let mut seen = Seen::default();
        let head = |revision| Head { epoch: Epoch::fresh(), revision: Revision::new(revision) };
        assert_eq!(seen.look(head(5)), Sight::Same);
        assert_eq!([4, 5, 6].map(|revision| seen.look(head(revision))), [Sight::Another; 3]);
    }
}
