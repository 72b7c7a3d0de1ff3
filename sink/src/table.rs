//! What the sink knows of a job: its topic, its measurement, the times of its rows, and the
//! rows that wait for recomputation.

use std::sync::Arc;

use engine::{Hop, Job};
use model::AssetClass;
use model::schema::Value;
use model::time::{MINUTE, Millis, minute_of};
use model::topic::Topic;
use store::{Measurement, Point};

use crate::work::EVERY_SYMBOL;

/// The results of a job.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The class whose bars its rows are made of; none of a table that no job writes.
    pub(crate) class: Option<AssetClass>,
    pub(crate) topic: Topic,
    pub(crate) measurement: Arc<Measurement>,
    pub(crate) reads: Vec<Topic>,
    pub(crate) layout: Option<Layout>,
    /// Whether its rows depend on other symbols, so that they are computed for all symbols
    /// together.
    pub(crate) ranks: bool,
    symbol: Option<usize>,
    time: Option<usize>,
}

impl Table {
    pub(crate) fn of(job: &Job) -> Table {
        let measurement = Measurement::results(&job.base_topic, &job.columns);
        let layout = Layout::of(job);
        let table = Table::new(job.topic.clone(), measurement, job.reads.clone(), layout);
        Table { class: Some(job.class), ranks: job.ranks, ..table }
    }

    pub(crate) fn new(
        topic: Topic,
        measurement: Measurement,
        reads: Vec<Topic>,
        layout: Option<Layout>,
    ) -> Table {
        let (symbol, time) = (measurement.index_of("symbol"), measurement.index_of(&measurement.time));
        let measurement = Arc::new(measurement);
        Table { class: None, topic, measurement, reads, layout, ranks: false, symbol, time }
    }

    /// The name under which its rows wait to be computed again: that of its measurement,
    /// over another class than stocks that of its topic.
    pub(crate) fn name(&self) -> String {
        self.topic.measurement()
    }

    /// The symbol of a row.
    pub(crate) fn symbol<'a>(&self, row: &'a [Value]) -> Option<&'a str> {
        row.get(self.symbol?)?.as_str()
    }

    /// The time of the point of a row (event time, ms).
    pub(crate) fn time(&self, row: &[Value]) -> Option<Millis> {
        row.get(self.time?)?.as_i64()
    }

    /// A row as a point.
    pub(crate) fn point(&self, row: Vec<Value>) -> Point {
        Point::result(&self.measurement, row)
    }

    /// The symbol under which the rows of `symbol` wait for recomputation.
    pub(crate) fn recomputation_key<'a>(&self, symbol: &'a str) -> &'a str {
        if self.ranks { EVERY_SYMBOL } else { symbol }
    }

    /// The layout, if the rows of this table depend on records of `topic`.
    pub(crate) fn layout_over(&self, topic: &Topic) -> Option<Layout> {
        self.layout.filter(|_| self.reads.contains(topic))
    }
}

// The times of the rows of a job, and which rows depend on a record.
//
// The place of a row is the start of its window or, for the price paths of a job without
// windows, the minute of its bar.

/// How the rows of a job are distributed over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One row per window.
    Windows(Hop),
    /// One row per bar around an article, up to `reach` (ms) from it.
    Paths { reach: Millis },
}

impl Layout {
    pub(crate) fn of(job: &Job) -> Option<Layout> {
        let paths = job.reach.map(|reach| Layout::Paths { reach });
        job.window.map(Layout::Windows).or(paths)
    }

    /// The distance between two places (ms).
    pub(crate) fn step(self) -> Millis {
        match self {
            Layout::Windows(hop) => hop.slide,
            Layout::Paths { .. } => MINUTE,
        }
    }

    /// How much additional input time a range of places needs (ms).
    pub(crate) fn margin(self) -> Millis {
        match self {
            Layout::Windows(hop) => hop.size,
            Layout::Paths { reach } => 2 * reach,
        }
    }

    /// The place of a row whose point has the time `time`.
    pub(crate) fn place(self, time: Millis) -> Millis {
        match self {
            Layout::Windows(hop) => time - hop.size,
            Layout::Paths { .. } => minute_of(time),
        }
    }

    /// The places of the rows that depend on a record of `topic` with an event time in
    /// `minute`, as a half-open range.
    pub(crate) fn touched(self, topic: &Topic, minute: Millis) -> (Millis, Millis) {
        match self {
            Layout::Windows(hop) => (hop.first_start(minute), hop.slide_of(minute + MINUTE - 1) + hop.slide),
            Layout::Paths { .. } if AssetClass::of_topic(topic).is_some() => (minute, minute + MINUTE),
            Layout::Paths { reach } => (minute_of(minute - reach), minute_of(minute + reach) + MINUTE),
        }
    }

    /// The event times of the records that the rows at the places from `from` to `to` depend
    /// on.
    pub(crate) fn inputs(self, from: Millis, to: Millis) -> (Millis, Millis) {
        match self {
            Layout::Windows(hop) => (from, to - hop.slide + hop.size),
            Layout::Paths { reach } => (from - reach, to + reach),
        }
    }

    /// The first place whose input may be incomplete, if all records before `closed` are known.
    pub(crate) fn first_incomplete(self, closed: Millis) -> Millis {
        match self {
            Layout::Windows(hop) => hop.slide_of(closed - hop.size) + hop.slide,
            Layout::Paths { .. } => minute_of(closed),
        }
    }

    /// The places whose rows have a time in [`from`, `to`).
    pub(crate) fn places(self, from: Millis, to: Millis) -> (Millis, Millis) {
        match self {
            Layout::Windows(hop) => {
                let first_after = |time: Millis| {
                    let start = time.saturating_sub(hop.size);
                    hop.slide_of(start.saturating_add(hop.slide - 1))
                };
                (first_after(from), first_after(to))
            }
            Layout::Paths { .. } => (minute_of(from), minute_of(to.saturating_add(MINUTE - 1))),
        }
    }

    /// The places of the rows of bars from `oldest` to `newest`.
    pub(crate) fn with_bars(self, oldest: Millis, newest: Millis) -> (Millis, Millis) {
        match self {
            Layout::Windows(hop) => (hop.first_start(oldest), hop.slide_of(newest) + hop.slide),
            Layout::Paths { .. } => (minute_of(oldest), minute_of(newest) + MINUTE),
        }
    }

    /// The first place whose input is complete if retention has deleted everything before
    /// `trimmed`. The rows of a path are independent, so deleted ones are only not recomputed.
    pub(crate) fn first_complete(self, trimmed: Millis) -> Millis {
        match self {
            Layout::Windows(hop) => hop.slide_of(trimmed - 1) + hop.slide,
            Layout::Paths { .. } => Millis::MIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::HOUR;
    use model::topic::{NEWS_ARTICLES, STOCK_PRICES};

    #[test]
    fn a_minute_touches_the_windows_that_hold_it() {
        let touched = |size: i64, slide: i64, minute: i64| {
            let hop = Hop { size: size * MINUTE, slide: slide * MINUTE };
            let (from, to) = Layout::Windows(hop).touched(&STOCK_PRICES, minute * MINUTE);
            (from / MINUTE, to / MINUTE)
        };
        assert_eq!(touched(30, 1, 100), (71, 101));
        assert_eq!(touched(10, 5, 12), (5, 15));
        assert_eq!(touched(10, 5, 15), (10, 20));
    }

    #[test]
    fn a_bar_touches_the_paths_in_its_minute_and_an_article_those_around_it() {
        let paths = Layout::Paths { reach: HOUR };
        assert_eq!(paths.touched(&STOCK_PRICES, 7 * MINUTE), (7 * MINUTE, 8 * MINUTE));
        assert_eq!(paths.touched(&NEWS_ARTICLES, HOUR), (0, 2 * HOUR + MINUTE));
        assert_eq!(paths.place(7 * MINUTE + 17_000), 7 * MINUTE);
        assert_eq!(paths.inputs(HOUR, 2 * HOUR), (0, 3 * HOUR));
    }

    #[test]
    fn the_places_asked_for_are_those_of_rows_in_the_time_asked_for() {
        let hop = Hop { size: 10 * MINUTE, slide: 5 * MINUTE };
        let windows = Layout::Windows(hop);
        // Windows end at 10, 15, 20 …: in [11, 20) only the one that starts at 5 ends.
        assert_eq!(windows.places(11 * MINUTE, 20 * MINUTE), (5 * MINUTE, 10 * MINUTE));
        assert_eq!(windows.first_incomplete(20 * MINUTE), 15 * MINUTE);
        assert_eq!(Layout::Paths { reach: HOUR }.places(90_000, 3 * MINUTE), (MINUTE, 3 * MINUTE));
        let (first, last) = windows.places(Millis::MIN, Millis::MAX);
        assert!(first < -HOUR && last > HOUR);
    }
}
