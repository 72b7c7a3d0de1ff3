//! Result tables to Parquet, a batch of rows at a time.

use std::io;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use model::schema::{Column, ColumnType, Value};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::FileError;
use crate::target::Target;

/// Rows that are collected before they are encoded.
const ROWS_A_BATCH: usize = 8_192;

pub(crate) struct ParquetTable {
    /// The target's name, for errors: the writer owns the target.
    name: String,
    columns: Vec<Column>,
    schema: Arc<Schema>,
    writer: ArrowWriter<Target>,
    rows: Vec<Vec<Value>>,
}

impl ParquetTable {
    pub(crate) fn new(columns: &[Column], target: Target) -> Result<ParquetTable, FileError> {
        let name = target.name().to_owned();
        let fields = columns.iter().map(|column| Field::new(&column.name, arrow_type(column.kind), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let writer = ArrowWriter::try_new(target, schema.clone(), Some(properties))
            .map_err(|error| failed(&name, ArrowError::from(error)))?;
        Ok(ParquetTable { name, columns: columns.to_vec(), schema, writer, rows: Vec::new() })
    }

    pub(crate) fn write(&mut self, values: &[Value]) -> Result<(), FileError> {
        self.rows.push(values.to_vec());
        if self.rows.len() >= ROWS_A_BATCH {
            self.encode()?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(), FileError> {
        self.encode()?;
        let target = self.writer.into_inner().map_err(|error| failed(&self.name, ArrowError::from(error)))?;
        target.finish()
    }

    fn encode(&mut self) -> Result<(), FileError> {
        let arrays =
            self.columns.iter().enumerate().map(|(index, column)| array(&self.rows, index, column.kind));
        RecordBatch::try_new(self.schema.clone(), arrays.collect())
            .and_then(|batch| Ok(self.writer.write(&batch)?))
            .map_err(|error| failed(&self.name, error))?;
        self.rows.clear();
        Ok(())
    }
}

fn failed(name: &str, error: ArrowError) -> FileError {
    let source = match error {
        ArrowError::IoError(_, source) => source,
        other => io::Error::other(other),
    };
    FileError::Write { target: name.to_owned(), source }
}

fn arrow_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Float => DataType::Float64,
        ColumnType::Int => DataType::Int64,
        ColumnType::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        ColumnType::Text => DataType::Utf8,
        ColumnType::Bool => DataType::Boolean,
    }
}

fn array(rows: &[Vec<Value>], index: usize, kind: ColumnType) -> ArrayRef {
    let cells = rows.iter().map(|row| row.get(index).unwrap_or(&Value::Null));
    let ints = cells.clone().map(Value::as_i64);
    match kind {
        // Minus zero is written as zero, as everywhere.
        ColumnType::Float => {
            let floats = cells.map(|value| value.as_f64().filter(|value| value.is_finite()));
            Arc::new(floats.map(|value| value.map(|value| value + 0.0)).collect::<Float64Array>())
        }
        ColumnType::Int => Arc::new(ints.collect::<Int64Array>()),
        ColumnType::Time => Arc::new(ints.collect::<TimestampMillisecondArray>().with_timezone("UTC")),
        ColumnType::Text => Arc::new(cells.map(Value::as_str).collect::<StringArray>()),
        ColumnType::Bool => Arc::new(
            cells
                .map(|value| if let Value::Bool(v) = value { Some(*v) } else { None })
                .collect::<BooleanArray>(),
        ),
    }
}
