//! Rolling jobs, which select columns of one hop window with known measures of bars, as
//! `volatility` does. They are computed from the terms that each bar adds, without a query
//! plan.
//!
//! The SQL decides ([`of_sql`]): a job of another form, or with another measure, uses the
//! general plan ([`crate::plan`]). The terms of a bar are computed once ([`measures`]), and a
//! window adds them up in time order, as the UDF in `udfs/` does. The rows of both ways are
//! equal bit for bit, which tests check. Windows of hours add up sums over whole stretches of
//! bars ([`track`]), and are equal up to rounding.

mod history;
mod measures;
mod of_sql;
#[cfg(test)]
mod tests;
mod track;

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result};
use model::Candle;
use model::schema::Value;
use model::time::Millis;

use crate::job::Hop;
use crate::table::Rows;
use measures::{Measure, Sums};
use track::Track;

pub use history::{Unordered, Windows, in_any_order, in_order};

/// A rolling job: its window and the content of each of its columns.
#[derive(Clone, Debug)]
pub struct Rolling {
    hop: Hop,
    shown: Vec<Shown>,
}

/// The content of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Symbol,
    WindowStart,
    WindowEnd,
    Measure(Measure),
}

impl Rolling {
    /// The measures among the columns, in the order of the columns.
    fn measures(&self) -> impl Iterator<Item = Measure> {
        self.shown.iter().filter_map(|shown| match shown {
            Shown::Measure(measure) => Some(*measure),
            _ => None,
        })
    }

    /// A row as values of the columns of the job, from the start of its window and its measures
    /// in the order of the columns; NaN means NULL.
    pub fn row(&self, symbol: &str, start: Millis, measured: &[f64]) -> Vec<Value> {
        let mut measured = measured.iter();
        let value = |shown: &Shown| match shown {
            Shown::Symbol => Value::Text(symbol.to_owned()),
            Shown::WindowStart => Value::Int(start),
            Shown::WindowEnd => Value::Int(start + self.hop.size),
            Shown::Measure(measure) => measure.as_value(measured.next().copied().unwrap_or(f64::NAN)),
        };
        self.shown.iter().map(value).collect()
    }

    /// Appends the measures of one window to `measured`.
    fn measure(&self, bars: &track::Slice<'_>, measured: &mut Vec<f64>) {
        let sums = Sums::over(bars);
        measured.extend(self.measures().map(|measure| measure.over(&sums, bars)));
    }
}

// Streaming: bars are added as they arrive, and rows are emitted as the watermark passes.

/// The bars of all symbols that open windows need.
pub(crate) struct Tracks {
    rolling: Rolling,
    tracks: BTreeMap<String, Track>,
    /// Windows that start before this have been closed.
    next_start: Millis,
}

impl Tracks {
    pub(crate) fn new(rolling: Rolling) -> Tracks {
        Tracks { rolling, tracks: BTreeMap::new(), next_start: Millis::MIN / 2 }
    }

    /// Treats windows that end at or before `closed` as already emitted.
    pub(crate) fn skip_until(&mut self, closed: Millis) {
        let hop = self.rolling.hop;
        self.next_start = self.next_start.max(hop.slide_of(closed - hop.size) + hop.slide);
    }

    /// The earliest event time of an open window.
    pub(crate) fn needed_from(&self) -> Millis {
        self.next_start
    }

    /// Adds bars in their order of arrival.
    pub(crate) fn push(&mut self, rows: &Rows) -> Result<()> {
        let figures = Figures::of(&rows.batch)?;
        for (row, &event_time) in rows.event_times.iter().enumerate() {
            let slide = self.rolling.hop.slide_of(event_time);
            if slide < self.next_start {
                continue;
            }
            let symbol = figures.symbol.value(row);
            let bar = figures.candle(row);
            match self.tracks.get_mut(symbol) {
                Some(track) => track.insert(slide, bar),
                None => self.tracks.entry(symbol.to_owned()).or_default().insert(slide, bar),
            }
        }
        Ok(())
    }

    /// Closes every window that ends at or before `watermark`; returns the rows, ordered by
    /// window, then by symbol.
    pub(crate) fn close(&mut self, watermark: Millis) -> Vec<Vec<Value>> {
        let hop = self.rolling.hop;
        let last_start = hop.slide_of(watermark.saturating_sub(hop.size));
        if last_start < self.next_start {
            return Vec::new();
        }
        let (mut rows, mut measured) = (Vec::new(), Vec::new());
        for (symbol, track) in &mut self.tracks {
            track.windows(hop, self.next_start..=last_start, |start, bars| {
                measured.clear();
                self.rolling.measure(bars, &mut measured);
                rows.push((start, self.rolling.row(symbol, start, &measured)));
            });
        }
        // The sort is stable, and symbols are visited in order.
        rows.sort_by_key(|(start, _)| *start);
        self.next_start = last_start + hop.slide;
        self.tracks.retain(|_, track| {
            track.forget_before(self.next_start);
            !track.is_empty()
        });
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

/// The columns of a batch of `stock_prices` from which measures are computed.
struct Figures<'a> {
    symbol: &'a datafusion::arrow::array::StringArray,
    times: [&'a [i64]; 2],
    prices: [&'a [f64]; 5],
}

impl<'a> Figures<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Figures<'a>> {
        let column = |name: &str| batch.column_by_name(name).filter(|column| column.null_count() == 0);
        let ints = |name: &str| -> Result<&'a [i64]> {
            let column = column(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
            Ok(column.ok_or_else(|| missing(name))?.values())
        };
        let floats = |name: &str| -> Result<&'a [f64]> {
            let column = column(name).and_then(|column| column.as_primitive_opt::<Float64Type>());
            Ok(column.ok_or_else(|| missing(name))?.values())
        };
        let symbol = column("symbol").and_then(|column| column.as_string_opt::<i32>());
        Ok(Figures {
            symbol: symbol.ok_or_else(|| missing("symbol"))?,
            times: [ints("start_timestamp")?, ints("received_timestamp")?],
            prices: [floats("open")?, floats("high")?, floats("low")?, floats("close")?, floats("volume")?],
        })
    }

    fn candle(&self, row: usize) -> Candle {
        let [start, received] = self.times.map(|times| times[row]);
        let [open, high, low, close, volume] = self.prices.map(|prices| prices[row]);
        Candle { start_timestamp: start, received_timestamp: received, open, high, low, close, volume }
    }
}

fn missing(name: &str) -> DataFusionError {
    DataFusionError::Plan(format!("`stock_prices` has no column `{name}` of the type that measures take"))
}
