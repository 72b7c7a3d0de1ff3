//! Rows of Parquet, read a batch at a time.

use std::fs::File;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use wire::schema::ColumnType;

use crate::cell::{Cell, Row};
use crate::columns::{self, FromRow, Known};
use crate::csv_rows::unreadable_from;
use crate::{BadRow, FileError, Placed};

const ROWS_A_BATCH: usize = 1_024;

pub(crate) struct ParquetRows<T> {
    batches: ParquetRecordBatchReader,
    /// For each known column the type that its cells are cast to, and its name in the file.
    casts: Vec<Option<(String, Vec<DataType>)>>,
    batch: Vec<Option<ArrayRef>>,
    rows_in_batch: usize,
    next_in_batch: usize,
    read: u64,
    ended: bool,
    rows: PhantomData<fn() -> T>,
}

impl<T: FromRow> ParquetRows<T> {
    pub(crate) fn open(path: &Path, file: File) -> Result<ParquetRows<T>, FileError> {
        let length = file.metadata().map(|metadata| metadata.len());
        if length.is_ok_and(|length| length == 0) {
            return Err(columns::empty::<T>(path));
        }
        let broken = |source| FileError::Parquet { path: path.to_owned(), source };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(broken)?;
        let schema = builder.schema().clone();
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
        let mask = ProjectionMask::roots(builder.parquet_schema(), places.into_iter().flatten());
        let batches = builder.with_projection(mask).with_batch_size(ROWS_A_BATCH).build().map_err(broken)?;
        Ok(ParquetRows {
            batches,
            casts,
            batch: Vec::new(),
            rows_in_batch: 0,
            next_in_batch: 0,
            read: 0,
            ended: false,
            rows: PhantomData,
        })
    }

    /// Loads the next batch that has rows; `None` at the end.
    fn load(&mut self) -> Option<Result<(), arrow::error::ArrowError>> {
        while self.next_in_batch == self.rows_in_batch {
            let batch = match self.batches.next()?.and_then(|batch| self.take(&batch)) {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            };
            self.batch = batch;
            self.next_in_batch = 0;
        }
        Some(Ok(()))
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<Vec<Option<ArrayRef>>, arrow::error::ArrowError> {
        let arrays = self.casts.iter().map(|known| {
            let Some((name, steps)) = known else { return Ok(None) };
            let Some(array) = batch.column_by_name(name) else { return Ok(None) };
            steps.iter().try_fold(array.clone(), |array, step| cast(&array, step)).map(Some)
        });
        let arrays = arrays.collect::<Result<_, _>>()?;
        self.rows_in_batch = batch.num_rows();
        Ok(arrays)
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
        let cells = self
            .batch
            .iter()
            .map(|array| array.as_ref().map_or(Cell::Missing, |a| cell(a, self.next_in_batch)));
        let row = Row { columns: T::COLUMNS, cells: cells.collect() };
        let read = T::from_row(&row).map_err(|reason| BadRow { line, reason, text: as_json(&row) });
        self.read = line;
        self.next_in_batch += 1;
        Some(read.map(|value| Placed { line, value }))
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
