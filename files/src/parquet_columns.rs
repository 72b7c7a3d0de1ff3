//! Finds the known columns of a Parquet file and converts their cells from any suitable type.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch};
use arrow::compute::{cast, unary};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Field, Float64Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use arrow::error::ArrowError;
use model::schema::ColumnType;
use model::time::Millis;
use parquet::arrow::ProjectionMask;
use parquet::schema::types::SchemaDescriptor;

use crate::FileError;
use crate::columns::{self, FromRow, Known, Place};
use crate::value::Cell;

/// The known columns in a file.
pub(crate) struct Columns {
    columns: Vec<Column>,
    /// The columns to be read.
    pub(crate) mask: ProjectionMask,
}

/// The source of a known column's cells.
enum Column {
    Missing,
    Folder(String),
    /// The column with this name, read as a type that a cell can contain.
    File(String, Reading),
}

/// How the cells of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As doubles.
    Floats,
    /// As integers.
    Ints,
    /// As integers that exceed the signed 64 bits.
    UnsignedInts,
    /// As texts.
    Texts,
    /// As bytes that contain text.
    Bytes,
    /// As bytes of a fixed length that contain text padded with zeros.
    PaddedBytes,
    /// As milliseconds of a timestamp or a date.
    Instants,
    /// As flags.
    Flags,
}

impl Columns {
    pub(crate) fn find<T: FromRow>(
        path: &Path,
        schema: &Schema,
        parquet: &SchemaDescriptor,
    ) -> Result<Columns, FileError> {
        // A column of nulls only has no type and counts as missing.
        let name = |field: &Arc<Field>| match field.data_type() {
            DataType::Null => String::new(),
            _ => field.name().clone(),
        };
        let names: Vec<_> = schema.fields().iter().map(name).collect();
        let places = columns::find::<T>(path, &names)?;
        let mut roots = Vec::new();
        let column = |(known, place): (&Known, &Place)| {
            let at = match place {
                Place::Missing => return Ok(Column::Missing),
                Place::Folder(value) => return Ok(Column::Folder(value.clone())),
                Place::Column(at) => *at,
            };
            let field = schema.field(at);
            match reading(known, field.data_type()) {
                Some(reading) => {
                    roots.push(at);
                    Ok(Column::File(names[at].clone(), reading))
                }
                None if !known.required && known.kind != ColumnType::Time => Ok(Column::Missing),
                None => Err(FileError::ColumnType {
                    path: PathBuf::from(path),
                    column: field.name().clone(),
                    found: field.data_type().to_string(),
                    wanted: wanted(known.kind),
                }),
            }
        };
        let columns = T::COLUMNS.iter().zip(&places).map(column).collect::<Result<_, _>>()?;
        Ok(Columns { columns, mask: ProjectionMask::roots(parquet, roots) })
    }

    /// The name of a known column in the file, if the file has it.
    pub(crate) fn name(&self, known: usize) -> Option<&str> {
        match &self.columns[known] {
            Column::File(name, _) => Some(name),
            Column::Missing | Column::Folder(_) => None,
        }
    }

    /// A known column with its type in the file.
    pub(crate) fn raw<'a>(&self, batch: &'a RecordBatch, known: usize) -> Option<&'a ArrayRef> {
        batch.column_by_name(self.name(known)?)
    }

    /// The cells of every known column.
    pub(crate) fn cells(&self, batch: &RecordBatch) -> Result<Vec<Cells>, ArrowError> {
        (0..self.columns.len()).map(|known| self.cells_of(batch, known)).collect()
    }

    /// The cells of one known column.
    pub(crate) fn cells_of(&self, batch: &RecordBatch, known: usize) -> Result<Cells, ArrowError> {
        match &self.columns[known] {
            Column::Missing => Ok(Cells::Missing),
            Column::Folder(value) => Ok(Cells::Folder(value.clone())),
            Column::File(name, reading) => match batch.column_by_name(name) {
                None => Ok(Cells::Missing),
                Some(array) => {
                    reading.of(array).map(|array| Cells::Array(array, *reading == Reading::PaddedBytes))
                }
            },
        }
    }
}

/// How a column of some type is read; `None` if the type is unsuitable.
fn reading(known: &Known, found: &DataType) -> Option<Reading> {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Date64, FixedSizeBinary, LargeBinary, LargeUtf8, Timestamp,
        UInt64, Utf8, Utf8View,
    };
    Some(match found {
        Utf8 | LargeUtf8 | Utf8View => Reading::Texts,
        Binary | LargeBinary | BinaryView => Reading::Bytes,
        FixedSizeBinary(_) => Reading::PaddedBytes,
        UInt64 => Reading::UnsignedInts,
        found if found.is_integer() => Reading::Ints,
        found if found.is_floating() => Reading::Floats,
        // Through the decimal notation: the nearest double, without accumulated rounding.
        found if found.is_decimal() => Reading::Texts,
        Boolean if known.kind == ColumnType::Bool => Reading::Flags,
        Timestamp(..) | Date32 | Date64 if known.kind == ColumnType::Time => Reading::Instants,
        _ => return None,
    })
}

/// What a column should contain, for an error.
fn wanted(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Float | ColumnType::Int => "numbers",
        ColumnType::Time => "timestamps or epoch milliseconds",
        ColumnType::Text => "texts",
        ColumnType::Bool => "booleans",
    }
}

impl Reading {
    fn of(self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        // Dictionaries that the schema kept.
        let array = match array.data_type() {
            DataType::Dictionary(_, values) => &cast(array, values)?,
            _ => array,
        };
        match self {
            Reading::Floats => cast(array, &DataType::Float64),
            Reading::Ints => cast(array, &DataType::Int64),
            Reading::UnsignedInts => Ok(array.clone()),
            Reading::Texts => cast(array, &DataType::Utf8),
            Reading::Bytes => cast(array, &DataType::Binary),
            Reading::PaddedBytes => cast(array, &DataType::Binary),
            Reading::Flags => Ok(array.clone()),
            Reading::Instants => instants(array),
        }
    }
}

/// Timestamps and dates in epoch milliseconds. A value beyond the range becomes an implausible
/// time, not a missing one.
fn instants(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    fn millis<T: ArrowTimestampType>(array: &ArrayRef, convert: impl Fn(i64) -> Millis) -> ArrayRef {
        let millis: PrimitiveArray<TimestampMillisecondType> = unary(array.as_primitive::<T>(), convert);
        Arc::new(millis)
    }
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            millis::<TimestampSecondType>(array, |at| at.saturating_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => millis::<TimestampMillisecondType>(array, |at| at),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            millis::<TimestampMicrosecondType>(array, |at| at.div_euclid(1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            millis::<TimestampNanosecondType>(array, |at| at.div_euclid(1_000_000))
        }
        _ => cast(array, &DataType::Timestamp(TimeUnit::Millisecond, None))?,
    })
}

/// The cells of a known column in a batch.
pub(crate) enum Cells {
    /// The column is missing.
    Missing,
    /// The same value in all rows.
    Folder(String),
    /// An array of a supported type, and whether its texts are padded with zeros.
    Array(ArrayRef, bool),
}

impl Cells {
    /// The array, if there is one.
    pub(crate) fn array(&self) -> Option<&ArrayRef> {
        match self {
            Cells::Array(array, _) => Some(array),
            Cells::Missing | Cells::Folder(_) => None,
        }
    }

    /// Whether the column is missing.
    pub(crate) fn are_missing(&self) -> bool {
        matches!(self, Cells::Missing)
    }

    /// The value of one column in one row.
    pub(crate) fn at(&self, row: usize) -> Cell<'_> {
        let (array, padded) = match self {
            Cells::Missing => return Cell::Missing,
            Cells::Folder(value) => return Cell::text(value),
            Cells::Array(array, padded) => (array, *padded),
        };
        if array.is_null(row) {
            return Cell::Missing;
        }
        match array.data_type() {
            DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row).into()),
            DataType::UInt64 => Cell::Int(array.as_primitive::<UInt64Type>().value(row).into()),
            DataType::Timestamp(..) => {
                Cell::Instant(array.as_primitive::<TimestampMillisecondType>().value(row))
            }
            DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
            DataType::Utf8 => Cell::text(array.as_string::<i32>().value(row)),
            DataType::Binary => {
                let bytes = array.as_binary::<i32>().value(row);
                let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                Cell::bytes(if padded { &bytes[..end] } else { bytes })
            }
            other => Cell::Foreign(other.to_string()),
        }
    }
}
