//! Minute bars, and what makes one bad.

use serde::{Deserialize, Serialize};

use crate::candle::Candle;
use crate::source::Source;
use crate::symbol::{self, BadSymbol};
use crate::time::{self, DAY, MINUTE, Millis};

/// One minute of one symbol, as it stands on the topic of its class.
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
    /// A price that is not a number from [`LOWEST_PRICE`] to [`HIGHEST_PRICE`].
    #[error("{field} is {value}: a price must be a number from {LOWEST_PRICE:e} to {HIGHEST_PRICE:e}")]
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
    /// A volume that is not a number from zero to [`MOST_SHARES`].
    #[error("volume is {0}: it must be a number from zero to {MOST_SHARES:e}")]
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
    /// A receipt that is no time.
    #[error("received_timestamp {0} is no time in epoch milliseconds")]
    Received(Millis),
}

/// The lowest price taken. Tokens are quoted down to about 1e-12, and prices
/// adjusted for splits lie lower than those that were paid.
pub const LOWEST_PRICE: f64 = 1e-15;
/// The highest price taken. Prices adjusted for a row of reverse splits reach 1e12.
/// With [`LOWEST_PRICE`], every ratio of two prices and its square are finite.
pub const HIGHEST_PRICE: f64 = 1e15;
/// The largest volume of a bar or of a day. The most traded tokens come to about
/// 1e15 a day. The volume of every minute from 1900 to 2200, each
/// times the highest price, adds up to 1e42, far below the largest double (1.8e308):
/// no aggregate overflows.
pub const MOST_SHARES: f64 = 1e18;
/// A bar is no longer than this. Live feeds bring bars of one minute; a row of a file
/// that is longer counts as one bar of the minute in which it starts.
pub const LONGEST: Millis = DAY;

impl Bar {
    /// The bar without optional figures that cannot be what they claim: prices beyond
    /// [`HIGHEST_PRICE`], quantities beyond [`MOST_SHARES`], and what is negative or no
    /// number. The bar itself is as good without them.
    #[must_use]
    pub fn without_odd_figures(self) -> Bar {
        let up_to = |most: f64| move |value: &f64| (0.0..=most).contains(value);
        Bar {
            vwap: self.vwap.filter(up_to(HIGHEST_PRICE)),
            official_open_price: self.official_open_price.filter(up_to(HIGHEST_PRICE)),
            aggregate_vwap: self.aggregate_vwap.filter(up_to(HIGHEST_PRICE)),
            accumulated_volume: self.accumulated_volume.filter(up_to(MOST_SHARES)),
            average_size: self.average_size.filter(up_to(MOST_SHARES)),
            ..self
        }
    }

    /// Whether it starts on a minute and lasts one, as each bar of a feed of minute bars does.
    pub fn is_of_a_minute(&self) -> bool {
        self.start_timestamp == time::minute_of(self.start_timestamp)
            && self.end_timestamp.checked_sub(self.start_timestamp) == Some(MINUTE)
    }

    /// Checks a bar from outside.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), BadBar> {
        symbol::check(&self.symbol)?;
        check_figures(&Candle::from(self), self.end_timestamp)
    }

    /// Whether this is a heartbeat and not a bar.
    pub fn is_heartbeat(&self) -> bool {
        symbol::is_ours(&self.symbol)
    }
}

/// Checks all of a bar from outside but its symbol.
///
/// # Errors
/// The first rule that it breaks.
#[inline]
pub fn check_figures(candle: &Candle, end: Millis) -> Result<(), BadBar> {
    let Candle { start_timestamp: start, received_timestamp: received, open, high, low, close, volume } =
        *candle;
    for (field, value) in [("open", open), ("high", high), ("low", low), ("close", close)] {
        if !(LOWEST_PRICE..=HIGHEST_PRICE).contains(&value) {
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
    if !(0.0..=MOST_SHARES).contains(&volume) {
        return Err(BadBar::Volume(volume));
    }
    if time::reads_as_seconds(start) {
        return Err(BadBar::Seconds(start));
    }
    let lasts = end.checked_sub(start).is_some_and(|length| (1..=LONGEST).contains(&length));
    if !time::is_believable(start) || !lasts {
        return Err(BadBar::Time { start, end });
    }
    if !time::is_believable(received) {
        return Err(BadBar::Received(received));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::time::MINUTE;
    use proptest::prelude::*;

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
            (Bar { symbol: "~clock0".into(), ..good() }, "heartbeats"),
            (Bar { start_timestamp: i64::MAX - 10, ..good() }, "not the times of a bar"),
            (Bar { end_timestamp: 0, ..good() }, "not the times of a bar"),
            (
                Bar { start_timestamp: -2_000_000_000_000, end_timestamp: i64::MAX, ..good() },
                "not the times of a bar",
            ),
            (Bar { high: 1.1e15, ..good() }, "high is 1100000000000000"),
            (Bar { low: 1e-16, ..good() }, "a price must be a number from 1e-15"),
            (Bar { volume: 1.7e308, ..good() }, "a number from zero to 1e18"),
            (Bar { received_timestamp: i64::MIN, ..good() }, "received_timestamp"),
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

    #[test]
    fn odd_optional_figures_are_left_out_and_cost_nothing_else() {
        let odd = Bar {
            vwap: Some(f64::NAN),
            accumulated_volume: Some(1.7e308),
            official_open_price: Some(0.0),
            aggregate_vwap: Some(-1.0),
            average_size: Some(12.0),
            ..good()
        };
        let kept = Bar { official_open_price: Some(0.0), average_size: Some(12.0), ..good() };
        assert_eq!(odd.without_odd_figures(), kept);
    }

    #[test]
    fn a_bar_of_a_minute_starts_on_one_and_lasts_one() {
        assert!(good().is_of_a_minute());
        let start = good().start_timestamp;
        for (from, to) in [(0, 2 * MINUTE), (0, 300), (1, MINUTE + 1)] {
            let bar = Bar { start_timestamp: start + from, end_timestamp: start + to, ..good() };
            assert!(!bar.is_of_a_minute(), "{from} to {to}");
        }
        let absurd = Bar { start_timestamp: i64::MIN, end_timestamp: i64::MAX, ..good() };
        assert!(!absurd.is_of_a_minute());
    }

    /// Minutes from 1900 to 2200: no aggregate holds more bars of a symbol.
    const MOST_BARS: f64 = 300.0 * 366.0 * 24.0 * 60.0;

    proptest! {
        #[test]
        fn of_what_is_accepted_no_sum_square_or_ratio_is_infinite(
            prices in prop::array::uniform4(proptest::num::f64::ANY), tame in prop::array::uniform2(1e-15_f64..1e15),
            volume in proptest::num::f64::ANY, few in 0.0..2e18, times in prop::array::uniform3(any::<i64>()),
            is_tame in prop::array::uniform3(prop::bool::weighted(0.8)),
        ) {
            let [open, high, low, close] = match is_tame[0] {
                true => [tame[0], tame[0].max(tame[1]), tame[0].min(tame[1]), tame[1]],
                false => prices,
            };
            let volume = if is_tame[1] { few } else { volume };
            let [start, end, received] = match is_tame[2] {
                true => [good().start_timestamp, good().end_timestamp, good().received_timestamp],
                false => times,
            };
            let bar = Bar {
                open, high, low, close, volume, start_timestamp: start, end_timestamp: end,
                received_timestamp: received, vwap: Some(prices[0]), accumulated_volume: Some(volume),
                ..good()
            }
            .without_odd_figures();
            if bar.check().is_ok() {
            let turnover = bar.volume * bar.high * MOST_BARS;
            let ratio = (bar.high / bar.low).ln().powi(2) * MOST_BARS;
            prop_assert!(turnover.is_finite() && ratio.is_finite() && (bar.high * bar.high).is_finite());
            prop_assert!(bar.vwap.is_none_or(|vwap| (vwap * MOST_BARS).is_finite()));
            prop_assert!(bar.accumulated_volume.is_none_or(|all| (all * MOST_BARS).is_finite()));
            prop_assert!(bar.end_timestamp - bar.start_timestamp <= LONGEST);
            }
        }
    }
}
