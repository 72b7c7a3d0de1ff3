//! Hop windows: rows are kept per group in time order, and each window that the watermark has
//! passed is aggregated over its range of rows.
//!
//! Only the rows of open windows are kept. A row belongs to the slide of its event time, and a
//! window to whole slides, as in Arroyo. Rows of one slide keep their order of arrival.

mod cells;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, TimestampNanosecondArray};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use model::time::Millis;

use crate::job::Hop;
use crate::plan::Visibility;
use crate::table::Rows;
use cells::{Cells, Kernel};

/// The incremental aggregation of one windowed query.
pub(crate) struct HopAggregate {
    hop: Hop,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    key_rows: RowConverter,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    kernels: Vec<Kernel>,
    groups: BTreeMap<OwnedRow, Group>,
    visibility: Visibility,
    /// Windows that start before this have been closed.
    next_start: Millis,
}

/// The rows of one group, ordered by slide.
struct Group {
    slides: Vec<Millis>,
    /// When each row was received, by the wall clock (ms).
    received: Vec<Millis>,
    cells: Vec<Cells>,
    /// The index of the first row that an open window needs.
    first: usize,
}

/// A window of a group, as a range of rows.
struct Slice<'a> {
    start: Millis,
    key: &'a OwnedRow,
    cells: Cow<'a, [Cells]>,
    rows: Range<usize>,
}

impl HopAggregate {
    /// An aggregation of rows of one source, grouped by `keys`.
    pub(crate) fn new(
        hop: Hop,
        keys: Vec<Arc<dyn PhysicalExpr>>,
        key_types: Vec<datafusion::arrow::datatypes::DataType>,
        aggregates: &[Arc<AggregateFunctionExpr>],
        visibility: Visibility,
    ) -> Result<HopAggregate> {
        let mut arguments: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        let mut kernels = Vec::new();
        for aggregate in aggregates {
            let places = aggregate
                .expressions()
                .into_iter()
                .map(|argument| {
                    arguments.iter().position(|known| known == &argument).unwrap_or_else(|| {
                        arguments.push(argument);
                        arguments.len() - 1
                    })
                })
                .collect();
            kernels.push(Kernel::new(aggregate, places)?);
        }
        Ok(HopAggregate {
            hop,
            keys,
            key_rows: RowConverter::new(key_types.into_iter().map(SortField::new).collect())?,
            arguments,
            kernels,
            groups: BTreeMap::new(),
            visibility,
            next_start: Millis::MIN / 2,
        })
    }

    /// Treats windows that end at or before `closed` as already emitted.
    pub(crate) fn skip_until(&mut self, closed: Millis) {
        self.next_start = self.next_start.max(self.hop.slide_of(closed - self.hop.size) + self.hop.slide);
    }

    /// The earliest event time of an open window.
    pub(crate) fn needed_from(&self) -> Millis {
        self.next_start
    }

    /// Adds rows in their order of arrival.
    pub(crate) fn push(&mut self, taken: &Rows) -> Result<()> {
        let batch = &taken.batch;
        let evaluate = |expressions: &[Arc<dyn PhysicalExpr>]| -> Result<Vec<ArrayRef>> {
            expressions
                .iter()
                .map(|expression| expression.evaluate(batch)?.into_array(batch.num_rows()))
                .collect()
        };
        let (keys, arguments) = (evaluate(&self.keys)?, evaluate(&self.arguments)?);
        let rows = if keys.is_empty() { None } else { Some(self.key_rows.convert_columns(&keys)?) };
        for (row, &event_time) in taken.event_times.iter().enumerate() {
            let slide = self.hop.slide_of(event_time);
            if slide < self.next_start {
                continue;
            }
            let key = match &rows {
                Some(rows) => rows.row(row).owned(),
                None => self.key_rows.parser().parse(&[]).owned(),
            };
            let group = self.groups.entry(key).or_insert_with(|| Group {
                slides: Vec::new(),
                received: Vec::new(),
                cells: arguments.iter().map(|argument| Cells::new(argument.data_type())).collect(),
                first: 0,
            });
            group.insert(slide, taken.received[row], &arguments, row);
        }
        Ok(())
    }

    /// Closes every window that ends at or before `watermark`. The rows are ordered by window,
    /// then by key; their columns are the keys, the start and the end of the window, and the
    /// aggregates.
    pub(crate) fn close(&mut self, watermark: Millis) -> Result<Option<Vec<ArrayRef>>> {
        let last_start = self.hop.slide_of(watermark.saturating_sub(self.hop.size));
        if last_start < self.next_start {
            return Ok(None);
        }
        let mut slices: Vec<Slice<'_>> = Vec::new();
        for (key, group) in &self.groups {
            group.slices(key, self.hop, self.next_start..=last_start, self.visibility, &mut slices);
        }
        // The sort is stable, and groups are visited in the order of their keys.
        slices.sort_by_key(|slice| slice.start);
        let columns = if slices.is_empty() { None } else { Some(self.aggregate(&slices)?) };
        drop(slices);
        self.next_start = last_start + self.hop.slide;
        let keep_from = self.next_start;
        self.groups.retain(|_, group| {
            group.forget_before(keep_from);
            !group.slides.is_empty()
        });
        Ok(columns)
    }

    fn aggregate(&self, slices: &[Slice<'_>]) -> Result<Vec<ArrayRef>> {
        let nanos = |offset: Millis| -> ArrayRef {
            let times = slices.iter().map(|slice| (slice.start + offset) * 1_000_000);
            Arc::new(TimestampNanosecondArray::from_iter_values(times))
        };
        let mut columns = if self.keys.is_empty() {
            Vec::new()
        } else {
            self.key_rows.convert_rows(slices.iter().map(|slice| slice.key.row()))?
        };
        columns.push(nanos(0));
        columns.push(nanos(self.hop.size));
        for kernel in &self.kernels {
            columns.push(
                kernel.evaluate(slices.iter().map(|slice| (slice.cells.as_ref(), slice.rows.clone())))?,
            );
        }
        Ok(columns)
    }
}

impl Group {
    fn insert(&mut self, slide: Millis, received: Millis, arguments: &[ArrayRef], row: usize) {
        let at = match self.slides.last() {
            Some(&last) if last > slide => self.slides.partition_point(|&held| held <= slide),
            _ => self.slides.len(),
        };
        self.slides.insert(at, slide);
        self.received.insert(at, received);
        for (cells, argument) in self.cells.iter_mut().zip(arguments) {
            cells.insert(at, argument, row);
        }
    }

    /// Adds the windows with at least one row and a start in `starts`.
    fn slices<'a>(
        &'a self,
        key: &'a OwnedRow,
        hop: Hop,
        starts: RangeInclusive<Millis>,
        visibility: Visibility,
        found: &mut Vec<Slice<'a>>,
    ) {
        let held = &self.slides[self.first..];
        let Some(&earliest) = held.first() else { return };
        let mut start = hop.first_start(earliest).max(*starts.start());
        while start <= *starts.end() {
            let low = held.partition_point(|&slide| slide < start);
            let high = low + held[low..].partition_point(|&slide| slide < start + hop.size);
            match held.get(high) {
                _ if low < high => {
                    let rows = self.first + low..self.first + high;
                    let known = match visibility {
                        Visibility::Complete => Some((Cow::Borrowed(self.cells.as_slice()), rows)),
                        Visibility::AsOfArrival => self.arrived(rows, start + hop.size),
                    };
                    found.extend(known.map(|(cells, rows)| Slice { start, key, cells, rows }));
                    start += hop.slide;
                }
                // The window is empty: continue with the first window that has the next row.
                Some(&next) => start = hop.first_start(next).max(start + hop.slide),
                None => return,
            }
        }
    }

    /// The rows that had been received by `until`, if there are any.
    fn arrived(&self, rows: Range<usize>, until: Millis) -> Option<(Cow<'_, [Cells]>, Range<usize>)> {
        let arrived: Vec<usize> = rows.clone().filter(|&row| self.received[row] <= until).collect();
        if arrived.len() == rows.len() {
            return Some((Cow::Borrowed(&self.cells), rows));
        }
        let picked: Vec<Cells> = self.cells.iter().map(|cells| cells.pick(&arrived)).collect();
        (!arrived.is_empty()).then(|| (Cow::Owned(picked), 0..arrived.len()))
    }

    /// Skips rows that no open window needs. They are freed in bulk, which makes the cost per
    /// row constant.
    fn forget_before(&mut self, slide: Millis) {
        self.first += self.slides[self.first..].partition_point(|&held| held < slide);
        if self.first * 2 >= self.slides.len() {
            self.slides.drain(..self.first);
            self.received.drain(..self.first);
            for cells in &mut self.cells {
                cells.forget(self.first);
            }
            self.first = 0;
        }
    }
}
