//! Cells of rows, whatever the format, and how they are read as numbers, times and texts.

use wire::time::{self, Millis};

use crate::columns::Known;

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// No such column, null, or nothing in it.
    Missing,
    /// Text whose meaning the column decides, as in CSV.
    Untyped(&'a str),
    /// Text that was written as text.
    Text(&'a str),
    /// An integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// What no column holds: a list, an object, bytes that are no text.
    Foreign(String),
}

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 60;
        let text = match self {
            Cell::Missing => return Ok(()),
            Cell::Untyped(text) => (*text).to_owned(),
            Cell::Text(text) => format!("{text:?}"),
            Cell::Int(value) => value.to_string(),
            Cell::Float(value) => value.to_string(),
            Cell::Bool(value) => value.to_string(),
            Cell::Foreign(text) => text.clone(),
        };
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{} …", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

/// One row of any format: the cells of the known columns, in their order.
pub(crate) struct Row<'a> {
    /// The known columns.
    pub columns: &'static [Known],
    /// One cell for each.
    pub cells: Vec<Cell<'a>>,
}

type Reason = String;

impl Row<'_> {
    /// A finite double; missing is `None`.
    pub(crate) fn number(&self, column: usize) -> Result<Option<f64>, Reason> {
        let value = match &self.cells[column] {
            Cell::Missing => return Ok(None),
            Cell::Untyped(text) => text.parse().map_err(|_| self.refuse(column, "is no number"))?,
            Cell::Int(value) => *value as f64,
            Cell::Float(value) => *value,
            Cell::Text(_) | Cell::Bool(_) | Cell::Foreign(_) => {
                return Err(self.refuse(column, "is no number"));
            }
        };
        if value.is_finite() { Ok(Some(value)) } else { Err(self.refuse(column, "is no finite number")) }
    }

    /// A double of zero or above; missing is `None`.
    pub(crate) fn quantity(&self, column: usize) -> Result<Option<f64>, Reason> {
        match self.number(column)? {
            Some(value) if value < 0.0 => Err(self.refuse(column, "is below zero")),
            value => Ok(value),
        }
    }

    /// A time, in epoch milliseconds or as a person writes it; missing is `None`.
    pub(crate) fn time(&self, column: usize) -> Result<Option<Millis>, Reason> {
        match &self.cells[column] {
            Cell::Missing => Ok(None),
            Cell::Int(value) => Ok(Some(*value)),
            Cell::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Ok(Some(*value as Millis)),
            Cell::Untyped(text) | Cell::Text(text) => time::parse(text)
                .map(Some)
                .map_err(|error| format!("column `{}`: {error}", self.name(column))),
            Cell::Float(_) | Cell::Bool(_) | Cell::Foreign(_) => {
                Err(self.refuse(column, "is no time in epoch milliseconds"))
            }
        }
    }

    /// A text; missing is `None`.
    pub(crate) fn text(&self, column: usize) -> Result<Option<String>, Reason> {
        match &self.cells[column] {
            Cell::Missing => Ok(None),
            Cell::Untyped(text) | Cell::Text(text) => Ok(Some((*text).to_owned())),
            Cell::Int(_) | Cell::Float(_) | Cell::Bool(_) | Cell::Foreign(_) => {
                Err(self.refuse(column, "is no text"))
            }
        }
    }

    /// True or false; missing is `None`.
    pub(crate) fn flag(&self, column: usize) -> Result<Option<bool>, Reason> {
        match &self.cells[column] {
            Cell::Missing => Ok(None),
            Cell::Bool(value) => Ok(Some(*value)),
            Cell::Untyped(text) if text.eq_ignore_ascii_case("true") || *text == "1" => Ok(Some(true)),
            Cell::Untyped(text) if text.eq_ignore_ascii_case("false") || *text == "0" => Ok(Some(false)),
            _ => Err(self.refuse(column, "is neither true nor false")),
        }
    }

    /// What must be there.
    pub(crate) fn needed<T>(&self, column: usize, value: Option<T>) -> Result<T, Reason> {
        value.ok_or_else(|| format!("column `{}` is empty", self.name(column)))
    }

    fn refuse(&self, column: usize, why: &str) -> Reason {
        format!("column `{}` is `{}`, which {why}", self.name(column), self.cells[column])
    }

    fn name(&self, column: usize) -> &'static str {
        self.columns[column].names[0]
    }
}
