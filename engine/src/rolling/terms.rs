//! What each bar adds to the sums that measures are made of, and those sums.
//!
//! Logarithms are taken once a bar and not once a bar and window. A window's
//! sums are added up anew, bar after bar in time order, whole stretches of long
//! windows at once: subtracting what leaves a window drifts.

use std::f64::consts::LN_2;

use model::Candle;

use super::track::Slice;

/// Sums over all bars of a window.
pub(super) const SQUARED_RANGE: usize = 0;
pub(super) const GARMAN_KLASS: usize = 1;
pub(super) const ROGERS_SATCHELL: usize = 2;
pub(super) const VOLUME: usize = 3;
/// Sums from the second bar on: what a bar adds together with the one before it.
pub(super) const SQUARED_RETURN: usize = 4;
pub(super) const GKYZ: usize = 5;
pub(super) const GAP: usize = 6;
pub(super) const BODY: usize = 7;
pub(super) const LATER_ROGERS_SATCHELL: usize = 8;
/// A sum from the third bar on.
pub(super) const PRODUCT: usize = 9;
const ALL: usize = 10;

/// The terms of one bar, by the constants above.
pub(super) type Terms = [f64; ALL];

/// Of the bar before: its close, and how large its own return was.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub(super) close: f64,
    pub(super) return_size: f64,
}

/// The terms of a bar, and the size of its return. Where nothing came before,
/// the terms that need it are none, and no window adds them up.
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
    /// How many bars it holds.
    pub(super) bars: usize,
    /// The sums, by the constants above.
    pub(super) of: Terms,
}

impl Sums {
    /// Adds up the terms of a window's bars.
    pub(super) fn over(window: &Slice<'_>) -> Sums {
        // What Rust's own sum of no floats is: adding it to a number changes nothing.
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

/// The sample variances of gaps and bodies from the second bar on, whose sums are known.
///
/// In two passes: a mean square less a squared mean would lose a split's window its digits.
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
