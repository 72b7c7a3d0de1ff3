//! Heartbeats: they carry event time forward, minute by minute, whether or
//! not the market is open, and are dropped by whoever reads results.
//!
//! One goes into every partition for every minute, in order with the data.
//! Without them, windows would not close while the market is silent, and the
//! engines' hop windows lose what is buffered behind a gap.

use crate::article::Article;
use crate::bar::Bar;
use crate::source::Source;
use crate::time::{DAY, EARLIEST, HOUR, LATEST, MINUTE, Millis, minute_of};

/// The symbol of clock key `key`.
pub fn symbol(key: u32) -> String {
    format!("{}clock{key}", crate::symbol::OURS)
}

/// A heartbeat of a topic of bars: every record before `at`, the end of the
/// minute just completed, has been written.
pub fn bar(key: u32, at: Millis) -> Bar {
    Bar {
        symbol: symbol(key),
        open: 1.0,
        high: 1.0,
        low: 1.0,
        close: 1.0,
        vwap: None,
        volume: 0.0,
        accumulated_volume: None,
        official_open_price: None,
        aggregate_vwap: None,
        average_size: None,
        start_timestamp: at,
        end_timestamp: at.saturating_add(MINUTE),
        otc: None,
        source: Source::Clock,
        received_timestamp: at,
        complete_until: at,
        position: None,
    }
}

/// A heartbeat of `news-articles`, of the same meaning.
pub fn article(key: u32, at: Millis) -> Article {
    Article {
        id: String::new(),
        symbol: Some(symbol(key)),
        search_term: String::new(),
        headline: String::new(),
        url: String::new(),
        kind: None,
        section_id: None,
        section_name: None,
        pillar: None,
        published_timestamp: at,
        updated_timestamp: None,
        source: Source::Clock,
        received_timestamp: at,
        complete_until: at,
        position: None,
    }
}

/// A gap longer than this is not filled minute by minute.
pub const LONG_GAP: Millis = 2 * DAY;

/// The clock minutes that lead from `done` (the last one written) up to and
/// including `until`. Of a gap longer than [`LONG_GAP`] only the first hour
/// and the last 24 hours are filled: enough for every open window to close and
/// for readers' watermarks to settle before the next data.
pub fn minutes(done: Millis, until: Millis) -> impl Iterator<Item = Millis> {
    // A time from a record that cannot be believed leads nowhere instead of overflowing.
    let (done, until) = (done.clamp(EARLIEST, LATEST), until.clamp(EARLIEST, LATEST));
    let (first, last) = (minute_of(done) + MINUTE, minute_of(until));
    let gap_from = if last - minute_of(done) > LONG_GAP { minute_of(done) + HOUR } else { last };
    let gap_to = if last - minute_of(done) > LONG_GAP { last - DAY } else { last };
    let every_minute =
        |from: Millis, to: Millis| (0..=((to - from).div_euclid(MINUTE))).map(move |i| from + i * MINUTE);
    every_minute(first, gap_from).chain(every_minute(gap_to + MINUTE, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_gap_is_filled_minute_by_minute() {
        assert_eq!(minutes(0, 3 * MINUTE).collect::<Vec<_>>(), [MINUTE, 2 * MINUTE, 3 * MINUTE]);
        assert_eq!(minutes(90_000, 3 * MINUTE).collect::<Vec<_>>(), [2 * MINUTE, 3 * MINUTE]);
        assert_eq!(minutes(0, 0).count(), 0);
        assert_eq!(minutes(0, LONG_GAP).count(), 2 * 24 * 60);
    }

    #[test]
    fn of_a_long_gap_the_first_hour_and_the_last_day_are_filled() {
        let until = 30 * DAY;
        let filled: Vec<_> = minutes(0, until).collect();
        assert_eq!(filled.len(), 60 + 24 * 60);
        assert_eq!((filled[0], filled[59]), (MINUTE, HOUR));
        assert_eq!((filled[60], *filled.last().unwrap()), (until - DAY + MINUTE, until));
    }

    #[test]
    fn times_that_cannot_be_believed_lead_to_few_minutes_and_no_overflow() {
        for (done, until) in [(i64::MIN, i64::MAX), (0, i64::MAX), (i64::MAX, 0), (i64::MAX, i64::MAX)] {
            assert!(minutes(done, until).count() <= 60 + 24 * 60, "{done} to {until}");
        }
    }

    #[test]
    fn clock_records_are_told_from_data() {
        assert!(bar(0, MINUTE).is_heartbeat());
        assert!(bar(0, MINUTE).check().is_err());
        assert!(article(3, MINUTE).is_heartbeat());
        assert_eq!(bar(2, MINUTE).symbol, "~clock2");
    }
}
