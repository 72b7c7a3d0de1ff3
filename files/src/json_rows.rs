//! Rows of JSON lines: one object a line.

use std::fs::File;
use std::marker::PhantomData;
use std::path::Path;

use serde_json::{Map, Value};

use crate::cell::{Cell, Row};
use crate::columns::{self, FromRow};
use crate::csv_rows::unreadable_from;
use crate::lines::{Line, Lines};
use crate::{BadRow, FileError, Placed};

pub(crate) struct JsonRows<T> {
    lines: Lines,
    ended: bool,
    rows: PhantomData<fn() -> T>,
}

impl<T: FromRow> JsonRows<T> {
    pub(crate) fn open(path: &Path, file: File) -> Result<JsonRows<T>, FileError> {
        let mut lines = Lines::new(file);
        let first = lines.next().map_err(|source| FileError::Open { path: path.to_owned(), source })?;
        let first = first.ok_or_else(|| columns::empty::<T>(path))?;
        if first.bytes.trim_ascii_start().starts_with(b"[") {
            return Err(FileError::JsonArray { path: path.to_owned() });
        }
        lines.give_back(vec![first]);
        Ok(JsonRows { lines, ended: false, rows: PhantomData })
    }
}

impl<T: FromRow> Iterator for JsonRows<T> {
    type Item = Result<Placed<T>, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.lines.next() {
            Ok(line) => line.map(|line| match read(&line) {
                Ok(value) => Ok(Placed { line: line.number, value }),
                Err(reason) => Err(BadRow { line: line.number, reason, text: line.bytes }),
            }),
            Err(error) => {
                self.ended = true;
                Some(Err(unreadable_from(self.lines.following(), &error)))
            }
        }
    }
}

/// Reads one row.
///
/// # Errors
/// The reason why it is a bad one.
pub(crate) fn read<T: FromRow>(line: &Line) -> Result<T, String> {
    if let Some(length) = line.overlong {
        return Err(format!("the line has {length} bytes: no row is so long"));
    }
    let object: Map<String, Value> = serde_json::from_slice(&line.bytes).map_err(|error| {
        if error.is_eof() {
            "the JSON object is cut off".into()
        } else {
            format!("the line is no JSON object: {error}")
        }
    })?;
    let cells = T::COLUMNS.iter().map(|column| {
        let value = column.names.iter().find_map(|name| object.get(*name));
        value.map_or(Cell::Missing, cell)
    });
    T::from_row(&Row { columns: T::COLUMNS, cells: cells.collect() })
}

fn cell(value: &Value) -> Cell<'_> {
    match value {
        Value::Null => Cell::Missing,
        Value::Bool(value) => Cell::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Cell::Int(value),
            (None, Some(value)) => Cell::Float(value),
            (None, None) => Cell::Foreign(number.to_string()),
        },
        Value::String(text) => Cell::Text(text),
        Value::Array(_) | Value::Object(_) => Cell::Foreign(value.to_string()),
    }
}
