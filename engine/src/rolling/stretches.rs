//! Sums over whole stretches of time, so that a long window need not add up every bar.
//!
//! Stretches lie at fixed times, whatever came when. A window is the bars before
//! its first whole stretch, its stretches, and the bars after the last, added up in
//! that order: wherever it is computed it comes to the same bits, and to the UDF's
//! but for the last digits. Short windows have none, and come to the UDF's very bits.

use std::ops::Range;

use model::Candle;
use model::time::Millis;

use super::terms::{BODY, GAP, Terms};
use crate::job::Hop;

/// Slides in a stretch: of a day's window, the root of its length.
const SLIDES: Millis = 16;
/// Windows of fewer slides are added up bar after bar.
const LONG: Millis = 8 * SLIDES;

/// What the bars of one stretch add up to.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Which bars of the track they are.
    rows: Range<usize>,
    pub(super) sums: Terms,
    /// The squared deviations of gaps and bodies from their means.
    deviations: [f64; 2],
    /// The latest receipt of any of them.
    received: Millis,
}

impl Stretch {
    fn of(rows: Range<usize>, bars: &[Candle], terms: &[Terms]) -> Stretch {
        let mut sums = [-0.0; _];
        for bar in terms {
            sums.iter_mut().zip(bar).for_each(|(sum, term)| *sum += term);
        }
        let deviations = [GAP, BODY].map(|term| {
            let mean = sums[term] / terms.len() as f64;
            terms.iter().map(|bar| (bar[term] - mean).powi(2)).sum()
        });
        let received = bars.iter().map(|bar| bar.received_timestamp).max().unwrap_or(Millis::MIN);
        Stretch { rows, sums, deviations, received }
    }

    pub(super) fn received(&self) -> Millis {
        self.received
    }

    pub(super) fn bars(&self) -> usize {
        self.rows.len()
    }

    /// The squared deviations of gaps and bodies from other means
    /// (Chan, Golub and LeVeque, 1983, "Algorithms for Computing the Sample Variance").
    pub(super) fn deviations_from(&self, means: [f64; 2]) -> [f64; 2] {
        let n = self.bars() as f64;
        let from =
            |at: usize, term: usize| self.deviations[at] + n * (self.sums[term] / n - means[at]).powi(2);
        [from(0, GAP), from(1, BODY)]
    }
}

/// The stretches of one track, in time order.
#[derive(Debug)]
pub(super) struct Stretches {
    all: Vec<Stretch>,
    /// Bars before this row are in one, or in none for ever.
    until_row: usize,
    /// Time before this is.
    until: Millis,
}

impl Default for Stretches {
    fn default() -> Stretches {
        Stretches { all: Vec::new(), until_row: 0, until: Millis::MIN }
    }
}

impl Stretches {
    /// Adds up the stretches that end by `end`, where windows of `hop` are long enough for it.
    pub(super) fn reach(
        &mut self,
        end: Millis,
        hop: Hop,
        slides: &[Millis],
        bars: &[Candle],
        terms: &[Terms],
    ) {
        if hop.size < LONG * hop.slide {
            return;
        }
        let length = SLIDES * hop.slide;
        while let Some(slide) = slides.get(self.until_row) {
            let stretch_end = slide.div_euclid(length) * length + length;
            if stretch_end > end {
                return;
            }
            let after = slides[self.until_row..].partition_point(|slide| *slide < stretch_end);
            let rows = self.until_row..self.until_row + after;
            self.all.push(Stretch::of(rows.clone(), &bars[rows.clone()], &terms[rows]));
            (self.until_row, self.until) = (self.until_row + after, stretch_end);
        }
    }

    /// A bar came, or came otherwise: what it belongs to is added up anew.
    pub(super) fn changed(&mut self, slide: Millis, first: usize) {
        if slide < self.until {
            *self = Stretches { until_row: first, ..Stretches::default() };
        }
    }

    /// The first `rows` bars of the track are gone.
    pub(super) fn forget(&mut self, rows: usize) {
        self.all.retain(|stretch| stretch.rows.start >= rows);
        for stretch in &mut self.all {
            stretch.rows = stretch.rows.start - rows..stretch.rows.end - rows;
        }
        self.until_row = self.until_row.saturating_sub(rows);
    }

    /// Those among `rows`, and the rows before and after them. The first two bars of a
    /// window are never in one: they add less than all that they hold.
    pub(super) fn within(&self, rows: Range<usize>) -> (Range<usize>, &[Stretch], Range<usize>) {
        let from = self.all.partition_point(|stretch| stretch.rows.start < rows.start + 2);
        let to = self.all.partition_point(|stretch| stretch.rows.end <= rows.end);
        let all = self.all.get(from..to).unwrap_or_default();
        let head = all.first().map_or(rows.end, |first| first.rows.start);
        let tail = all.last().map_or(rows.end, |last| last.rows.end);
        (rows.start..head, all, tail..rows.end)
    }
}
