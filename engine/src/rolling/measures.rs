//! The measures that are sums over bars, each by the definition in its file in `udfs/`; the
//! terms of a bar; and the sums of a window.

use std::f64::consts::{FRAC_PI_2, LN_2};

use model::Candle;
use model::schema::{ColumnType, Value};

use super::track::{Slice, Stretch};

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

    /// Its value over a window; NaN if it is not defined there.
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

    /// Its value as a value of a row.
    pub(super) fn as_value(self, value: f64) -> Value {
        match self.kind() {
            _ if value.is_nan() => Value::Null,
            ColumnType::Int | ColumnType::Time => Value::Int(value as i64),
            _ => Value::Float(value + 0.0),
        }
    }
}

/// The square root of a variance. Rounding or bad prices can make the variance negative, which
/// counts as zero.
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

/// The latest `received_timestamp` of a bar, in epoch ms; a double represents every valid time
/// exactly.
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

// The terms of a bar, and the sums of a window.
//
// Logarithms are computed once per bar instead of once per bar and window. The sums of each
// window are added up from the start in time order (whole stretches at once in long windows),
// because subtracting the bars that leave a window accumulates rounding errors.

/// Terms that are summed over all bars of a window.
pub(super) const SQUARED_RANGE: usize = 0;
pub(super) const GARMAN_KLASS: usize = 1;
pub(super) const ROGERS_SATCHELL: usize = 2;
pub(super) const VOLUME: usize = 3;
/// Terms that are summed from the second bar on, because they need the bar before.
pub(super) const SQUARED_RETURN: usize = 4;
pub(super) const GKYZ: usize = 5;
pub(super) const GAP: usize = 6;
pub(super) const BODY: usize = 7;
pub(super) const LATER_ROGERS_SATCHELL: usize = 8;
/// The term that is summed from the third bar on.
pub(super) const PRODUCT: usize = 9;
const ALL: usize = 10;

/// The terms of one bar, indexed by the constants above.
pub(super) type Terms = [f64; ALL];

/// The close and the absolute log return of the previous bar.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub(super) close: f64,
    pub(super) return_size: f64,
}

/// The terms of a bar, and its absolute log return. Without a previous bar the terms that need
/// one are zero, and no window adds them.
pub(super) fn terms_of(bar: &Candle, before: Option<Before>) -> (Terms, f64) {
    let range = (bar.high / bar.low).ln();
    let up = (bar.high / bar.open).ln();
    let down = (bar.low / bar.open).ln();
    let body = (bar.close / bar.open).ln();
    let bodies = (2.0 * LN_2 - 1.0) * body.powi(2);
    let rogers_satchell = up * (up - body) + down * (down - body);
    let mut terms = [0.0; ALL];
    terms[SQUARED_RANGE] = range.powi(2);
    terms[GARMAN_KLASS] = 0.5 * range.powi(2) - bodies;
    terms[ROGERS_SATCHELL] = rogers_satchell;
    terms[VOLUME] = bar.volume;
    let Some(before) = before else { return (terms, 0.0) };
    let gap = (bar.open / before.close).ln();
    let log_return = (bar.close / before.close).ln();
    terms[SQUARED_RETURN] = log_return.powi(2);
    terms[GKYZ] = gap.powi(2) + 0.5 * range.powi(2) - bodies;
    terms[GAP] = gap;
    terms[BODY] = body;
    terms[LATER_ROGERS_SATCHELL] = rogers_satchell;
    terms[PRODUCT] = before.return_size * log_return.abs();
    (terms, log_return.abs())
}

/// The sums of one window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    /// The number of bars.
    pub(super) bars: usize,
    /// The sums, indexed by the constants above.
    pub(super) of: Terms,
}

impl Sums {
    /// Adds up the terms of the bars of a window.
    pub(super) fn over(window: &Slice<'_>) -> Sums {
        // Rust's sum of no floats is -0.0: adding it to a number does not change the number.
        let mut of = [-0.0; ALL];
        if let Some(first) = window.head.first() {
            of[..SQUARED_RETURN].copy_from_slice(&first[..SQUARED_RETURN]);
        }
        if let Some(second) = window.head.get(1) {
            (0..PRODUCT).for_each(|term| of[term] += second[term]);
        }
        for bar in window.head.iter().skip(2) {
            (0..ALL).for_each(|term| of[term] += bar[term]);
        }
        for stretch in window.stretches {
            (0..ALL).for_each(|term| of[term] += stretch.sums[term]);
        }
        for bar in window.tail {
            (0..ALL).for_each(|term| of[term] += bar[term]);
        }
        Sums { bars: window.bars.len(), of }
    }
}

/// The sample variances of gaps and bodies from the second bar on.
///
/// In two passes: the difference between the mean square and the squared mean would lose its
/// precision in a window with a stock split.
pub(super) fn variances(sums: &Sums, window: &Slice<'_>) -> (f64, f64) {
    let m = (sums.bars - 1) as f64;
    let means = [sums.of[GAP] / m, sums.of[BODY] / m];
    let mut deviations = [-0.0; 2];
    let mut add = |[gaps, bodies]: [f64; 2]| {
        deviations[0] += gaps;
        deviations[1] += bodies;
    };
    let of_bar = |bar: &Terms| [(bar[GAP] - means[0]).powi(2), (bar[BODY] - means[1]).powi(2)];
    window.head[1..].iter().for_each(|bar| add(of_bar(bar)));
    window.stretches.iter().for_each(|stretch| add(stretch.deviations_from(means)));
    window.tail.iter().for_each(|bar| add(of_bar(bar)));
    (deviations[0] / (m - 1.0), deviations[1] / (m - 1.0))
}
