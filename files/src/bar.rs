//! Converts rows into minute bars.

use model::bar::{HIGHEST_PRICE, MOST_SHARES};
use model::schema::ColumnType::{Bool, Float, Text, Time};
use model::time::{MINUTE, Millis};
use model::{Bar, Instrument, Source};

use crate::columns::{FromRow, Known};
use crate::value::Row;

pub(crate) const START: usize = 0;
pub(crate) const SYMBOL: usize = 1;
pub(crate) const OPEN: usize = 2;
pub(crate) const HIGH: usize = 3;
pub(crate) const LOW: usize = 4;
pub(crate) const CLOSE: usize = 5;
pub(crate) const VOLUME: usize = 6;
pub(crate) const END: usize = 7;
pub(crate) const RECEIVED: usize = 8;
pub(crate) const VWAP: usize = 9;
pub(crate) const ACCUMULATED_VOLUME: usize = 10;
pub(crate) const OFFICIAL_OPEN_PRICE: usize = 11;
pub(crate) const AGGREGATE_VWAP: usize = 12;
pub(crate) const AVERAGE_SIZE: usize = 13;
const OTC: usize = 14;
const WINDOW_START: usize = 15;
const WINDOW_END: usize = 16;

impl FromRow for Bar {
    const COLUMNS: &'static [Known] = &[
        Known::optional(&["start_timestamp", "start_ms"], Time),
        Known::required(&["symbol", "ticker"], Text),
        Known::required(&["open"], Float),
        Known::required(&["high"], Float),
        Known::required(&["low"], Float),
        Known::required(&["close"], Float),
        Known::required(&["volume"], Float),
        Known::optional(&["end_timestamp"], Time),
        Known::optional(&["received_timestamp"], Time),
        Known::optional(&["vwap"], Float),
        Known::optional(&["accumulated_volume"], Float),
        Known::optional(&["official_open_price"], Float),
        Known::optional(&["aggregate_vwap"], Float),
        Known::optional(&["average_size"], Float),
        Known::optional(&["otc"], Bool),
        // The name in Massive's flat files, in nanoseconds.
        Known::optional(&["window_start"], Time),
        // The end column of windows in files of `tickwire export`; their rows are not minute
        // bars.
        Known::optional(&["window_end"], Time),
    ];
    const LINE_BREAKS: bool = false;

    fn from_row(row: &Row<'_>) -> Result<Bar, String> {
        let symbol = row.needed(SYMBOL, row.symbol(SYMBOL)?)?;
        let start = match row.has(START) || row.has(WINDOW_END) || !row.has(WINDOW_START) {
            true => row.needed(START, row.time(START)?)?,
            false => flat_file_start(row, &symbol)?,
        };
        let end = row.time(END)?.unwrap_or(start.saturating_add(MINUTE));
        let bar = Bar {
            symbol,
            open: row.number(OPEN)?,
            high: row.number(HIGH)?,
            low: row.number(LOW)?,
            close: row.number(CLOSE)?,
            vwap: row.quantity(VWAP, HIGHEST_PRICE),
            volume: row.number(VOLUME)?,
            accumulated_volume: row.quantity(ACCUMULATED_VOLUME, MOST_SHARES),
            official_open_price: row.quantity(OFFICIAL_OPEN_PRICE, HIGHEST_PRICE),
            aggregate_vwap: row.quantity(AGGREGATE_VWAP, HIGHEST_PRICE),
            average_size: row.quantity(AVERAGE_SIZE, MOST_SHARES),
            start_timestamp: start,
            end_timestamp: end,
            otc: row.flag(OTC),
            source: Source::Replay,
            received_timestamp: row.time(RECEIVED)?.unwrap_or(end),
            complete_until: 0,
            position: None,
        }
        .without_odd_figures();
        bar.check().map_err(|bad| bad.to_string())?;
        Ok(bar)
    }

    fn missing(found: &dyn Fn(usize) -> bool) -> Vec<String> {
        let has_start = found(START) || found(WINDOW_START) && !found(WINDOW_END);
        let start = (!has_start).then_some(START);
        let required = (START + 1..Self::COLUMNS.len())
            .filter(|&column| Self::COLUMNS[column].required && !found(column));
        start.into_iter().chain(required).map(|column| Self::COLUMNS[column].ours()).collect()
    }
}

/// The start of a row of Massive's flat files. Files of daily bars have the same header as
/// those of minute bars; their rows start at midnight in New York, when no stock trades.
fn flat_file_start(row: &Row<'_>, symbol: &str) -> Result<Millis, String> {
    let start = row.needed(WINDOW_START, row.time_in_nanoseconds(WINDOW_START)?)?;
    let calendar = Instrument::of(symbol).calendar();
    if !calendar.is_continuous() && calendar.date_of(start) != calendar.date_of(start - 1) {
        return Err("column `window_start` is midnight in New York: this is the bar of a day, and bars of minutes are read (minute_aggs, not day_aggs)".into());
    }
    Ok(start)
}
