//! A clock that is wrong, told by the bars themselves. One bar dated ahead of its receipt is
//! the feed's error and is refused; a whole feed of them is a local clock that is behind, by
//! up to an hour. A feed that is later than its configured delay has another delay, or the
//! local clock is ahead; nothing is complete then when the clock says so.

use std::collections::{BTreeMap, BTreeSet};

use model::Bar;
use model::time::{HOUR, MINUTE, Millis};

/// How far ahead of its receipt a bar may be dated.
const LIMIT: Millis = 10 * MINUTE;
/// How far ahead a bar may be dated, whatever the whole feed agrees on: a clock that is
/// an hour behind has the wrong zone or summer time; beyond that, the clock of the
/// machine is believed and not the feed.
pub(super) const FURTHEST: Millis = HOUR;
/// So many bars, of more than one frame and none against them, are the whole feed.
const BARS_AGREED: usize = 3;
/// More than this are not kept waiting for agreement.
const MOST_WAITING: usize = 1_000;

/// What came of judging a bar; empty while it is kept waiting.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Good bars, in the order in which they came.
    pub(super) taken: Vec<Bar>,
    /// Bars to refuse.
    pub(super) refused: Vec<Bar>,
    /// The clock turned out to be so far behind.
    pub(super) behind: Option<Millis>,
}

#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// How far the local clock is behind, as the feed has agreed.
    behind: Millis,
    /// Each with the number of its frame.
    waiting: Vec<(u64, Bar)>,
}

impl Ahead {
    /// Judges a bar of a frame by those before it.
    pub(super) fn judge(&mut self, frame: u64, bar: Bar) -> Judged {
        let by = ahead(&bar);
        if by > FURTHEST {
            return Judged { refused: vec![bar], ..Judged::default() };
        }
        if by <= LIMIT {
            self.behind = 0;
        }
        if by - self.behind <= LIMIT {
            return Judged { taken: vec![bar], refused: self.give_up(), behind: None };
        }
        self.waiting.push((frame, bar));
        if let Some(behind) = self.agreement(by) {
            self.behind = behind;
            let agree = |bar: &Bar| (0..=LIMIT).contains(&(ahead(bar) - behind));
            let (taken, refused) = self.give_up().into_iter().partition(agree);
            return Judged { taken, refused, behind: Some(behind) };
        }
        let refused = if self.waiting.len() > MOST_WAITING { self.give_up() } else { Vec::new() };
        Judged { refused, ..Judged::default() }
    }

    /// The bars that still wait: nothing will come that agrees with them.
    pub(super) fn give_up(&mut self) -> Vec<Bar> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, bar)| bar).collect()
    }

    /// By how much the waiting bars agree that they are ahead, if enough do: as
    /// the last one, which is ahead `by` so much, or nearly.
    fn agreement(&self, by: Millis) -> Option<Millis> {
        let agree: Vec<_> =
            self.waiting.iter().filter(|(_, bar)| ahead(bar).abs_diff(by) <= LIMIT as u64 / 2).collect();
        let different: BTreeSet<_> =
            agree.iter().map(|(_, bar)| (&bar.symbol, bar.start_timestamp)).collect();
        let frames: BTreeSet<_> = agree.iter().map(|(frame, _)| frame).collect();
        let least = agree.iter().map(|(_, bar)| ahead(bar)).min()?;
        (different.len() >= BARS_AGREED && frames.len() > 1).then_some(least)
    }
}

fn ahead(bar: &Bar) -> Millis {
    bar.start_timestamp.saturating_sub(bar.received_timestamp)
}

/// Later than this, a bar's first version is out of the ordinary …
const ORDINARY: Millis = 3 * MINUTE;
/// … and all bars of so many minutes in a row are no chance.
const MINUTES_AGREED: usize = 3;
/// Event time is held back by no more than this, however late a feed makes itself out to
/// be: a clock that is an hour ahead has the wrong zone, and no feed is so much later.
const MOST_LATE: Millis = 2 * HOUR;

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
        while self.minutes.len() > MINUTES_AGREED {
            self.minutes.pop_first();
        }
        let least = self.minutes.values().copied().min()?;
        let found = match least > ORDINARY {
            // One bar in time is enough to know better.
            false => 0,
            true if self.minutes.len() == MINUTES_AGREED => least.min(MOST_LATE),
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

    const FAR: Millis = 50 * MINUTE;

    fn bar(symbol: &str, start: Millis) -> Bar {
        Bar {
            symbol: symbol.into(),
            start_timestamp: start,
            received_timestamp: 0,
            ..model::heartbeat::bar(0, 0)
        }
    }

    fn symbols(bars: &[Bar]) -> Vec<&str> {
        bars.iter().map(|bar| bar.symbol.as_str()).collect()
    }

    #[test]
    fn one_bar_from_the_future_is_refused_by_the_next_good_one() {
        let mut ahead = Ahead::default();
        assert!(ahead.judge(1, bar("FAR", FAR)).taken.is_empty());
        let judged = ahead.judge(2, bar("AAPL", -MINUTE));
        assert_eq!((symbols(&judged.taken), symbols(&judged.refused)), (vec!["AAPL"], vec!["FAR"]));
        assert!(ahead.judge(3, bar("EDGE", LIMIT)).refused.is_empty());
    }

    #[test]
    fn where_the_whole_feed_agrees_the_clock_is_behind_and_nothing_is_lost() {
        let mut ahead = Ahead::default();
        ahead.judge(1, bar("A", FAR));
        ahead.judge(1, bar("B", FAR));
        ahead.judge(2, bar("NEAR", 20 * MINUTE));
        let judged = ahead.judge(3, bar("C", FAR + MINUTE));
        assert_eq!((symbols(&judged.taken), judged.behind), (vec!["A", "B", "C"], Some(FAR)));
        assert_eq!(symbols(&judged.refused), ["NEAR"]);
        assert_eq!(symbols(&ahead.judge(4, bar("D", FAR)).taken), ["D"]);
    }

    #[test]
    fn one_frame_alone_agrees_on_nothing_however_many_bars_it_holds() {
        let mut ahead = Ahead::default();
        for minute in 0..9 {
            assert!(ahead.judge(1, bar("A", FAR - minute * MINUTE / 9)).taken.is_empty());
        }
        assert_eq!(ahead.judge(2, bar("B", FAR)).taken.len(), 10);
    }

    #[test]
    fn further_than_an_hour_nothing_is_believed_whatever_the_feed_agrees_on() {
        let mut ahead = Ahead::default();
        for frame in 0..9 {
            for symbol in ["A", "B", "C"] {
                let judged = ahead.judge(frame, bar(symbol, FURTHEST + 1));
                assert!(judged.taken.is_empty() && judged.refused.len() == 1);
            }
        }
        for symbol in ["A", "B", "C"] {
            ahead.judge(9, bar(symbol, FURTHEST));
        }
        assert_eq!(ahead.judge(10, bar("A", FURTHEST)).taken.len(), 4);
    }

    #[test]
    fn bars_that_are_ahead_each_by_something_else_agree_on_nothing() {
        let mut ahead = Ahead::default();
        for frame in 1..=3 {
            let minute = 12 * frame as Millis * MINUTE;
            assert!(ahead.judge(frame, bar("A", minute)).taken.is_empty());
        }
        for frame in 4..7 {
            assert!(ahead.judge(frame, bar("A", FAR)).taken.is_empty());
        }
        assert_eq!(ahead.give_up().len(), 6);
    }

    #[test]
    fn once_the_clock_is_right_again_the_limit_is_as_before() {
        let mut ahead = Ahead::default();
        for (frame, symbol) in (0..).zip(["A", "B", "C"]) {
            ahead.judge(frame, bar(symbol, FAR));
        }
        ahead.judge(4, bar("A", 0));
        assert!(ahead.judge(5, bar("B", FAR)).taken.is_empty());
    }

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
        assert_eq!(found, Some(MOST_LATE));
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
