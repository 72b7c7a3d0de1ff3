//! Minute bars, and what makes one bad.

use serde::{Deserialize, Serialize};

use crate::candle::Candle;
use crate::source::Source;
use crate::symbol::{self, BadSymbol};
use crate::time::{self, DAY, Millis};

/// One minute of one symbol, as it stands on `stock-prices`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// The ticker.
    pub symbol: String,
    /// First price of the minute.
    pub open: f64,
    /// Highest price of the minute.
    pub high: f64,
    /// Lowest price of the minute.
    pub low: f64,
    /// Last price of the minute.
    pub close: f64,
    /// Volume-weighted average price of the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vwap: Option<f64>,
    /// Shares traded in the minute; may be fractional.
    pub volume: f64,
    /// Shares traded so far that day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulated_volume: Option<f64>,
    /// The day's official opening price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub official_open_price: Option<f64>,
    /// Volume-weighted average price so far that day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_vwap: Option<f64>,
    /// Average size of a trade in the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_size: Option<f64>,
    /// The bar's start: its event time.
    pub start_timestamp: Millis,
    /// The bar's end, exclusive.
    pub end_timestamp: Millis,
    /// Whether the symbol trades over the counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otc: Option<bool>,
    /// Where the bar came from.
    pub source: Source,
    /// When it was first seen here; orders the versions of a bar.
    pub received_timestamp: Millis,
    /// The producer's statement: no record of the topic has an event time
    /// before this from now on, late corrections aside. It is the watermark.
    pub complete_until: Millis,
    /// In a replay: how many rows of the file have been taken, this one included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

/// Why a bar never enters a window and goes to the dead letters instead.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadBar {
    /// The symbol is none.
    #[error(transparent)]
    Symbol(#[from] BadSymbol),
    /// A price that is not finite and positive.
    #[error("{field} is {value}: a price must be a finite number above zero")]
    Price {
        /// Which price.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// High below low.
    #[error("high {high} is below low {low}")]
    Crossed {
        /// The high.
        high: f64,
        /// The low.
        low: f64,
    },
    /// Open or close outside low and high.
    #[error("{field} {value} lies outside low {low} and high {high}")]
    Outside {
        /// `open` or `close`.
        field: &'static str,
        /// Its value.
        value: f64,
        /// The low.
        low: f64,
        /// The high.
        high: f64,
    },
    /// A volume that is negative or not finite (zero is valid).
    #[error("volume is {0}: it must be a finite number, zero or above")]
    Volume(f64),
    /// Seconds in the place of milliseconds.
    #[error("start {0} is a time in seconds: times are epoch milliseconds, a thousand times that")]
    Seconds(Millis),
    /// A time that no bar can have, or an end that is not after the start.
    #[error("start {start} and end {end} are not the times of a bar in epoch milliseconds")]
    Time {
        /// The start.
        start: Millis,
        /// The end.
        end: Millis,
    },
}

/// No minute bar is older: 1900-01-01.
const EARLIEST: Millis = -2_208_988_800_000;
/// No minute bar is later: 2200-01-01, which also catches micro- and nanoseconds.
const LATEST: Millis = 7_258_118_400_000;

impl Bar {
    /// Checks a bar from outside.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), BadBar> {
        symbol::check(&self.symbol)?;
        check_figures(&Candle::from(self), self.end_timestamp)
    }

    /// Whether this is a clock record and not a bar.
    pub fn is_clock(&self) -> bool {
        symbol::is_ours(&self.symbol)
    }
}

/// Checks all of a bar from outside but its symbol.
///
/// # Errors
/// The first rule that it breaks.
#[inline]
pub fn check_figures(candle: &Candle, end: Millis) -> Result<(), BadBar> {
    let Candle { start_timestamp: start, open, high, low, close, volume, .. } = *candle;
    for (field, value) in [("open", open), ("high", high), ("low", low), ("close", close)] {
        if !(value.is_finite() && value > 0.0) {
            return Err(BadBar::Price { field, value });
        }
    }
    if high < low {
        return Err(BadBar::Crossed { high, low });
    }
    for (field, value) in [("open", open), ("close", close)] {
        if value < low || value > high {
            return Err(BadBar::Outside { field, value, low, high });
        }
    }
    if !(volume.is_finite() && volume >= 0.0) {
        return Err(BadBar::Volume(volume));
    }
    if time::reads_as_seconds(start) {
        return Err(BadBar::Seconds(start));
    }
    if !(EARLIEST..LATEST).contains(&start) || end <= start || end - start > DAY {
        return Err(BadBar::Time { start, end });
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::time::MINUTE;

    pub(crate) fn good() -> Bar {
        Bar {
            symbol: "AAPL".into(),
            open: 10.0,
            high: 11.0,
            low: 9.0,
            close: 10.5,
            vwap: None,
            volume: 100.0,
            accumulated_volume: None,
            official_open_price: None,
            aggregate_vwap: None,
            average_size: None,
            start_timestamp: 1_380_873_960_000,
            end_timestamp: 1_380_873_960_000 + MINUTE,
            otc: None,
            source: Source::Replay,
            received_timestamp: 1_380_873_960_000 + MINUTE,
            complete_until: 1_380_873_960_000,
            position: None,
        }
    }

    #[test]
    fn a_good_bar_passes_and_so_does_a_minute_without_volume() {
        assert_eq!(good().check(), Ok(()));
        assert_eq!(Bar { volume: 0.0, ..good() }.check(), Ok(()));
    }

    #[test]
    fn every_rule_of_a_bad_bar_is_named() {
        for (bar, said) in [
            (Bar { open: 0.0, ..good() }, "open is 0"),
            (Bar { high: f64::NAN, ..good() }, "high is NaN"),
            (Bar { low: -1.0, ..good() }, "low is -1"),
            (Bar { close: f64::INFINITY, ..good() }, "close is inf"),
            (Bar { high: 8.0, ..good() }, "high 8 is below low 9"),
            (Bar { open: 12.0, ..good() }, "open 12 lies outside"),
            (Bar { close: 8.5, ..good() }, "close 8.5 lies outside"),
            (Bar { volume: -1.0, ..good() }, "volume is -1"),
            (Bar { volume: f64::NAN, ..good() }, "volume is NaN"),
            (Bar { symbol: "~clock0".into(), ..good() }, "clock records"),
            (Bar { start_timestamp: i64::MAX - 10, ..good() }, "not the times of a bar"),
            (Bar { end_timestamp: 0, ..good() }, "not the times of a bar"),
            (Bar { start_timestamp: 1_380_873_960, end_timestamp: 1_380_933_960, ..good() }, "in seconds"),
        ] {
            let error = bar.check().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn json_keeps_every_bit_and_missing_optional_fields_are_null() {
        let bar = Bar { close: 0.1 + 0.2, low: 0.1, open: 0.3, ..good() };
        let text = serde_json::to_string(&bar).unwrap();
        assert!(!text.contains("vwap"));
        assert_eq!(serde_json::from_str::<Bar>(&text).unwrap(), bar);
        let with_more = text.replacen('{', r#"{"unknown":[1,2],"#, 1);
        assert_eq!(serde_json::from_str::<Bar>(&with_more).unwrap(), bar);
    }
}
