//! Writes result tables to files: CSV, JSON lines, Parquet.
//!
//! [`TableWriter`] is followed by the destination, which replaces a file only when it is complete.

use std::io;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use model::number;
use model::schema::{Column, ColumnType, Value};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::format::Target;
use crate::{FileError, Format};

/// Writes a table row by row. A file gets its name only when [`TableWriter::finish`] has
/// returned; until then, and after a failure, an existing file is unchanged.
pub struct TableWriter {
    columns: Vec<Column>,
    body: Body,
}

enum Body {
    Csv(Text),
    Json(Text),
    Parquet(Box<ParquetTable>),
}

impl TableWriter {
    /// A table of `columns`, written to the file `out` or to standard output, in the given
    /// format, otherwise in that of the extension, otherwise as CSV. CSV starts with a header;
    /// in Parquet a time is a UTC timestamp in milliseconds.
    ///
    /// # Errors
    /// When the file cannot be created or written, or no format is given and the extension is
    /// of none.
    pub fn create(
        asked: Option<Format>,
        columns: &[Column],
        out: Option<&Path>,
    ) -> Result<TableWriter, FileError> {
        let format = match (asked, out) {
            (Some(format), _) => format,
            (None, Some(file)) => Format::from_path(file)?,
            (None, None) => Format::Csv,
        };
        TableWriter::begin(format, columns, Target::create(out)?)
    }

    /// A table of `columns`, written to a stream that is read at the same time, such as a
    /// download; `name` describes it in errors.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub fn stream(
        format: Format,
        columns: &[Column],
        name: &str,
        stream: impl Write + Send + 'static,
    ) -> Result<TableWriter, FileError> {
        TableWriter::begin(format, columns, Target::stream(name, Box::new(stream)))
    }

    fn begin(format: Format, columns: &[Column], target: Target) -> Result<TableWriter, FileError> {
        let columns = columns.to_vec();
        let body = match format {
            Format::Csv => {
                let mut text = Text::new(target);
                let names: Vec<_> = columns.iter().map(|column| Value::Text(column.name.clone())).collect();
                text.write(|line| csv_line(line, &names))?;
                Body::Csv(text)
            }
            Format::Json => Body::Json(Text::new(target)),
            Format::Parquet => Body::Parquet(Box::new(ParquetTable::new(&columns, target)?)),
        };
        Ok(TableWriter { columns, body })
    }

    /// Writes one row, with its values in the order of the columns. Values that are missing,
    /// not finite or of the wrong type are written as null.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_row(&mut self, values: &[Value]) -> Result<(), FileError> {
        match &mut self.body {
            Body::Csv(text) => text.write(|line| csv_line(line, values)),
            Body::Json(text) => text.write(|line| json_line(line, &self.columns, values)),
            Body::Parquet(table) => table.write(values),
        }
    }

    /// Flushes everything to the disk and gives the file its name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> Result<(), FileError> {
        match self.body {
            Body::Csv(text) | Body::Json(text) => text.target.finish(),
            Body::Parquet(table) => table.finish(),
        }
    }
}

/// A text format, each line composed in one buffer.
struct Text {
    target: Target,
    line: String,
}

impl Text {
    fn new(target: Target) -> Text {
        Text { target, line: String::new() }
    }

    fn write(&mut self, fill: impl FnOnce(&mut String)) -> Result<(), FileError> {
        self.line.clear();
        fill(&mut self.line);
        self.line.push('\n');
        self.target.write_all(self.line.as_bytes()).map_err(|error| self.target.failed(error))
    }
}

fn csv_line(line: &mut String, values: &[Value]) {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        match value {
            Value::Text(text) if text.contains([',', '"', '\n', '\r']) => {
                line.push('"');
                line.push_str(&text.replace('"', "\"\""));
                line.push('"');
            }
            Value::Text(text) => line.push_str(text),
            other => push_scalar(line, other, ""),
        }
    }
}

fn json_line(line: &mut String, columns: &[Column], values: &[Value]) {
    for (index, (column, value)) in columns.iter().zip(values).enumerate() {
        line.push(if index == 0 { '{' } else { ',' });
        push_json_text(line, &column.name);
        line.push(':');
        match value {
            Value::Text(text) => push_json_text(line, text),
            other => push_scalar(line, other, "null"),
        }
    }
    line.push('}');
}

fn push_json_text(line: &mut String, text: &str) {
    line.push_str(&serde_json::Value::from(text).to_string());
}

fn push_scalar(line: &mut String, value: &Value, null: &str) {
    match value {
        Value::Float(value) if value.is_finite() => number::push_f64(line, *value),
        Value::Int(value) => line.push_str(&value.to_string()),
        Value::Bool(value) => line.push_str(if *value { "true" } else { "false" }),
        Value::Null | Value::Float(_) | Value::Text(_) => line.push_str(null),
    }
}

// Writes result tables as Parquet, in batches of rows.

/// How many rows are collected before they are encoded.
const ROWS_A_BATCH: usize = 8_192;

pub(crate) struct ParquetTable {
    /// The target's name for errors, because the writer owns the target.
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
        // Negative zero is written as zero, as in all other outputs.
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
