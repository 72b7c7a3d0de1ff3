//! A feed that is later than its configured delay: then that is wrong, or this
//! machine's clock is ahead, and nothing is complete when the clock says so.

use std::collections::BTreeMap;

use model::time::{HOUR, MINUTE, Millis};

/// Later than this, a bar's first version is out of the ordinary …
const ORDINARY: Millis = 3 * MINUTE;
/// … and all bars of so many minutes in a row are no chance.
const AGREED: usize = 3;
/// Event time is held back by no more than this, however late a feed makes itself out to
/// be: a clock that is an hour ahead has the wrong zone, and no feed is so much later.
const MOST: Millis = 2 * HOUR;

#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// The least lateness of each of the last minutes.
    minutes: BTreeMap<Millis, Millis>,
    /// How much later than it ought to be the feed has turned out to be.
    found: Millis,
}

impl Lateness {
    /// The first version of the bar that started at `start` came `late` after its
    /// end and the feed's delay. Returns what the feed's lateness has changed to.
    pub(super) fn note(&mut self, start: Millis, late: Millis) -> Option<Millis> {
        let least = self.minutes.entry(start).or_insert(late);
        *least = late.min(*least);
        while self.minutes.len() > AGREED {
            self.minutes.pop_first();
        }
        let least = self.minutes.values().copied().min()?;
        let found = match least > ORDINARY {
            // One bar in time is enough to know better.
            false => 0,
            true if self.minutes.len() == AGREED => least.min(MOST),
            true => return None,
        };
        let changed = found.abs_diff(self.found) >= MINUTE as u64;
        changed.then(|| {
            self.found = found;
            found
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_that_is_late_minute_after_minute_is_found_out_and_believed_again() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.note(0, HOUR), None);
        assert_eq!(lateness.note(0, HOUR + 5), None);
        assert_eq!(lateness.note(MINUTE, HOUR + 1), None);
        assert_eq!(lateness.note(2 * MINUTE, HOUR + 2), Some(HOUR));
        assert_eq!(lateness.note(3 * MINUTE, HOUR + 2), None);
        assert_eq!(lateness.note(4 * MINUTE, 2_000), Some(0));
    }

    #[test]
    fn a_feed_that_makes_itself_out_to_be_years_late_holds_time_back_by_hours_at_most() {
        let mut lateness = Lateness::default();
        let found = (0..3).filter_map(|minute| lateness.note(minute * MINUTE, 9_999 * HOUR)).last();
        assert_eq!(found, Some(MOST));
    }

    #[test]
    fn a_late_bar_among_others_that_are_in_time_is_nothing() {
        let mut lateness = Lateness::default();
        for minute in 0..10 {
            assert_eq!(lateness.note(minute * MINUTE, 2_000), None);
            assert_eq!(lateness.note((minute - 10) * MINUTE, 12 * MINUTE), None);
        }
    }
}
