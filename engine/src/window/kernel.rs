//! One aggregate over one window: a UDF called directly on the cells, or an
//! aggregate of DataFusion through its accumulator.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray,
    UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, not_impl_err};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use udfs::{Column, Kind, Udf, Value};

use super::cells::{Cells, Gaps};
use crate::udaf;

/// What computes one aggregate; `places` say which arguments it takes.
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

    /// The value for each window, a window being a range of a group's cells.
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

/// The UDF over a range of cells. A NULL is left out of an argument that does
/// not take NULLs, exactly as Arroyo leaves it out.
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
                        "an argument of type {} in the window aggregate `{}`: doubles, 64-bit integers and booleans are taken",
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
