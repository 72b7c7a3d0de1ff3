//! Weeks and months of a symbol, out of its days.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Datelike, Days, Months, NaiveDate};
use model::calendar::{Calendar, SessionDay};
use model::time::Millis;
use model::{AssetClass, Instrument};
use store::{Measurement, Query, SharedStore};

use super::day;
use super::row::{Row, measurements};
use crate::error::SinkError;
use crate::recompute::bars_query;

/// A run of trading dates, from the first up to but not including the second.
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

    /// The week and the month of a date.
    pub(crate) fn of(date: NaiveDate) -> [Period; 2] {
        [Period::week(date), Period::month(date)]
    }

    /// The measurement of its rows.
    pub(crate) fn measurement(&self) -> &'static Arc<Measurement> {
        let [_, weekly, monthly] = measurements();
        if self.is_week() { weekly } else { monthly }
    }

    fn is_week(&self) -> bool {
        self.to == self.from + Days::new(7)
    }

    /// What [`Period`]'s `Display` writes.
    pub(crate) fn from_words(words: &str) -> Option<Period> {
        let (kind, date) = words.split_once(' ')?;
        let date = date.parse().ok()?;
        match kind {
            "week" => Some(Period::week(date)),
            "month" => Some(Period::month(date)),
            _ => None,
        }
    }

    /// Its first session and its last. There is one in every week and month.
    fn sessions(&self, calendar: Calendar) -> (SessionDay, SessionDay) {
        (calendar.next_session(self.from - Days::new(1)), calendar.previous_session(self.to))
    }

    /// The close of its last session.
    pub(crate) fn closes(&self, calendar: Calendar) -> Millis {
        self.sessions(calendar).1.close
    }

    /// The period, as far as the store or `fresh` hold any of its days; of a day
    /// that both hold, the fresh one counts.
    pub(crate) async fn read(
        &self,
        store: &SharedStore,
        symbol: &str,
        fresh: &[Row],
    ) -> Result<Option<Row>, SinkError> {
        let (first, last) = self.sessions(Instrument::of(symbol).calendar());
        let span = bars_query(AssetClass::of(symbol), symbol, Some(first.close), Some(last.close + 1));
        let query = Query { measurement: measurements()[0].name.clone(), ..span };
        let stored = Row::all(&store.read(&query).await?);
        let within = fresh.iter().filter(|day| (first.close..=last.close).contains(&day.end)).cloned();
        let days: BTreeMap<Millis, Row> =
            stored.into_iter().chain(within).map(|day| (day.end, day)).collect();
        let news = day::news(store, symbol, &first, &last).await?;
        let days: Vec<Row> = days.into_values().collect();
        Ok(together(&days).map(|row| Row {
            start: first.open,
            end: last.close,
            articles: news.articles,
            received_until: row.received_until.max(news.received_until),
            ..row
        }))
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", if self.is_week() { "week" } else { "month" }, self.from)
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
        volume: days.iter().map(|day| day.volume).sum::<Option<f64>>().and_then(day::finite),
        realized: (!squares.is_empty()).then(|| squares.iter().sum::<f64>().sqrt()),
        bars: days.iter().map(|day| day.bars).sum(),
        received_until: days.iter().map(|day| day.received_until).max().flatten(),
        ..first.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_comes_back_from_its_words() {
        for date in ["2024-02-29", "2023-02-01", "2024-12-31"] {
            for period in Period::of(date.parse().unwrap()) {
                assert_eq!(Period::from_words(&period.to_string()), Some(period));
            }
        }
        assert_eq!(Period::from_words("2024-02-29"), None);
    }

    #[test]
    fn weeks_and_months_reach_from_their_first_session_to_their_last() {
        let dates = |period: Period| dates(AssetClass::Stocks, period);
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

    #[test]
    fn weeks_of_crypto_have_seven_days_and_those_of_currencies_five() {
        for (class, day, week, month) in [
            (AssetClass::Crypto, "2024-02-29", "2024-02-26 2024-03-03", "2024-02-01 2024-02-29"),
            (AssetClass::Crypto, "2024-12-31", "2024-12-30 2025-01-05", "2024-12-01 2024-12-31"),
            (AssetClass::Currencies, "2024-02-29", "2024-02-26 2024-03-01", "2024-02-01 2024-02-29"),
            (AssetClass::Currencies, "2024-06-07", "2024-06-03 2024-06-07", "2024-06-03 2024-06-28"),
        ] {
            let day = day.parse().unwrap();
            assert_eq!(dates(class, Period::week(day)), week, "{class} {day}");
            assert_eq!(dates(class, Period::month(day)), month, "{class} {day}");
        }
    }

    fn dates(class: AssetClass, period: Period) -> String {
        let (first, last) = period.sessions(class.calendar());
        format!("{} {}", first.date, last.date)
    }
}
