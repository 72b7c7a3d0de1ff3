//! The values of one argument for the rows of one group, in plain vectors: a
//! window is a range of them.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType};
use datafusion::common::{Result, ScalarValue};

/// A column of values with its gaps.
#[derive(Clone)]
pub(crate) enum Cells {
    Float(Vec<f64>, Gaps),
    Int(Vec<i64>, Gaps),
    /// Nanoseconds.
    Time(Vec<i64>, Gaps),
    Bool(Vec<bool>, Gaps),
    /// Any other type, value by value.
    Other(Vec<ScalarValue>, DataType),
}

/// Which rows are NULL; empty as long as none is.
#[derive(Clone, Default)]
pub(crate) struct Gaps(Vec<bool>);

impl Gaps {
    fn insert(&mut self, at: usize, held: usize, null: bool) {
        if null && self.0.is_empty() {
            self.0 = vec![false; held];
        }
        if null || !self.0.is_empty() {
            self.0.insert(at, null);
        }
    }

    fn forget(&mut self, rows: usize) {
        self.0.drain(..rows.min(self.0.len()));
        if !self.0.contains(&true) {
            self.0.clear();
        }
    }

    fn pick(&self, rows: &[usize]) -> Gaps {
        Gaps(if self.0.is_empty() { Vec::new() } else { rows.iter().map(|&row| self.0[row]).collect() })
    }

    /// Whether a range holds no NULL.
    pub(crate) fn none_in(&self, rows: &Range<usize>) -> bool {
        self.0.is_empty() || !self.0[rows.clone()].contains(&true)
    }

    /// Whether row `at` is NULL.
    pub(crate) fn at(&self, at: usize) -> bool {
        self.0.get(at).copied().unwrap_or(false)
    }
}

impl Cells {
    pub(crate) fn new(kind: &DataType) -> Cells {
        match kind {
            DataType::Float64 => Cells::Float(Vec::new(), Gaps::default()),
            DataType::Int64 => Cells::Int(Vec::new(), Gaps::default()),
            DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Nanosecond, None) => {
                Cells::Time(Vec::new(), Gaps::default())
            }
            DataType::Boolean => Cells::Bool(Vec::new(), Gaps::default()),
            other => Cells::Other(Vec::new(), other.clone()),
        }
    }

    /// Puts the value of `column` at `row` before the cell `at`.
    pub(crate) fn insert(&mut self, at: usize, column: &ArrayRef, row: usize) {
        let null = column.is_null(row);
        match self {
            Cells::Float(values, gaps) => {
                gaps.insert(at, values.len(), null);
                values.insert(at, column.as_primitive::<Float64Type>().value(row));
            }
            Cells::Int(values, gaps) => {
                gaps.insert(at, values.len(), null);
                values.insert(at, column.as_primitive::<Int64Type>().value(row));
            }
            Cells::Time(values, gaps) => {
                gaps.insert(at, values.len(), null);
                values.insert(at, column.as_primitive::<TimestampNanosecondType>().value(row));
            }
            Cells::Bool(values, gaps) => {
                gaps.insert(at, values.len(), null);
                values.insert(at, column.as_boolean().value(row));
            }
            Cells::Other(values, kind) => {
                let value =
                    ScalarValue::try_from_array(column, row).or_else(|_| ScalarValue::try_from(&*kind));
                values.insert(at, value.unwrap_or(ScalarValue::Null));
            }
        }
    }

    /// Drops the first `rows` cells.
    pub(crate) fn forget(&mut self, rows: usize) {
        match self {
            Cells::Float(values, gaps) => {
                values.drain(..rows);
                gaps.forget(rows);
            }
            Cells::Int(values, gaps) | Cells::Time(values, gaps) => {
                values.drain(..rows);
                gaps.forget(rows);
            }
            Cells::Bool(values, gaps) => {
                values.drain(..rows);
                gaps.forget(rows);
            }
            Cells::Other(values, _) => drop(values.drain(..rows)),
        }
    }

    /// Only the cells of some rows.
    pub(crate) fn pick(&self, rows: &[usize]) -> Cells {
        fn of<T: Clone>(values: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|&row| values[row].clone()).collect()
        }
        match self {
            Cells::Float(values, gaps) => Cells::Float(of(values, rows), gaps.pick(rows)),
            Cells::Int(values, gaps) => Cells::Int(of(values, rows), gaps.pick(rows)),
            Cells::Time(values, gaps) => Cells::Time(of(values, rows), gaps.pick(rows)),
            Cells::Bool(values, gaps) => Cells::Bool(of(values, rows), gaps.pick(rows)),
            Cells::Other(values, kind) => Cells::Other(of(values, rows), kind.clone()),
        }
    }

    /// A range of cells as an Arrow array.
    pub(crate) fn array(&self, rows: Range<usize>) -> Result<ArrayRef> {
        Ok(match self {
            Cells::Float(values, gaps) if gaps.none_in(&rows) => {
                Arc::new(Float64Array::from(values[rows].to_vec()))
            }
            Cells::Float(values, gaps) => {
                Arc::new(rows.map(|at| (!gaps.at(at)).then_some(values[at])).collect::<Float64Array>())
            }
            Cells::Int(values, gaps) => int_array(values, gaps, rows),
            Cells::Time(values, gaps) => cast(
                &int_array(values, gaps, rows),
                &DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Nanosecond, None),
            )?,
            Cells::Bool(values, gaps) => {
                Arc::new(rows.map(|at| (!gaps.at(at)).then_some(values[at])).collect::<BooleanArray>())
            }
            Cells::Other(values, DataType::Utf8) => {
                let text = |value: &ScalarValue| value.try_as_str().flatten().map(str::to_owned);
                Arc::new(values[rows].iter().map(text).collect::<StringArray>())
            }
            Cells::Other(values, _) => ScalarValue::iter_to_array(values[rows].iter().cloned())?,
        })
    }
}

fn int_array(values: &[i64], gaps: &Gaps, rows: Range<usize>) -> ArrayRef {
    if gaps.none_in(&rows) {
        Arc::new(Int64Array::from(values[rows].to_vec()))
    } else {
        Arc::new(rows.map(|at| (!gaps.at(at)).then_some(values[at])).collect::<Int64Array>())
    }
}
