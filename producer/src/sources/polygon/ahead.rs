//! Bars dated ahead of their receipt: one is the feed's error and is refused,
//! a whole feed of them is ours, a clock that is behind by up to an hour.

use std::collections::BTreeSet;

use model::Bar;
use model::time::{HOUR, MINUTE, Millis};

/// How far ahead of its receipt a bar may be dated.
const LIMIT: Millis = 10 * MINUTE;
/// How far ahead a bar may be dated, whatever the whole feed agrees on: a clock that is
/// an hour behind has the wrong zone or summer time; beyond that, the clock of the
/// machine is believed and not the feed.
pub(super) const FURTHEST: Millis = HOUR;
/// So many bars, of more than one frame and none against them, are the whole feed.
const AGREED: usize = 3;
/// More than this are not kept waiting for agreement.
const MOST: usize = 1_000;

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
        let refused = if self.waiting.len() > MOST { self.give_up() } else { Vec::new() };
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
        (different.len() >= AGREED && frames.len() > 1).then_some(least)
    }
}

fn ahead(bar: &Bar) -> Millis {
    bar.start_timestamp.saturating_sub(bar.received_timestamp)
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
}
