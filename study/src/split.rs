//! Splits: a price that is divided overnight without anybody having lost anything.

use wire::time::Millis;

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

/// The ratios of splits, and turned over of reverse splits. Smaller ones than
/// 3:2 cannot be told from bad news by the price alone.
const RATIOS: [(u32, u32); 15] = [
    (3, 2),
    (2, 1),
    (5, 2),
    (3, 1),
    (4, 1),
    (5, 1),
    (6, 1),
    (7, 1),
    (8, 1),
    (10, 1),
    (15, 1),
    (20, 1),
    (25, 1),
    (30, 1),
    (50, 1),
];
/// The change of price from one close to the next, as a log, from which on it
/// is looked at closely: below that of the smallest ratio.
const SUSPICIOUS: f64 = 0.33;
/// How far, as a log, the change may lie from the ratio: the overnight return comes on top.
const OFF: f64 = 0.07;
/// So many closes on each side …
const LEVEL: usize = 3;
/// … must lie as close together as this, as a log: levels, not the sides of a single bad print.
const SPREAD: f64 = 0.1;

/// The splits that a price path shows: consecutive closes whose ratio is near
/// that of a split, with a steady level before and after. Closes alone are
/// compared, so a bar that straddles the split belongs to the level it ends on.
pub(crate) fn find(tape: &Tape) -> Vec<Split> {
    let prints = tape.prints();
    let jump = |at: &usize| (prints[*at].close / prints[at - 1].close).ln();
    (1..prints.len())
        .filter(|at| jump(at).abs() > SUSPICIOUS)
        .filter_map(|at| {
            let before = level(&prints[at.saturating_sub(LEVEL)..at])?;
            let after = level(&prints[at..(at + LEVEL).min(prints.len())])?;
            let (new, old) = ratio(before - after)?;
            Some(Split { at: prints[at].known, new, old })
        })
        .collect()
}

/// The log of the price around which these closes lie; none when they lie apart.
fn level(prints: &[Print]) -> Option<f64> {
    let logs = || prints.iter().map(|print| print.close.ln());
    let (low, high) = logs().fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
    (high - low <= SPREAD).then(|| logs().sum::<f64>() / prints.len() as f64)
}

/// New shares for old ones, where the price falls by `fall`, as a log.
fn ratio(fall: f64) -> Option<(u32, u32)> {
    let off = |&(new, old): &(u32, u32)| (fall - (f64::from(new) / f64::from(old)).ln()).abs();
    let turned_over = RATIOS.iter().map(|&(new, old)| (old, new));
    let nearest = RATIOS.iter().copied().chain(turned_over).min_by(|a, b| off(a).total_cmp(&off(b)))?;
    (off(&nearest) <= OFF).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use wire::Bar;
    use wire::time::MINUTE;

    use super::*;
    use crate::options::Clock;

    fn splits(closes: &[f64]) -> Vec<String> {
        let bar = |(minute, &close): (usize, &f64)| {
            let start_timestamp = minute as i64 * MINUTE;
            let end_timestamp = start_timestamp + MINUTE;
            Bar { close, start_timestamp, end_timestamp, ..wire::clock::bar(0, 0) }
        };
        let bars: Vec<Bar> = closes.iter().enumerate().map(bar).collect();
        let tape = Tape::new(&bars.iter().collect::<Vec<_>>(), Clock::Event);
        find(&tape).iter().map(|split| format!("{split} at {}", split.at / MINUTE)).collect()
    }

    #[test]
    fn a_steady_level_divided_by_a_small_ratio_is_a_split_either_way() {
        assert_eq!(splits(&[645.56, 645.7, 645.7, 92.42, 92.46, 92.3]), ["7:1 at 4"]);
        assert_eq!(splits(&[30.0, 30.1, 20.4, 20.3]), ["3:2 at 3"]);
        assert_eq!(splits(&[1.0, 1.01, 9.9, 10.0]), ["1:10 at 3"]);
        assert_eq!(splits(&[100.0, 50.0, 50.0, 51.0, 10.3]), ["2:1 at 2", "5:1 at 5"]);
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
