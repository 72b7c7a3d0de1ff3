//! The bars of one symbol that open windows need: in time order, one version
//! of each, with their terms.

use std::ops::{Range, RangeInclusive};

use model::Candle;
use model::time::Millis;

use super::measures::{BODY, Before, GAP, Terms, terms_of};
use crate::job::Hop;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// The slide that each bar falls into.
    slides: Vec<Millis>,
    bars: Vec<Candle>,
    terms: Vec<Terms>,
    stretches: Stretches,
    /// The size of the last bar's return.
    last_return: f64,
    /// Bars before this belong to no open window any more.
    first: usize,
}

/// The bars of one window.
pub(super) struct Slice<'a> {
    pub(super) bars: &'a [Candle],
    /// The terms of the bars before the stretches; of all bars where there are none.
    pub(super) head: &'a [Terms],
    pub(super) stretches: &'a [Stretch],
    /// Of the bars after them.
    pub(super) tail: &'a [Terms],
}

impl Track {
    /// Whether a bar that starts at `start` comes after all that are here.
    pub(super) fn ends_before(&self, start: Millis) -> bool {
        self.bars.last().is_none_or(|last| last.start_timestamp < start)
    }

    /// Adds a bar that comes after all others.
    pub(super) fn push(&mut self, slide: Millis, bar: Candle) {
        let before = self.bars.last().map(|last| Before { close: last.close, return_size: self.last_return });
        let (terms, last_return) = terms_of(&bar, before);
        self.stretches.changed(slide, self.first);
        self.slides.push(slide);
        self.bars.push(bar);
        self.terms.push(terms);
        self.last_return = last_return;
    }

    /// Adds a bar wherever it belongs. Of the versions of a bar the last received
    /// stays, of equal ones the last to come.
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
        self.work_out_again(at);
    }

    /// A bar changes its own terms, and those of the two that follow.
    fn work_out_again(&mut self, changed: usize) {
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

    /// Gives every window whose start lies in `starts` and that holds a bar.
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
                // Nothing in this window: on to the first one that holds the next bar.
                Some(&next) => start = hop.first_start(next).max(start + hop.slide),
                None => return,
            }
        }
    }

    fn slice(&self, rows: Range<usize>) -> Slice<'_> {
        let (head, stretches, tail) = self.stretches.within(rows.clone());
        Slice { bars: &self.bars[rows], head: &self.terms[head], stretches, tail: &self.terms[tail] }
    }

    /// Passes over bars that no open window needs, and frees them in bulk, so
    /// that their cost is shared by the bars that replace them.
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

    /// Whether no bar is needed any more.
    pub(super) fn is_empty(&self) -> bool {
        self.first == self.slides.len()
    }
}

// Sums over whole stretches of time, so that a long window need not add up every bar.
//
// Stretches lie at fixed times, whatever came when. A window is the bars before
// its first whole stretch, its stretches, and the bars after the last, added up in
// that order: wherever it is computed it comes to the same bits, and to the UDF's
// but for the last digits. Short windows have none, and come to the UDF's very bits.

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
