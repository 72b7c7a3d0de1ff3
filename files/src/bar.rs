//! Rows as minute bars.

use wire::schema::ColumnType::{Bool, Float, Text, Time};
use wire::time::MINUTE;
use wire::{Bar, Source};

use crate::cell::Row;
use crate::columns::{FromRow, Known};

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

impl FromRow for Bar {
    const COLUMNS: &'static [Known] = &[
        Known::required(&["start_timestamp", "start_ms"], Time),
        Known::required(&["symbol"], Text),
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
    ];
    const LINE_BREAKS: bool = false;

    fn from_row(row: &Row<'_>) -> Result<Bar, String> {
        let price = |column| row.needed(column, row.number(column)?);
        let start = row.needed(START, row.time(START)?)?;
        let end = row.time(END)?.unwrap_or(start.saturating_add(MINUTE));
        let bar = Bar {
            symbol: row.needed(SYMBOL, row.text(SYMBOL)?)?,
            open: price(OPEN)?,
            high: price(HIGH)?,
            low: price(LOW)?,
            close: price(CLOSE)?,
            vwap: row.quantity(VWAP)?,
            volume: price(VOLUME)?,
            accumulated_volume: row.quantity(ACCUMULATED_VOLUME)?,
            official_open_price: row.quantity(OFFICIAL_OPEN_PRICE)?,
            aggregate_vwap: row.quantity(AGGREGATE_VWAP)?,
            average_size: row.quantity(AVERAGE_SIZE)?,
            start_timestamp: start,
            end_timestamp: end,
            otc: row.flag(OTC)?,
            source: Source::Replay,
            received_timestamp: row.time(RECEIVED)?.unwrap_or(end),
            complete_until: 0,
            position: None,
        }
        .without_odd_figures();
        bar.check().map_err(|bad| bad.to_string())?;
        Ok(bar)
    }
}
