//! Weeks and months of a symbol, out of its days.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, Months, NaiveDate};
use store::{Query, SharedStore};
use wire::calendar::{self, SessionDay};
use wire::time::Millis;

use super::day;
use super::row::{Row, measurements};
use crate::error::SinkError;
use crate::recompute::bars_query;

/// A run of dates in New York, from the first up to but not including the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Period {
    from: NaiveDate,
    to: NaiveDate,
}

impl Period {
    /// The week of a date, from Monday on.
    pub(crate) fn week(date: NaiveDate) -> Period {
        let from = date - Days::new(u64::from(date.weekday().num_days_from_monday()));
        Period { from, to: from + Days::new(7) }
    }

    /// The month of a date.
    pub(crate) fn month(date: NaiveDate) -> Period {
        let from = date.with_day(1).unwrap_or(date);
        Period { from, to: from + Months::new(1) }
    }

    /// Its first session and its last. There is one in every week and month.
    fn sessions(&self) -> (SessionDay, SessionDay) {
        (calendar::next_session(self.from - Days::new(1)), calendar::previous_session(self.to))
    }

    /// The close of its last session.
    pub(crate) fn closes(&self) -> Millis {
        self.sessions().1.close
    }

    /// The period, as far as the store or `fresh` hold any of its days; of a day
    /// that both hold, the fresh one counts.
    pub(crate) async fn read(
        &self,
        store: &SharedStore,
        symbol: &str,
        fresh: &[Row],
    ) -> Result<Option<Row>, SinkError> {
        let (first, last) = self.sessions();
        let span = bars_query(symbol, Some(first.close), Some(last.close + 1));
        let query = Query { measurement: measurements()[0].name.clone(), ..span };
        let stored = Row::all(&store.read(&query).await?);
        let within = fresh.iter().filter(|day| (first.close..=last.close).contains(&day.end)).cloned();
        let days: BTreeMap<Millis, Row> =
            stored.into_iter().chain(within).map(|day| (day.end, day)).collect();
        let articles = day::articles(store, symbol, &first, &last).await?;
        let days: Vec<Row> = days.into_values().collect();
        Ok(together(&days).map(|row| Row { start: first.open, end: last.close, articles, ..row }))
    }
}

/// Days, in order, as one row.
fn together(days: &[Row]) -> Option<Row> {
    let (first, last) = (days.first()?, days.last()?);
    let squares: Vec<f64> =
        days.iter().filter_map(|day| day.realized).map(|realized| realized * realized).collect();
    Some(Row {
        high: days.iter().map(|day| day.high).fold(f64::MIN, f64::max),
        low: days.iter().map(|day| day.low).fold(f64::MAX, f64::min),
        close: last.close,
        volume: days.iter().map(|day| day.volume).sum(),
        realized: (!squares.is_empty()).then(|| squares.iter().sum::<f64>().sqrt()),
        bars: days.iter().map(|day| day.bars).sum(),
        ..first.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_and_months_reach_from_their_first_session_to_their_last() {
        let dates = |period: Period| {
            let (first, last) = period.sessions();
            format!("{} {}", first.date, last.date)
        };
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (day, week) in [
            ("2024-07-03", "2024-07-01 2024-07-05"),
            ("2024-05-27", "2024-05-28 2024-05-31"),
            ("2024-03-31", "2024-03-25 2024-03-28"),
        ] {
            assert_eq!(dates(Period::week(date(day))), week, "{day}");
        }
        for (day, month) in [("2024-03-31", "2024-03-01 2024-03-28"), ("2024-01-01", "2024-01-02 2024-01-31")]
        {
            assert_eq!(dates(Period::month(date(day))), month, "{day}");
        }
    }
}
