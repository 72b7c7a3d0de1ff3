//! Splits: a price that is divided overnight without anybody having lost anything.

use model::AssetClass;
use model::calendar::Calendar;
use model::time::{DAY, Millis};

use crate::tape::{Print, Tape};

/// A change of price level by a small whole ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// The first price at the new level was known then.
    pub at: Millis,
    /// So many new shares …
    pub new: u32,
    /// … for so many old ones.
    pub old: u32,
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.new, self.old)
    }
}

/// The most new shares for one old one, or old for one new: beyond any split there was.
const MOST: f64 = 10_000.0;
/// The change of price from one close to the next, as a log, from which on it
/// is looked at closely: below that of 3:2. Smaller ratios cannot be told from
/// bad news by the price.
const SUSPICIOUS: f64 = 0.33;
/// How far, as a log, the change may lie from the ratio: the overnight return comes on top.
const OFF: f64 = 0.07;
/// So many closes on each side …
const LEVEL: usize = 3;
/// … must lie as close together as this, as a log: levels, not the sides of a single bad print.
const SPREAD: f64 = 0.1;
/// A split changes the number of shares traded as it changes the price, the other
/// way, and so leaves their worth as it was. News of such size multiplies it, by
/// ten and more; a first day after a split at twice or three times the usual is common.
const WORTH: f64 = 5.0;
/// The worth of a day is compared with that of so many days before.
const DAYS: usize = 5;

/// The splits that a price path shows: consecutive closes of different days whose
/// ratio is near that of a split, with a steady level before and after, and no
/// rise in the worth of what is traded that tells of news.
///
/// A split takes effect before the first trade of a day. A change within a day,
/// however large, is news: a halt, and trading resumes elsewhere. Closes alone
/// are compared, so a bar that straddles the split belongs to the level it ends on.
/// Only stocks are split.
pub(crate) fn find(tape: &Tape) -> Vec<Split> {
    if tape.class() != AssetClass::Stocks {
        return Vec::new();
    }
    let (prints, calendar) = (tape.prints(), tape.calendar());
    let jump = |at: &usize| (prints[*at].close / prints[at - 1].close).ln();
    (1..prints.len())
        .filter(|at| jump(at).abs() > SUSPICIOUS)
        .filter(|&at| calendar.date_of(prints[at - 1].start) < calendar.date_of(prints[at].start))
        .filter_map(|at| {
            let before = level(&prints[at.saturating_sub(LEVEL)..at])?;
            let after = level(&prints[at..(at + LEVEL).min(prints.len())])?;
            let (new, old) = ratio(before - after)?;
            let is_news = rise_in_worth(calendar, prints, at).is_some_and(|rise| rise > WORTH);
            (!is_news).then_some(Split { at: prints[at].known, new, old })
        })
        .collect()
}

/// How many times the worth of what is traded on the day that begins at `at` is
/// that of the days before, at the same time of day; none where nothing was
/// traded then, or no day before is there.
fn rise_in_worth(calendar: Calendar, prints: &[Print], at: usize) -> Option<f64> {
    let clock = |print: &Print| print.start - pre_open_of(calendar, print.start);
    let date = |print: &Print| calendar.date_of(print.start);
    let worth = |prints: &[Print]| prints.iter().map(|print| print.close * print.volume).sum::<f64>();
    let today = date(&prints[at]);
    let end = at + prints[at..].partition_point(|print| date(print) <= today);
    let (from, to) = (clock(&prints[at]), clock(&prints[end - 1]));
    let mut days = Vec::with_capacity(DAYS);
    let mut left = &prints[..at];
    while let Some(last) = left.last()
        && days.len() < DAYS
    {
        let day = left.iter().rposition(|print| date(print) != date(last)).map_or(0, |before| before + 1);
        let same_hours = left[day..].iter().filter(|print| (from..=to).contains(&clock(print)));
        days.push(worth(&same_hours.copied().collect::<Vec<_>>()));
        left = &left[..day];
    }
    days.retain(|worth| *worth > 0.0);
    days.sort_by(f64::total_cmp);
    let usual = *days.get(days.len() / 2)?;
    Some(worth(&prints[at..end]) / usual)
}

/// 04:00 in New York on the date of `at`: the clock is the same, summer and winter.
fn pre_open_of(calendar: Calendar, at: Millis) -> Millis {
    let session = calendar.previous_session(calendar.date_of(at + DAY));
    let days = (calendar.date_of(at) - session.date).num_days();
    session.pre_open + days * DAY
}

/// The log of the price around which these closes lie; none when they lie apart.
fn level(prints: &[Print]) -> Option<f64> {
    let logs = || prints.iter().map(|print| print.close.ln());
    let (low, high) = logs().fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
    (high - low <= SPREAD).then(|| logs().sum::<f64>() / prints.len() as f64)
}

/// New shares for old ones, where the price falls by `fall`, as a log: one of
/// n:1, 3:2, 5:2, 7:2 and 9:2, or of these turned over.
fn ratio(fall: f64) -> Option<(u32, u32)> {
    let times = fall.abs().exp();
    let off = |&(new, old): &(u32, u32)| (fall.abs() - (f64::from(new) / f64::from(old)).ln()).abs();
    let whole = times.round().clamp(2.0, MOST) as u32;
    let candidates = [(whole, 1), (whole + 1, 1), (3, 2), (5, 2), (7, 2), (9, 2)];
    let (new, old) = candidates.into_iter().min_by(|a, b| off(a).total_cmp(&off(b)))?;
    let nearest = if fall < 0.0 { (old, new) } else { (new, old) };
    (off(&(new, old)) <= OFF).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use model::Bar;
    use model::time::{HOUR, MINUTE};

    use super::*;
    use crate::options::Clock;

    /// 2024-03-04 10:00 in New York, a Monday.
    const FIRST: Millis = 1_709_564_400_000;

    /// Bars of (hours since the first, close, volume).
    fn splits_of(bars: &[(i64, f64, f64)]) -> Vec<String> {
        let bar = |&(hour, close, volume): &(i64, f64, f64)| {
            let start_timestamp = FIRST + hour * HOUR;
            let end_timestamp = start_timestamp + MINUTE;
            Bar { close, volume, start_timestamp, end_timestamp, ..model::heartbeat::bar(0, 0) }
        };
        let bars: Vec<Bar> = bars.iter().map(bar).collect();
        let tape = Tape::new(&bars.iter().collect::<Vec<_>>(), Clock::Event);
        let hour = |split: &Split| (split.at - MINUTE - FIRST) / HOUR;
        find(&tape).iter().map(|split| format!("{split} at {}", hour(split))).collect()
    }

    /// One close a day.
    fn splits(closes: &[f64]) -> Vec<String> {
        let bars: Vec<_> = closes.iter().zip(0..).map(|(&close, day)| (day * 24, close, 0.0)).collect();
        splits_of(&bars)
    }

    #[test]
    fn a_steady_level_divided_by_a_small_ratio_is_a_split_either_way() {
        assert_eq!(splits(&[645.56, 645.7, 645.7, 92.42, 92.46, 92.3]), ["7:1 at 72"]);
        assert_eq!(splits(&[30.0, 30.1, 20.4, 20.3]), ["3:2 at 48"]);
        assert_eq!(splits(&[1.0, 1.01, 9.9, 10.0]), ["1:10 at 48"]);
        assert_eq!(splits(&[100.0, 50.0, 50.0, 51.0, 10.3]), ["2:1 at 24", "5:1 at 96"]);
    }

    #[test]
    fn every_whole_ratio_and_the_halves_are_told_either_way_within_seven_percent() {
        let whole = (2..=400).map(|n| (f64::from(n), format!("{n}:1"), format!("1:{n}")));
        let halves = [3, 5, 7, 9].map(|n| (f64::from(n) / 2.0, format!("{n}:2"), format!("2:{n}")));
        for (times, down, up) in whole.chain(halves) {
            assert_eq!(splits(&[100.0, 100.0, 100.0 / times]), [format!("{down} at 48")]);
            assert_eq!(splits(&[1.0, 1.0, times]), [format!("{up} at 48")]);
        }
        for (off, is_one) in [(0.066, true), (-0.066, true), (0.075, false), (-0.075, false)] {
            let after = 50.0 * f64::exp(off);
            assert_eq!(splits(&[100.0, 100.0, after]).len(), usize::from(is_one), "{off}");
        }
    }

    #[test]
    fn a_change_within_one_day_is_none_whatever_its_ratio_and_volume() {
        for after in [150.0, 200.0, 1_000.0, 50.0, 33.3, 10.0] {
            for volume in [0.0, 100.0] {
                let bars = [(0, 100.0, 100.0), (1, 100.0, 100.0), (2, after, volume), (3, after, volume)];
                assert_eq!(splits_of(&bars), [""; 0]);
            }
        }
        // The first trade of the pre-market, the day after a holiday, is another day's.
        let over_good_friday = 24 * 24 - 6;
        let bars =
            [(0, 100.0, 1.0), (23 * 24, 100.0, 1.0), (over_good_friday, 50.0, 1.0), (24 * 24, 50.0, 1.0)];
        assert_eq!(splits_of(&bars), [format!("2:1 at {over_good_friday}")]);
    }

    #[test]
    fn news_overnight_multiplies_the_worth_of_what_is_traded_and_a_split_does_not() {
        let days = |after: f64, volume: f64| {
            let minute = |at: i64| if at < 96 { (at, 100.0, 1_000.0) } else { (at, after, volume) };
            // Other hours of the days before do not count.
            let early = (0..4).map(|day| (day * 24 - 3, 100.0, 1.0));
            let mut bars: Vec<_> =
                (0..5).flat_map(|day| [0, 1, 2].map(|hour| minute(day * 24 + hour))).collect();
            bars.extend(early);
            bars.sort_by_key(|bar| bar.0);
            splits_of(&bars)
        };
        for (after, volume) in
            [(50.0, 2_000.0), (50.0, 6_000.0), (200.0, 500.0), (10.0, 10_000.0), (50.0, 300.0)]
        {
            assert_eq!(days(after, volume).len(), 1, "a split to {after} with {volume}");
        }
        for (after, volume) in [(50.0, 40_000.0), (33.3, 20_000.0), (150.0, 40_000.0), (200.0, 5_000.0)] {
            assert_eq!(days(after, volume).len(), 0, "news to {after} with {volume}");
        }
    }

    #[test]
    fn a_bad_print_a_crash_and_an_odd_ratio_are_none() {
        assert_eq!(splits(&[100.0, 100.1, 50.0, 100.2, 100.0]), [""; 0]);
        assert_eq!(splits(&[100.0, 65.0, 40.0, 33.0]), [""; 0]);
        assert_eq!(splits(&[100.0, 100.0, 57.5, 57.6, 57.4]), [""; 0]);
        assert_eq!(splits(&[100.0, 88.0, 89.0]), [""; 0]);
        assert_eq!(splits(&[100.0]), [""; 0]);
        assert_eq!(splits(&[]), [""; 0]);
    }
}
