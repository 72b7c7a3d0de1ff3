//! The history of one symbol: bars, volatility, news and sessions of one span
//! of time, with the cursor from which the event stream goes on.

use model::calendar::Calendar;
use model::schema::Value;
use model::time::{DAY, Millis};
use model::topic::NEWS_ARTICLES;
use model::{Gap, Instrument};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use store::{Query, Rows, SharedStore, if_defined};

use crate::error::Failure;
use crate::gaps;
use crate::measures::{self, Measure};
use crate::overview::objects;

/// The most articles of one answer.
const MAX_ARTICLES: usize = 2_000;

/// The most days, of trading or not, whose sessions are told: a chart of bars
/// that lie further apart has the newest.
const MOST_DAYS: i64 = 3_660;

/// What is wanted.
pub(crate) struct Wanted {
    pub(crate) symbol: String,
    /// Times at or after this.
    pub(crate) from: Option<Millis>,
    /// Times before this.
    pub(crate) to: Option<Millis>,
    /// The newest so many bars of the span.
    pub(crate) limit: usize,
    /// Only what a chart needs, as exact as can be seen.
    pub(crate) compact: bool,
}

/// The answer; times in epoch milliseconds, rows in the order of time.
#[derive(Serialize)]
pub(crate) struct Series {
    pub(crate) symbol: String,
    pub(crate) cursor: String,
    /// Whether bars before the first one were left out for the limit.
    pub(crate) more_before: bool,
    pub(crate) measures: Vec<Measure>,
    pub(crate) bars: Table,
    pub(crate) volatility: Table,
    pub(crate) news: Vec<Map<String, Json>>,
    pub(crate) sessions: Vec<Session>,
    /// The measurement of its bars, as `/export` and questions name it.
    pub(crate) table: String,
    /// The time zone in which the market's day is read, by its IANA name.
    pub(crate) zone: &'static str,
    /// What is known to be missing of the bars.
    pub(crate) gaps: Vec<Gap>,
}

/// Rows under the names of their columns. A column that is empty in every row is left out.
#[derive(Serialize, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Json>>,
}

/// The hours of one trading day.
#[derive(Serialize)]
pub(crate) struct Session {
    pub(crate) date: String,
    pub(crate) pre_open: Millis,
    pub(crate) open: Millis,
    pub(crate) close: Millis,
    pub(crate) post_close: Millis,
    pub(crate) half_day: bool,
}

/// Columns that say whose a row is or how it came here, and nothing about the market.
const LEFT_OUT: [&str; 3] = ["symbol", "source", "received_timestamp"];

/// Columns of bars that a chart does not need.
const BARS_COMPACT: [&str; 1] = ["end_timestamp"];
/// Columns of windows that a chart does not need.
const WINDOWS_COMPACT: [&str; 4] = ["window_start", "log_return", "volume", "received_until"];
/// The significant digits of measures in a chart.
const DIGITS: usize = 4;

/// Reads the series; `cursor` must have been taken before.
pub(crate) async fn read(store: &SharedStore, wanted: Wanted, cursor: String) -> Result<Series, Failure> {
    let newest = |measurement: String, from: Option<Millis>, limit: usize| Query {
        measurement,
        tags: vec![("symbol".into(), wanted.symbol.clone())],
        from,
        to: wanted.to,
        newest_first: true,
        limit: Some(limit),
        after: None,
    };
    let instrument = Instrument::of(&wanted.symbol);
    // One more than wanted tells whether there are more.
    let mut bars =
        if_defined(store.read(&newest(instrument.class().raw_table(), wanted.from, wanted.limit + 1)).await)?;
    let more_before = bars.rows.len() > wanted.limit;
    bars.rows.truncate(wanted.limit);
    bars.rows.reverse();
    let start = time_at(&bars, "start_timestamp", bars.rows.first());
    let end = time_at(&bars, "start_timestamp", bars.rows.last());
    let since = if more_before { start } else { wanted.from };

    // Windows overlap, so there are about as many as bars, and more beside gaps.
    let rows = newest(measures::topic().measurement(), since, 2 * wanted.limit);
    let mut volatility = if_defined(store.read(&rows).await)?;
    volatility.rows.reverse();
    let measures = measures::among(&volatility.columns);
    let mut news = if_defined(store.read(&newest(NEWS_ARTICLES.measurement(), since, MAX_ARTICLES)).await)?;
    sort_by_time(&mut news, "published_timestamp");

    let [bars_table, windows_table] = match wanted.compact {
        false => [table(&bars, &[]), table(&volatility, &[])],
        true => {
            round(&mut volatility);
            [table(&bars, &BARS_COMPACT), table(&volatility, &WINDOWS_COMPACT)]
        }
    };
    let (calendar, table) = (instrument.calendar(), instrument.class().raw_table());
    let gaps = gaps::read(store, Some(&wanted.symbol), since, wanted.to).await?;
    Ok(Series {
        symbol: wanted.symbol,
        cursor,
        more_before,
        measures,
        bars: bars_table,
        volatility: windows_table,
        news: objects(news),
        sessions: start.zip(end).map(|(start, end)| sessions(calendar, start, end)).unwrap_or_default(),
        zone: calendar.zone(),
        table,
        gaps,
    })
}

/// Measures to the digits that a chart can show.
fn round(rows: &mut Rows) {
    for value in rows.rows.iter_mut().flatten() {
        if let Value::Float(exact) = value {
            *exact = format!("{exact:.*e}", DIGITS - 1).parse().unwrap_or(*exact);
        }
    }
}

fn table(rows: &Rows, left_out: &[&str]) -> Table {
    let is_filled = |index: usize| rows.rows.iter().any(|row| row[index] != Value::Null);
    let shown: Vec<usize> = (0..rows.columns.len())
        .filter(|&index| {
            let name = rows.columns[index].name.as_str();
            !LEFT_OUT.contains(&name) && !left_out.contains(&name)
        })
        .filter(|&index| rows.rows.is_empty() || is_filled(index))
        .collect();
    Table {
        columns: shown.iter().map(|&index| rows.columns[index].name.clone()).collect(),
        rows: rows.rows.iter().map(|row| shown.iter().map(|&index| row[index].to_json()).collect()).collect(),
    }
}

fn time_at(rows: &Rows, column: &str, row: Option<&Vec<Value>>) -> Option<Millis> {
    let index = rows.columns.iter().position(|known| known.name == column)?;
    row?.get(index)?.as_i64()
}

/// Several search terms make several runs of rows, each in its own order.
fn sort_by_time(rows: &mut Rows, column: &str) {
    let Some(index) = rows.columns.iter().position(|known| known.name == column) else { return };
    rows.rows.sort_by_key(|row| row.get(index).and_then(Value::as_i64));
}

/// The trading days that touch a span, and the one after it, which a stream may reach.
pub(crate) fn sessions(calendar: Calendar, start: Millis, end: Millis) -> Vec<Session> {
    let last = calendar.date_of(end);
    let first = calendar.date_of(start).max(calendar.date_of(end.saturating_sub(MOST_DAYS * DAY)));
    first
        .iter_days()
        .take_while(|date| *date <= last)
        .filter_map(|date| calendar.session(date))
        .chain([calendar.next_session(last)])
        .map(|day| Session {
            date: day.date.to_string(),
            pre_open: day.pre_open,
            open: day.open,
            close: day.close,
            post_close: day.post_close,
            half_day: day.half_day,
        })
        .collect()
}
