//! The measures that are sums over bars, each as its file in `udfs/` defines it.

use std::f64::consts::{FRAC_PI_2, LN_2};

use model::schema::{ColumnType, Value};

use super::stretches::Stretch;
use super::terms::{
    GARMAN_KLASS, GKYZ, LATER_ROGERS_SATCHELL, PRODUCT, ROGERS_SATCHELL, SQUARED_RANGE, SQUARED_RETURN, Sums,
    VOLUME, variances,
};
use super::track::Slice;

/// A measure over the bars of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// `count(DISTINCT start_timestamp)`.
    Bars,
    Realized,
    Bipower,
    Parkinson,
    GarmanKlass,
    RogersSatchell,
    Gkyz,
    YangZhang,
    JumpShare,
    LogReturn,
    Volume,
    /// `max(received_timestamp)`.
    ReceivedUntil,
}

impl Measure {
    /// The measure that the UDF `name` computes.
    pub(super) fn named(name: &str) -> Option<Measure> {
        Some(match name {
            "realized" => Measure::Realized,
            "bipower" => Measure::Bipower,
            "parkinson" => Measure::Parkinson,
            "garman_klass" => Measure::GarmanKlass,
            "rogers_satchell" => Measure::RogersSatchell,
            "gkyz" => Measure::Gkyz,
            "yang_zhang" => Measure::YangZhang,
            "jump_share" => Measure::JumpShare,
            "log_return" => Measure::LogReturn,
            "volume" => Measure::Volume,
            _ => return None,
        })
    }

    /// The type of its column.
    pub(super) fn kind(self) -> ColumnType {
        match self {
            Measure::Bars => ColumnType::Int,
            Measure::ReceivedUntil => ColumnType::Time,
            _ => ColumnType::Float,
        }
    }

    /// Its value over a window; NaN where there is none.
    pub(super) fn over(self, sums: &Sums, window: &Slice<'_>) -> f64 {
        let (n, of) = (sums.bars as f64, &sums.of);
        match self {
            Measure::Bars => n,
            Measure::Realized if sums.bars >= 2 => root(of[SQUARED_RETURN]),
            Measure::Bipower if sums.bars >= 3 => root(FRAC_PI_2 * of[PRODUCT]),
            Measure::Parkinson => root(of[SQUARED_RANGE] / (4.0 * n * LN_2)),
            Measure::GarmanKlass => root(of[GARMAN_KLASS] / n),
            Measure::RogersSatchell => root(of[ROGERS_SATCHELL] / n),
            Measure::Gkyz if sums.bars >= 2 => root(of[GKYZ] / (n - 1.0)),
            Measure::YangZhang if sums.bars >= 3 => root(yang_zhang(sums, window)),
            Measure::JumpShare if sums.bars >= 3 => jump_share(sums),
            Measure::LogReturn => finite(log_return(window)),
            Measure::Volume => finite(of[VOLUME]),
            Measure::ReceivedUntil => received_until(window),
            _ => f64::NAN,
        }
    }

    /// A value as the row shows it.
    pub(super) fn as_value(self, value: f64) -> Value {
        match self.kind() {
            _ if value.is_nan() => Value::Null,
            ColumnType::Int | ColumnType::Time => Value::Int(value as i64),
            _ => Value::Float(value + 0.0),
        }
    }
}

/// The root of a squared value; nothing below zero, where bad prints and rounding can lead.
fn root(squared: f64) -> f64 {
    if squared.is_finite() { squared.max(0.0).sqrt() } else { f64::NAN }
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}

fn yang_zhang(sums: &Sums, window: &Slice<'_>) -> f64 {
    let m = (sums.bars - 1) as f64;
    let k = 0.34 / (1.34 + (m + 1.0) / (m - 1.0));
    let (gaps, bodies) = variances(sums, window);
    gaps + k * bodies + (1.0 - k) * (sums.of[LATER_ROGERS_SATCHELL] / m)
}

fn jump_share(sums: &Sums) -> f64 {
    let realized = sums.of[SQUARED_RETURN];
    let jumps = realized - FRAC_PI_2 * sums.of[PRODUCT];
    match jumps.is_finite() {
        true if realized > 0.0 => jumps.max(0.0) / realized,
        true => 0.0,
        false => f64::NAN,
    }
}

/// The latest receipt of any bar, in epoch milliseconds: exact as a double for any time
/// that there is.
fn received_until(window: &Slice<'_>) -> f64 {
    let (head, tail) = (window.head.len(), window.bars.len() - window.tail.len());
    let bars = window.bars[..head].iter().chain(&window.bars[tail..]).map(|bar| bar.received_timestamp);
    let received = bars.chain(window.stretches.iter().map(Stretch::received));
    received.max().map_or(f64::NAN, |received| received as f64)
}

fn log_return(window: &Slice<'_>) -> f64 {
    match (window.bars.first(), window.bars.last()) {
        (Some(first), Some(last)) => (last.close / first.open).ln(),
        _ => f64::NAN,
    }
}
