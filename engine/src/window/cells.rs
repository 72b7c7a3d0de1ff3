//! The values of one argument of an aggregate for the rows of one group, as vectors of which
//! each window is a range; and the aggregation of such a range.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array,
    StringArray, UInt32Array, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, not_impl_err};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use udfs::{Column, Kind, Udf, Value};

use crate::udaf;

/// A column of values and their NULLs.
#[derive(Clone)]
pub(crate) enum Cells {
    Float(Vec<f64>, Gaps),
    Int(Vec<i64>, Gaps),
    /// Times in nanoseconds.
    Time(Vec<i64>, Gaps),
    Bool(Vec<bool>, Gaps),
    /// Values of any other type.
    Other(Vec<ScalarValue>, DataType),
}

/// Which rows are NULL; empty if none is.
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

    /// Whether no row of a range is NULL.
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

    /// Inserts the value of `column` at `row` before the cell `at`.
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

    /// Removes the first `rows` cells.
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

    /// The cells of the given rows.
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

/// Computes one aggregate over one window: a UDF called directly on the cells, or an aggregate
/// of DataFusion through its accumulator. `places` are the indices of its arguments.
pub(crate) enum Kernel {
    Udf { udf: &'static Udf, places: Vec<usize> },
    BuiltIn { aggregate: Arc<AggregateFunctionExpr>, places: Vec<usize> },
}

impl Kernel {
    pub(crate) fn new(aggregate: &Arc<AggregateFunctionExpr>, places: Vec<usize>) -> Result<Kernel> {
        let Some(udf) = udaf::named(aggregate.fun().name()) else {
            return Ok(Kernel::BuiltIn { aggregate: aggregate.clone(), places });
        };
        if aggregate.is_distinct() {
            return not_impl_err!("`{}(DISTINCT …)`: it settles repeated rows itself", udf.name);
        }
        Ok(Kernel::Udf { udf, places })
    }

    /// The value for each window, which is a range of the cells of a group.
    pub(crate) fn evaluate<'a>(
        &self,
        windows: impl Iterator<Item = (&'a [Cells], Range<usize>)>,
    ) -> Result<ArrayRef> {
        match self {
            Kernel::Udf { udf, places } => {
                let values = windows
                    .map(|(cells, rows)| call(udf, places, cells, &rows))
                    .collect::<Result<Vec<Value>>>()?;
                result_array(udf.returns, values)
            }
            Kernel::BuiltIn { aggregate, places } => {
                let values = windows
                    .map(|(cells, rows)| {
                        let mut accumulator = aggregate.create_accumulator()?;
                        let arguments = places
                            .iter()
                            .map(|&place| cells[place].array(rows.clone()))
                            .collect::<Result<Vec<_>>>()?;
                        accumulator.update_batch(&arguments)?;
                        accumulator.evaluate()
                    })
                    .collect::<Result<Vec<_>>>()?;
                ScalarValue::iter_to_array(values)
            }
        }
    }
}

/// Calls the UDF on a range of cells. Rows with a NULL in an argument that does not accept
/// NULLs are left out, as Arroyo does.
fn call(udf: &Udf, places: &[usize], cells: &[Cells], rows: &Range<usize>) -> Result<Value> {
    enum Given<'a> {
        Floats(Cow<'a, [f64]>),
        FloatOptions(Vec<Option<f64>>),
        Ints(Cow<'a, [i64]>),
        IntOptions(Vec<Option<i64>>),
        Bools(Cow<'a, [bool]>),
        BoolOptions(Vec<Option<bool>>),
    }
    let given = udf
        .arguments
        .iter()
        .zip(places)
        .map(|(argument, &place)| {
            Ok(match (&cells[place], argument.nullable) {
                (Cells::Float(values, gaps), false) => Given::Floats(present(values, gaps, rows)),
                (Cells::Float(values, gaps), true) => Given::FloatOptions(options(values, gaps, rows)),
                (Cells::Int(values, gaps), false) => Given::Ints(present(values, gaps, rows)),
                (Cells::Int(values, gaps), true) => Given::IntOptions(options(values, gaps, rows)),
                (Cells::Bool(values, gaps), false) => Given::Bools(present(values, gaps, rows)),
                (Cells::Bool(values, gaps), true) => Given::BoolOptions(options(values, gaps, rows)),
                _ => {
                    return not_impl_err!(
                        "an argument of type {} in the window aggregate `{}`: doubles, 64-bit integers and booleans are supported",
                        udaf::data_type(argument.kind),
                        udf.name
                    );
                }
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let columns: Vec<Column<'_>> = given
        .iter()
        .map(|given| match given {
            Given::Floats(values) => Column::F64(values),
            Given::FloatOptions(values) => Column::F64Option(values),
            Given::Ints(values) => Column::I64(values),
            Given::IntOptions(values) => Column::I64Option(values),
            Given::Bools(values) => Column::Bool(values),
            Given::BoolOptions(values) => Column::BoolOption(values),
        })
        .collect();
    Ok((udf.call)(&columns))
}

fn present<'a, T: Copy>(values: &'a [T], gaps: &Gaps, rows: &Range<usize>) -> Cow<'a, [T]> {
    if gaps.none_in(rows) {
        Cow::Borrowed(&values[rows.clone()])
    } else {
        rows.clone().filter(|&at| !gaps.at(at)).map(|at| values[at]).collect()
    }
}

fn options<T: Copy>(values: &[T], gaps: &Gaps, rows: &Range<usize>) -> Vec<Option<T>> {
    rows.clone().map(|at| (!gaps.at(at)).then_some(values[at])).collect()
}

fn result_array(kind: Kind, values: Vec<Value>) -> Result<ArrayRef> {
    macro_rules! collect {
        ($variant:ident, $array:ty) => {
            values
                .into_iter()
                .map(|value| match value {
                    Value::Null => Ok(None),
                    Value::$variant(value) => Ok(Some(value)),
                    _ => exec_err!("a UDF returned another type than it says"),
                })
                .collect::<Result<Vec<_>>>()
                .map(|values| Arc::new(<$array>::from_iter(values)) as ArrayRef)
        };
    }
    match udaf::data_type(kind) {
        DataType::Boolean => collect!(Bool, BooleanArray),
        DataType::Int32 => collect!(I32, Int32Array),
        DataType::Int64 => collect!(I64, Int64Array),
        DataType::UInt32 => collect!(U32, UInt32Array),
        DataType::UInt64 => collect!(U64, UInt64Array),
        DataType::Float32 => collect!(F32, Float32Array),
        DataType::Float64 => collect!(F64, Float64Array),
        DataType::Utf8 => collect!(Text, StringArray),
        _ => collect!(Bytes, BinaryArray),
    }
}
