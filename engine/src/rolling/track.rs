//! The bars of one symbol that open windows need, in time order, with one version of each bar
//! and its terms; and sums over fixed stretches of them for long windows.

use std::ops::{Range, RangeInclusive};

use model::Candle;
use model::time::Millis;

use super::measures::{BODY, Before, GAP, Terms, terms_of};
use crate::job::Hop;

/// The bars of one symbol; see the documentation of the module.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// The slide of each bar.
    slides: Vec<Millis>,
    bars: Vec<Candle>,
    terms: Vec<Terms>,
    stretches: Stretches,
    /// The absolute log return of the last bar.
    last_return: f64,
    /// The index of the first bar that an open window needs.
    first: usize,
}

/// The bars of one window, with their terms.
pub(super) struct Slice<'a> {
    pub(super) bars: &'a [Candle],
    /// The terms of the bars before the stretches; of all bars if there is no stretch.
    pub(super) head: &'a [Terms],
    pub(super) stretches: &'a [Stretch],
    /// The terms of the bars after the stretches.
    pub(super) tail: &'a [Terms],
}

impl Track {
    /// Whether a bar with this start is after all bars of the track.
    pub(super) fn ends_before(&self, start: Millis) -> bool {
        self.bars.last().is_none_or(|last| last.start_timestamp < start)
    }

    /// Appends a bar that is after all others.
    pub(super) fn push(&mut self, slide: Millis, bar: Candle) {
        let before = self.bars.last().map(|last| Before { close: last.close, return_size: self.last_return });
        let (terms, last_return) = terms_of(&bar, before);
        self.stretches.changed(slide, self.first);
        self.slides.push(slide);
        self.bars.push(bar);
        self.terms.push(terms);
        self.last_return = last_return;
    }

    /// Inserts a bar in time order. Of several versions of a bar the one received last stays,
    /// and of equal ones the one that arrived last.
    pub(super) fn insert(&mut self, slide: Millis, bar: Candle) {
        if self.ends_before(bar.start_timestamp) {
            return self.push(slide, bar);
        }
        let at = self.bars.partition_point(|held| held.start_timestamp < bar.start_timestamp);
        let held = &mut self.bars[at];
        if held.start_timestamp != bar.start_timestamp {
            self.slides.insert(at, slide);
            self.bars.insert(at, bar);
            self.terms.insert(at, Terms::default());
        } else if held.received_timestamp <= bar.received_timestamp {
            *held = bar;
        } else {
            return;
        }
        self.stretches.changed(slide, self.first);
        self.recompute_terms(at);
    }

    /// Recomputes the terms of a changed bar, and of the two bars after it, which depend on it.
    fn recompute_terms(&mut self, changed: usize) {
        let before = |at: usize| {
            let close = self.bars[at.checked_sub(1)?].close;
            let return_size = match at.checked_sub(2) {
                Some(earlier) => (close / self.bars[earlier].close).ln().abs(),
                None => 0.0,
            };
            Some(Before { close, return_size })
        };
        for at in changed..self.bars.len().min(changed + 3) {
            let (terms, return_size) = terms_of(&self.bars[at], before(at));
            self.terms[at] = terms;
            if at + 1 == self.bars.len() {
                self.last_return = return_size;
            }
        }
    }

    /// Calls `each` for every window with at least one bar and a start in `starts`.
    pub(super) fn windows(
        &mut self,
        hop: Hop,
        starts: RangeInclusive<Millis>,
        mut each: impl FnMut(Millis, &Slice<'_>),
    ) {
        let (mut low, mut high, count) = (self.first, self.first, self.slides.len());
        let Some(&earliest) = self.slides.get(low) else { return };
        let mut start = hop.first_start(earliest).max(*starts.start());
        while start <= *starts.end() {
            while low < count && self.slides[low] < start {
                low += 1;
            }
            high = high.max(low);
            while high < count && self.slides[high] < start + hop.size {
                high += 1;
            }
            match self.slides.get(high) {
                _ if low < high => {
                    self.stretches.reach(start + hop.size, hop, &self.slides, &self.bars, &self.terms);
                    each(start, &self.slice(low..high));
                    start += hop.slide;
                }
                // The window is empty: continue with the first window that has the next bar.
                Some(&next) => start = hop.first_start(next).max(start + hop.slide),
                None => return,
            }
        }
    }

    fn slice(&self, rows: Range<usize>) -> Slice<'_> {
        let (head, stretches, tail) = self.stretches.within(rows.clone());
        Slice { bars: &self.bars[rows], head: &self.terms[head], stretches, tail: &self.terms[tail] }
    }

    /// Skips bars that no open window needs. They are freed in bulk, which makes the cost per
    /// bar constant.
    pub(super) fn forget_before(&mut self, slide: Millis) {
        self.first += self.slides[self.first..].partition_point(|&held| held < slide);
        if self.first * 2 >= self.slides.len() {
            self.slides.drain(..self.first);
            self.bars.drain(..self.first);
            self.terms.drain(..self.first);
            self.stretches.forget(self.first);
            self.first = 0;
        }
    }

    /// Whether no open window needs any bar.
    pub(super) fn is_empty(&self) -> bool {
        self.first == self.slides.len()
    }
}

// Sums over whole stretches of time, so that a long window need not add up every bar.
//
// Stretches begin at fixed times, independent of arrival. A window is the sum of the bars
// before its first whole stretch, of its stretches, and of the bars after the last one, in that
// order: every computation has the same bits, and differs from the UDF only by rounding. Short
// windows have no stretches, and have the bits of the UDF.

/// The number of slides in a stretch; close to the square root of the slides of a window of one
/// trading session.
const SLIDES: Millis = 16;
/// Windows of fewer slides have no stretches.
const LONG: Millis = 8 * SLIDES;

/// The sums of the bars of one stretch.
#[derive(Debug)]
pub(super) struct Stretch {
    /// The indices of the bars in the track.
    rows: Range<usize>,
    pub(super) sums: Terms,
    /// The sums of squared deviations of gaps and bodies from their means.
    deviations: [f64; 2],
    /// The latest `received_timestamp` of the bars (wall clock, ms).
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

    /// The sums of squared deviations of gaps and bodies from other means (Chan, Golub and
    /// LeVeque, 1983, "Algorithms for Computing the Sample Variance").
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
    /// The index of the first bar that no stretch has been made for yet.
    until_row: usize,
    /// The time up to which stretches have been made.
    until: Millis,
}

impl Default for Stretches {
    fn default() -> Stretches {
        Stretches { all: Vec::new(), until_row: 0, until: Millis::MIN }
    }
}

impl Stretches {
    /// Adds the stretches that end at or before `end`, if windows of `hop` are long enough to
    /// use them.
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

    /// Removes the stretches from `slide` on, because a bar there was added or changed.
    pub(super) fn changed(&mut self, slide: Millis, first: usize) {
        if slide < self.until {
            *self = Stretches { until_row: first, ..Stretches::default() };
        }
    }

    /// Shifts all indices after the first `rows` bars were removed.
    pub(super) fn forget(&mut self, rows: usize) {
        self.all.retain(|stretch| stretch.rows.start >= rows);
        for stretch in &mut self.all {
            stretch.rows = stretch.rows.start - rows..stretch.rows.end - rows;
        }
        self.until_row = self.until_row.saturating_sub(rows);
    }

    /// The stretches within `rows`, and the rows before and after them. The first two bars of a
    /// window are never in a stretch, because some of their terms do not count.
    pub(super) fn within(&self, rows: Range<usize>) -> (Range<usize>, &[Stretch], Range<usize>) {
        let from = self.all.partition_point(|stretch| stretch.rows.start < rows.start + 2);
        let to = self.all.partition_point(|stretch| stretch.rows.end <= rows.end);
        let all = self.all.get(from..to).unwrap_or_default();
        let head = all.first().map_or(rows.end, |first| first.rows.start);
        let tail = all.last().map_or(rows.end, |last| last.rows.end);
        (rows.start..head, all, tail..rows.end)
    }
}
