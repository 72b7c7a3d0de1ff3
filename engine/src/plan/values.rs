//! Arrow columns as values of a job's columns.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};
use datafusion::common::Result;
use model::schema::{Column, ColumnType, Value};

/// The rows that arrays hold side by side, as values of `columns`.
pub(crate) fn rows(arrays: &[ArrayRef], columns: &[Column]) -> Result<Vec<Vec<Value>>> {
    let count = arrays.first().map_or(0, |array| array.len());
    let columns = columns
        .iter()
        .zip(arrays)
        .map(|(column, array)| values(array, column.kind))
        .collect::<Result<Vec<_>>>()?;
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    Ok((0..count).map(|_| columns.iter_mut().filter_map(Iterator::next).collect()).collect())
}

/// An Arrow column as values of `kind`; a NULL and what is not finite are null.
fn values(array: &ArrayRef, kind: ColumnType) -> Result<Vec<Value>> {
    let rows = 0..array.len();
    macro_rules! read {
        ($array:expr, $value:expr) => {{
            let typed = $array;
            rows.map(|row| if typed.is_null(row) { Value::Null } else { $value(typed.value(row)) }).collect()
        }};
    }
    Ok(match kind {
        ColumnType::Float => {
            let array = cast(array, &DataType::Float64)?;
            let value = |value: f64| if value.is_finite() { Value::Float(value + 0.0) } else { Value::Null };
            read!(array.as_primitive::<Float64Type>(), value)
        }
        ColumnType::Int => {
            let array = cast(array, &DataType::Int64)?;
            read!(array.as_primitive::<Int64Type>(), Value::Int)
        }
        ColumnType::Time => {
            let array = cast(array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
            read!(array.as_primitive::<TimestampMillisecondType>(), Value::Int)
        }
        ColumnType::Bool => {
            let array = cast(array, &DataType::Boolean)?;
            read!(array.as_boolean(), Value::Bool)
        }
        ColumnType::Text => {
            let array = cast(array, &DataType::Utf8)?;
            read!(array.as_string::<i32>(), |text: &str| Value::Text(text.to_owned()))
        }
    })
}
