//! The functions that a query may use, and the conversion between stored rows and Arrow arrays.
//! Functions are listed by name, so that those of a new version of DataFusion stay unavailable
//! until they have been reviewed.
//!
//! Not listed are functions that make long texts or arrays from short input (`repeat`, `lpad`,
//! `rpad`, `range`, `array_repeat`), those with a cost quadratic in the length of a text
//! (`levenshtein`), and those that reveal the program's internals.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringArray, TimestampMillisecondArray,
};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SessionStateDefaults;
use datafusion::functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use datafusion_functions_nested::planner::{FieldAccessPlanner, NestedFunctionPlanner};
use model::schema::{Column, ColumnType, Value};
use store::{Measurement, Rows};

use crate::explore::checked;

/// Scalar functions. Their aliases (`length`, `position`, `trim`) are available too.
const SCALAR: &[&str] = &[
    // Any value.
    "arrow_typeof",
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "nvl",
    "nvl2",
    // Times.
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "now",
    "to_char",
    "to_date",
    "to_local_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    // Numbers.
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "power",
    "radians",
    "random",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    // Texts.
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "find_in_set",
    "initcap",
    "left",
    "lower",
    "ltrim",
    "octet_length",
    "overlay",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "to_hex",
    "translate",
    "upper",
    // Arrays, as made by `array_agg` and `[1, 2]`.
    "array_element",
    "array_has",
    "array_length",
    "array_to_string",
    "cardinality",
    "make_array",
];

const AGGREGATE: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// The scalar functions that may be used.
pub(crate) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let nested = datafusion_functions_nested::all_default_nested_functions();
    let known = SessionStateDefaults::default_scalar_functions().into_iter().chain(nested);
    known.filter(|function| SCALAR.contains(&function.name())).collect()
}

/// The aggregate functions that may be used, with a `sum` that does not wrap.
pub(crate) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let known = SessionStateDefaults::default_aggregate_functions().into_iter();
    let checked = |function: Arc<AggregateUDF>| match function.name() {
        "sum" => checked::sum(),
        _ => function,
    };
    known.filter(|function| AGGREGATE.contains(&function.name())).map(checked).collect()
}

/// The window functions that may be used.
pub(crate) fn window() -> Vec<Arc<WindowUDF>> {
    let known = SessionStateDefaults::default_window_functions().into_iter();
    known.filter(|function| WINDOW.contains(&function.name())).collect()
}

/// The planners of SQL constructs that are not plain calls: `EXTRACT`, `SUBSTRING(… FROM …)`,
/// `POSITION(… IN …)`, `[1, 2]` and `array[1]`.
pub(crate) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    let ours: [Arc<dyn ExprPlanner>; 3] =
        [Arc::new(NestedFunctionPlanner), Arc::new(FieldAccessPlanner), Arc::new(UnicodeFunctionPlanner)];
    // The defaults include the planner of aggregates; the array planners must come first to see
    // an index expression.
    ours.into_iter().chain(SessionStateDefaults::default_expr_planners()).collect()
}

const ZONE: &str = "UTC";

/// The Arrow schema of a measurement; tags and time are never null.
pub(crate) fn schema(measurement: &Measurement) -> SchemaRef {
    let fields = measurement.columns.iter().map(|column| {
        let needed = column.name == measurement.time || measurement.tags.contains(&column.name);
        Field::new(&column.name, arrow_type(column.kind), !needed)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn arrow_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Float => DataType::Float64,
        ColumnType::Int => DataType::Int64,
        ColumnType::Time => DataType::Timestamp(TimeUnit::Millisecond, Some(ZONE.into())),
        ColumnType::Text => DataType::Utf8,
        ColumnType::Bool => DataType::Boolean,
    }
}

/// The columns `names` of stored rows as an Arrow batch.
pub(crate) fn batch(rows: &Rows, names: &[String], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let arrays = names.iter().zip(schema.fields()).map(|(name, field)| {
        let at = rows.columns.iter().position(|column| column.name == *name);
        array(rows, at, field.data_type())
    });
    // Without columns, as for count(*), the batch carries only the number of rows.
    let options = RecordBatchOptions::new().with_row_count(Some(rows.rows.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays.collect(), &options)
}

fn array(rows: &Rows, at: Option<usize>, kind: &DataType) -> ArrayRef {
    let cells = rows.rows.iter().map(|row| at.and_then(|at| row.get(at)).unwrap_or(&Value::Null));
    match kind {
        DataType::Float64 => Arc::new(cells.map(Value::as_f64).collect::<Float64Array>()),
        DataType::Int64 => Arc::new(cells.map(Value::as_i64).collect::<Int64Array>()),
        DataType::Timestamp(..) => {
            Arc::new(cells.map(Value::as_i64).collect::<TimestampMillisecondArray>().with_timezone(ZONE))
        }
        DataType::Boolean => Arc::new(cells.map(as_bool).collect::<BooleanArray>()),
        _ => Arc::new(cells.map(Value::as_str).collect::<StringArray>()),
    }
}

fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        _ => None,
    }
}

/// The columns of an answer; repeated names get a number appended.
pub(crate) fn columns(schema: &Schema) -> Vec<Column> {
    let mut taken = BTreeSet::new();
    let mut name = |asked: &str| {
        let numbered = (2..).map(|number| format!("{asked}_{number}"));
        let free = std::iter::once(asked.to_owned()).chain(numbered).find(|name| taken.insert(name.clone()));
        free.unwrap_or_default()
    };
    schema.fields().iter().map(|field| Column::new(name(field.name()), kind_of(field.data_type()))).collect()
}

fn kind_of(kind: &DataType) -> ColumnType {
    match kind {
        DataType::Boolean => ColumnType::Bool,
        DataType::Timestamp(..) => ColumnType::Time,
        kind if kind.is_integer() => ColumnType::Int,
        DataType::Decimal128(_, 0) | DataType::Decimal256(_, 0) => ColumnType::Int,
        kind if kind.is_floating() || matches!(kind, DataType::Decimal128(..) | DataType::Decimal256(..)) => {
            ColumnType::Float
        }
        _ => ColumnType::Text,
    }
}

/// The rows of a batch. NaN and infinities become null; values that no column type holds (an
/// interval, a list) become text.
pub(crate) fn rows(batch: &RecordBatch, columns: &[Column]) -> Result<Vec<Vec<Value>>, ArrowError> {
    let arrays = batch.columns().iter().zip(columns).map(|(array, column)| values(array, column.kind));
    let mut cells: Vec<_> = arrays.map(|values| values.map(Vec::into_iter)).collect::<Result<_, _>>()?;
    Ok((0..batch.num_rows()).map(|_| cells.iter_mut().filter_map(Iterator::next).collect()).collect())
}

fn values(array: &ArrayRef, kind: ColumnType) -> Result<Vec<Value>, ArrowError> {
    Ok(match kind {
        ColumnType::Float => {
            let floats = cast(array, &DataType::Float64)?;
            let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
            let floats = floats.as_primitive::<Float64Type>().iter().map(finite);
            floats.map(|value| or_null(value, |value| Value::Float(value + 0.0))).collect()
        }
        ColumnType::Int => {
            let ints = to_integers(array, &DataType::Int64)?;
            ints.as_primitive::<Int64Type>().iter().map(|value| or_null(value, Value::Int)).collect()
        }
        ColumnType::Time => {
            let times = to_integers(array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
            times
                .as_primitive::<TimestampMillisecondType>()
                .iter()
                .map(|value| or_null(value, Value::Int))
                .collect()
        }
        ColumnType::Bool => array.as_boolean().iter().map(|value| or_null(value, Value::Bool)).collect(),
        ColumnType::Text => {
            let shown = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default())?;
            let text = |at: usize| shown.value(at).try_to_string().map(Value::Text);
            (0..array.len())
                .map(|at| if array.is_null(at) { Ok(Value::Null) } else { text(at) })
                .collect::<Result<_, _>>()?
        }
    })
}

/// Converts integers to signed 64 bits; a value that does not fit is an error, never null.
fn to_integers(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, kind, &strict).map_err(|error| {
        let words = error.to_string();
        let value = words.split(|c: char| !c.is_ascii_digit() && c != '-').find(|part| part.len() > 18);
        let value = value.unwrap_or("a value");
        ArrowError::ComputeError(format!(
            "{value} exceeds the integers of an answer (up to {}): CAST(… AS DOUBLE) or CAST(… AS VARCHAR) shows it",
            i64::MAX
        ))
    })
}

/// The approximate size of a row in memory, in bytes.
pub(crate) fn row_size(row: &[Value]) -> usize {
    let cell = |value: &Value| size_of::<Value>() + value.as_str().map_or(0, str::len);
    row.iter().map(cell).sum()
}

fn or_null<T>(value: Option<T>, wrap: impl Fn(T) -> Value) -> Value {
    value.map_or(Value::Null, wrap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_lists_is_a_function() {
        let names = |found: Vec<String>, wanted: &[&str]| {
            let missing: Vec<_> =
                wanted.iter().filter(|name| !found.iter().any(|known| known == *name)).collect();
            assert!(missing.is_empty(), "{missing:?} are not in {found:?}");
        };
        names(scalar().iter().map(|function| function.name().to_owned()).collect(), SCALAR);
        names(aggregate().iter().map(|function| function.name().to_owned()).collect(), AGGREGATE);
        names(window().iter().map(|function| function.name().to_owned()).collect(), WINDOW);
    }
}
