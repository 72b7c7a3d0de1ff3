//! Bars dated ahead of their receipt: one is the feed's error and is refused,
//! a whole feed of them is ours, a clock that is behind.

use std::collections::BTreeSet;

use wire::Bar;
use wire::time::{MINUTE, Millis};

/// How far ahead of its receipt a bar may be dated.
const LIMIT: Millis = 10 * MINUTE;
/// So many bars, and none against them, are the whole feed.
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
    waiting: Vec<Bar>,
}

impl Ahead {
    /// Judges a bar by those before it.
    pub(super) fn judge(&mut self, bar: Bar) -> Judged {
        let by = ahead(&bar);
        if by <= LIMIT {
            self.behind = 0;
        }
        if by - self.behind <= LIMIT {
            return Judged { taken: vec![bar], refused: self.give_up(), behind: None };
        }
        self.waiting.push(bar);
        if let Some(behind) = self.agreement(by) {
            self.behind = behind;
            let agree = |bar: &Bar| (0..=LIMIT).contains(&(ahead(bar) - behind));
            let (taken, refused) = std::mem::take(&mut self.waiting).into_iter().partition(agree);
            return Judged { taken, refused, behind: Some(behind) };
        }
        let refused = if self.waiting.len() > MOST { self.give_up() } else { Vec::new() };
        Judged { refused, ..Judged::default() }
    }

    /// The bars that still wait: nothing will come that agrees with them.
    pub(super) fn give_up(&mut self) -> Vec<Bar> {
        std::mem::take(&mut self.waiting)
    }

    /// By how much the waiting bars agree that they are ahead, if enough do: as
    /// the last one, which is ahead `by` so much, or nearly.
    fn agreement(&self, by: Millis) -> Option<Millis> {
        let agree: Vec<_> =
            self.waiting.iter().filter(|bar| ahead(bar).abs_diff(by) <= LIMIT as u64 / 2).collect();
        let different: BTreeSet<_> = agree.iter().map(|bar| (&bar.symbol, bar.start_timestamp)).collect();
        let least = agree.iter().map(|bar| ahead(bar)).min()?;
        (different.len() >= AGREED).then_some(least)
    }
}

fn ahead(bar: &Bar) -> Millis {
    bar.start_timestamp.saturating_sub(bar.received_timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::time::HOUR;

    fn bar(symbol: &str, start: Millis) -> Bar {
        Bar { symbol: symbol.into(), start_timestamp: start, received_timestamp: 0, ..wire::clock::bar(0, 0) }
    }

    fn symbols(bars: &[Bar]) -> Vec<&str> {
        bars.iter().map(|bar| bar.symbol.as_str()).collect()
    }

    #[test]
    fn one_bar_from_the_future_is_refused_by_the_next_good_one() {
        let mut ahead = Ahead::default();
        assert!(ahead.judge(bar("FAR", 99 * 365 * 24 * HOUR)).taken.is_empty());
        let judged = ahead.judge(bar("AAPL", -MINUTE));
        assert_eq!((symbols(&judged.taken), symbols(&judged.refused)), (vec!["AAPL"], vec!["FAR"]));
        assert!(ahead.judge(bar("EDGE", LIMIT)).refused.is_empty());
    }

    #[test]
    fn where_the_whole_feed_agrees_the_clock_is_behind_and_nothing_is_lost() {
        let mut ahead = Ahead::default();
        ahead.judge(bar("A", HOUR));
        ahead.judge(bar("B", HOUR));
        ahead.judge(bar("FAR", 99 * HOUR));
        let judged = ahead.judge(bar("C", HOUR + MINUTE));
        assert_eq!((symbols(&judged.taken), judged.behind), (vec!["A", "B", "C"], Some(HOUR)));
        assert_eq!(symbols(&judged.refused), ["FAR"]);
        assert_eq!(symbols(&ahead.judge(bar("D", HOUR)).taken), ["D"]);
        assert!(ahead.judge(bar("FAR", 99 * HOUR)).taken.is_empty());
        assert_eq!(symbols(&ahead.judge(bar("E", HOUR)).refused), ["FAR"]);
    }

    #[test]
    fn bars_that_are_ahead_each_by_something_else_agree_on_nothing() {
        let mut ahead = Ahead::default();
        for hour in 1..=3 {
            assert!(ahead.judge(bar("A", hour * HOUR)).taken.is_empty());
        }
        for _ in 0..3 {
            assert!(ahead.judge(bar("A", HOUR)).taken.is_empty());
        }
        assert_eq!(ahead.give_up().len(), 6);
    }

    #[test]
    fn once_the_clock_is_right_again_the_limit_is_as_before() {
        let mut ahead = Ahead::default();
        for symbol in ["A", "B", "C"] {
            ahead.judge(bar(symbol, HOUR));
        }
        ahead.judge(bar("A", 0));
        assert!(ahead.judge(bar("B", HOUR)).taken.is_empty());
    }
}
