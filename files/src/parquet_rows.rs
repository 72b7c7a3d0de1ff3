//! Rows of Parquet, read a batch at a time.

use std::fs::File;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::schema::types::SchemaDescriptor;
use wire::schema::ColumnType;

use crate::cell::{Cell, Row};
use crate::columns::{self, FromRow, Known};
use crate::csv_rows::unreadable_from;
use crate::parquet_batches::{Batches, decoded};
use crate::{BadRow, FileError, Placed};

const ROWS_A_BATCH: usize = 1_024;

pub(crate) struct ParquetRows<T> {
    batches: Batches,
    columns: Columns,
    batch: Vec<Option<ArrayRef>>,
    rows_in_batch: usize,
    next_in_batch: usize,
    read: u64,
    ended: bool,
    rows: PhantomData<fn() -> T>,
}

impl<T: FromRow> ParquetRows<T> {
    pub(crate) fn open(path: &Path, file: File) -> Result<ParquetRows<T>, FileError> {
        let builder = open::<T>(path, file)?;
        let broken = |source| FileError::Parquet { path: path.to_owned(), source };
        let columns = Columns::find::<T>(path, builder.schema(), builder.parquet_schema())?;
        let builder = builder.with_projection(columns.mask.clone()).with_batch_size(ROWS_A_BATCH);
        let batches = Batches::of(builder).map_err(broken)?;
        Ok(ParquetRows {
            batches,
            columns,
            batch: Vec::new(),
            rows_in_batch: 0,
            next_in_batch: 0,
            read: 0,
            ended: false,
            rows: PhantomData,
        })
    }

    /// Loads the next batch that has rows; `None` at the end.
    fn load(&mut self) -> Option<Result<(), ArrowError>> {
        while self.next_in_batch == self.rows_in_batch {
            let batch = self.batches.next()?;
            match batch.and_then(|batch| Ok((batch.num_rows(), self.columns.arrays(&batch)?))) {
                Ok((rows, arrays)) => (self.rows_in_batch, self.batch) = (rows, arrays),
                Err(error) => return Some(Err(error)),
            }
            self.next_in_batch = 0;
        }
        Some(Ok(()))
    }
}

impl<T: FromRow> Iterator for ParquetRows<T> {
    type Item = Result<Placed<T>, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let line = self.read + 1;
        match self.load() {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.ended = true;
                return Some(Err(unreadable_from(line, &error)));
            }
            None => return None,
        }
        let read = read(line, &self.batch, self.next_in_batch);
        self.read = line;
        self.next_in_batch += 1;
        Some(read.map(|value| Placed { line, value }))
    }
}

/// Reads one row of arrays, one for each known column.
pub(crate) fn read<T: FromRow>(line: u64, arrays: &[Option<ArrayRef>], at: usize) -> Result<T, BadRow> {
    let cells = arrays.iter().map(|array| array.as_ref().map_or(Cell::Missing, |array| cell(array, at)));
    let row = Row { columns: T::COLUMNS, cells: cells.collect() };
    T::from_row(&row).map_err(|reason| BadRow { line, reason, text: as_json(&row) })
}

/// The file, ready to be read.
pub(crate) fn open<T: FromRow>(
    path: &Path,
    file: File,
) -> Result<ParquetRecordBatchReaderBuilder<File>, FileError> {
    let length = file.metadata().map(|metadata| metadata.len());
    if length.is_ok_and(|length| length == 0) {
        return Err(columns::empty::<T>(path));
    }
    decoded(|| ParquetRecordBatchReaderBuilder::try_new(file))
        .map_err(|source| FileError::Parquet { path: path.to_owned(), source })
}

/// The known columns in a file.
pub(crate) struct Columns {
    /// For each known column the types that its cells are cast to, and its name in the file.
    casts: Vec<Option<(String, Vec<DataType>)>>,
    /// What has to be read.
    pub(crate) mask: ProjectionMask,
}

impl Columns {
    pub(crate) fn find<T: FromRow>(
        path: &Path,
        schema: &Schema,
        parquet: &SchemaDescriptor,
    ) -> Result<Columns, FileError> {
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let places = columns::find::<T>(path, &names)?;
        let casts = T::COLUMNS
            .iter()
            .zip(&places)
            .map(|(known, place)| {
                place
                    .map(|place| Ok((names[place].clone(), casts(path, known, schema.field(place))?)))
                    .transpose()
            })
            .collect::<Result<_, _>>()?;
        Ok(Columns { casts, mask: ProjectionMask::roots(parquet, places.into_iter().flatten()) })
    }

    /// The name that a known column has in the file.
    pub(crate) fn name(&self, known: usize) -> Option<&str> {
        self.casts[known].as_ref().map(|(name, _)| name.as_str())
    }

    /// A known column as it stands in the file.
    pub(crate) fn raw<'a>(&self, batch: &'a RecordBatch, known: usize) -> Option<&'a ArrayRef> {
        batch.column_by_name(&self.casts[known].as_ref()?.0)
    }

    /// For each known column its cells, in a type that a cell can hold.
    pub(crate) fn arrays(&self, batch: &RecordBatch) -> Result<Vec<Option<ArrayRef>>, ArrowError> {
        (0..self.casts.len()).map(|known| self.array(batch, known)).collect()
    }

    /// The cells of one known column, likewise.
    pub(crate) fn array(&self, batch: &RecordBatch, known: usize) -> Result<Option<ArrayRef>, ArrowError> {
        let Some((name, steps)) = &self.casts[known] else { return Ok(None) };
        let Some(array) = batch.column_by_name(name) else { return Ok(None) };
        steps.iter().try_fold(array.clone(), |array, step| cast(&array, step)).map(Some)
    }
}

/// The casts that lead from the type of a file's column to what a cell can hold.
fn casts(path: &Path, known: &Known, field: &Field) -> Result<Vec<DataType>, FileError> {
    use DataType::{Date32, Date64, Decimal128, Decimal256, Dictionary, Float64, Int64, Timestamp, Utf8};
    let found = match field.data_type() {
        Dictionary(_, values) => values.as_ref(),
        plain => plain,
    };
    let is_text = matches!(found, Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_number = found.is_numeric() || matches!(found, Decimal128(..) | Decimal256(..));
    let wanted = match known.kind {
        ColumnType::Float if is_number => return Ok(vec![Float64]),
        ColumnType::Int | ColumnType::Time if found.is_integer() => return Ok(vec![Int64]),
        ColumnType::Time if found.is_floating() => return Ok(vec![Float64]),
        ColumnType::Time if matches!(found, Timestamp(..) | Date32 | Date64) => {
            return Ok(vec![Timestamp(TimeUnit::Millisecond, None), Int64]);
        }
        ColumnType::Time | ColumnType::Text if is_text => return Ok(vec![Utf8]),
        ColumnType::Bool if *found == DataType::Boolean => return Ok(vec![DataType::Boolean]),
        ColumnType::Float | ColumnType::Int => "numbers",
        ColumnType::Time => "timestamps or epoch milliseconds",
        ColumnType::Text => "texts",
        ColumnType::Bool => "booleans",
    };
    Err(FileError::ColumnType {
        path: PathBuf::from(path),
        column: field.name().clone(),
        found: field.data_type().to_string(),
        wanted,
    })
}

fn cell(array: &ArrayRef, row: usize) -> Cell<'_> {
    if array.is_null(row) {
        return Cell::Missing;
    }
    match array.data_type() {
        DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Utf8 => match array.as_string::<i32>().value(row).trim() {
            "" => Cell::Missing,
            text => Cell::Text(text),
        },
        other => Cell::Foreign(other.to_string()),
    }
}

/// A row as a person reads it: Parquet has no bytes of its own for one.
fn as_json(row: &Row<'_>) -> Vec<u8> {
    let fields = row.columns.iter().zip(&row.cells).filter_map(|(column, cell)| {
        let value = match cell {
            Cell::Missing => return None,
            Cell::Untyped(text) | Cell::Text(text) => (*text).into(),
            Cell::Int(value) => (*value).into(),
            Cell::Float(value) if value.is_finite() => (*value).into(),
            Cell::Float(value) => value.to_string().into(),
            Cell::Bool(value) => (*value).into(),
            Cell::Foreign(text) => text.as_str().into(),
        };
        Some((column.names[0].to_owned(), value))
    });
    serde_json::Value::Object(fields.collect()).to_string().into_bytes()
}
