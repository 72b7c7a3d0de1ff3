//! The accepted notations of values: one table for CSV, JSON lines and Parquet.
//!
//! | kind | accepted |
//! | --- | --- |
//! | number | any integer, double or decimal, as a number or as text |
//! | time | whole epoch milliseconds, as a number or as text; a timestamp or date; a date and time as text |
//! | flag | true or false, t/f, yes/no, y/n, on/off, 1/0 |
//! | text | text, or the digits of an integer |
//!
//! The texts in [`NOTHING`] stand for a missing value. An optional number, flag or text that
//! cannot be read is left out and reported; an invalid time or required value rejects its row.

use std::borrow::Cow;
use std::cell::OnceCell;

use model::article::LONGEST_NAME;
use model::time::{self, Millis};

use crate::columns::Known;
use crate::epoch::{self, Scale};

/// The value of one column in one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// The column is missing, null or blank.
    Missing,
    /// Text, or a number as it was written.
    Text(Cow<'a, str>),
    /// An integer of any width.
    Int(i128),
    /// A double.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A time from a typed column.
    Instant(Millis),
    /// A value of no accepted kind: a list, an object, bytes that are not UTF-8; described in
    /// words.
    Foreign(String),
}

impl<'a> Cell<'a> {
    /// A text without surrounding white space.
    pub(crate) fn text(text: &'a str) -> Cell<'a> {
        match text.trim() {
            "" => Cell::Missing,
            text => Cell::Text(Cow::Borrowed(text)),
        }
    }

    /// Bytes, accepted if they are UTF-8.
    pub(crate) fn bytes(bytes: &'a [u8]) -> Cell<'a> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Cell::text(text),
            Err(_) => Cell::Foreign(format!("{} (not UTF-8)", String::from_utf8_lossy(bytes))),
        }
    }
}

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 60;
        let text = match self {
            Cell::Missing => return Ok(()),
            Cell::Text(text) => text.clone().into_owned(),
            Cell::Int(value) => value.to_string(),
            Cell::Float(value) => value.to_string(),
            Cell::Bool(value) => value.to_string(),
            Cell::Instant(at) => time::rfc3339(*at),
            Cell::Foreign(text) => text.clone(),
        };
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{} …", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

/// What tools write for a missing value, compared without regard to case.
const NOTHING: [&str; 19] = [
    "nan", "na", "n/a", "<na>", "#n/a", "#na", "#n/a n/a", "null", "none", "nil", "nat", "\\n", "-", "--",
    ".", "-nan", "+nan", "1.#qnan", "-1.#ind",
];

/// Those of [`NOTHING`] that are not accepted as texts either, in exactly this case: `NA`,
/// `NAN` and `NIL` are ticker symbols.
const NO_TEXT: [&str; 9] = ["NaN", "nan", "<NA>", "None", "NULL", "null", "NaT", "\\N", "#N/A"];

const TRUE: [&str; 6] = ["true", "t", "yes", "y", "on", "1"];
const FALSE: [&str; 6] = ["false", "f", "no", "n", "off", "0"];

/// Whether a text is neither blank nor stands for a missing value.
pub(crate) fn is_text(text: &str) -> bool {
    !NO_TEXT.contains(&text)
}

fn is_one_of(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A row of any format: the cells of the known columns, in their order.
pub(crate) struct Row<'a> {
    columns: &'static [Known],
    cells: Vec<Cell<'a>>,
    /// A description of the first optional value that could not be read.
    left_out: OnceCell<String>,
}

type Reason = String;

impl<'a> Row<'a> {
    /// A row with one cell for each known column.
    pub(crate) fn new(columns: &'static [Known], cells: Vec<Cell<'a>>) -> Row<'a> {
        Row { columns, cells, left_out: OnceCell::new() }
    }

    /// A required finite double.
    pub(crate) fn number(&self, column: usize) -> Result<f64, Reason> {
        let value = match &self.cells[column] {
            Cell::Missing => return self.needed(column, None),
            Cell::Text(text) => match text.parse() {
                Ok(value) => value,
                Err(_) if is_one_of(text, &NOTHING) => return self.needed(column, None),
                Err(_) if text.contains(',') => {
                    let why = "is not a number: write a decimal point, and no thousands separator";
                    return Err(self.refuse(column, why));
                }
                Err(_) => return Err(self.refuse(column, "is not a number")),
            },
            Cell::Int(value) => *value as f64,
            Cell::Float(value) => *value,
            Cell::Bool(_) | Cell::Instant(_) | Cell::Foreign(_) => {
                return Err(self.refuse(column, "is not a number"));
            }
        };
        if value.is_finite() { Ok(value) } else { Err(self.refuse(column, "is no finite number")) }
    }

    /// An optional double between zero and `most`.
    pub(crate) fn quantity(&self, column: usize, most: f64) -> Option<f64> {
        match &self.cells[column] {
            Cell::Missing => return None,
            Cell::Text(text) if is_one_of(text, &NOTHING) => return None,
            Cell::Float(value) if value.is_nan() => return None,
            _ => {}
        }
        let value = self.or_left_out(self.number(column))?;
        if value < 0.0 {
            return self.or_left_out(Err(self.refuse(column, "is below zero")));
        }
        if value > most {
            return self.or_left_out(Err(self.refuse(column, &format!("is above {most:e}"))));
        }
        Some(value)
    }

    /// A time in epoch milliseconds; `None` if missing.
    pub(crate) fn time(&self, column: usize) -> Result<Option<Millis>, Reason> {
        self.scaled(column, Scale::Millis)
    }

    /// As [`Row::time`], for a column whose numbers are epoch nanoseconds.
    pub(crate) fn time_in_nanoseconds(&self, column: usize) -> Result<Option<Millis>, Reason> {
        self.scaled(column, Scale::Nanos)
    }

    fn scaled(&self, column: usize, scale: Scale) -> Result<Option<Millis>, Reason> {
        let read = match &self.cells[column] {
            Cell::Missing => return Ok(None),
            Cell::Text(text) if is_one_of(text, &NOTHING) => return Ok(None),
            Cell::Float(value) if value.is_nan() => return Ok(None),
            Cell::Text(text) => match epoch::written(text, scale) {
                Some(read) => read,
                None => {
                    let at = time::parse(text);
                    let at = at.map_err(|error| format!("column `{}`: {error}", self.name(column)))?;
                    epoch::within_reason(at)
                }
            },
            Cell::Int(value) => epoch::whole(*value, scale),
            Cell::Float(value) => epoch::double(*value, scale),
            Cell::Instant(at) => epoch::within_reason(*at),
            Cell::Bool(_) | Cell::Foreign(_) => Err("is no time".into()),
        };
        read.map(Some).map_err(|why| self.refuse(column, &why))
    }

    /// A text; `None` if missing.
    pub(crate) fn text(&self, column: usize) -> Result<Option<String>, Reason> {
        match &self.cells[column] {
            Cell::Missing => Ok(None),
            Cell::Text(text) if !is_text(text) => Ok(None),
            Cell::Text(text) => Ok(Some(text.clone().into_owned())),
            Cell::Int(value) => Ok(Some(value.to_string())),
            Cell::Float(value) if value.is_nan() => Ok(None),
            // A larger double may have been rounded, which would change an identifier.
            Cell::Float(value) if value.fract() == 0.0 && value.abs() < epoch::EXACT => {
                Ok(Some(value.to_string()))
            }
            Cell::Float(_) | Cell::Bool(_) | Cell::Instant(_) | Cell::Foreign(_) => {
                Err(self.refuse(column, "is no text"))
            }
        }
    }

    /// A ticker symbol; `None` if missing. A double, as some tools make of digits, becomes
    /// digits again.
    pub(crate) fn symbol(&self, column: usize) -> Result<Option<String>, Reason> {
        let text = self.text(column)?;
        Ok(text.map(|text| match text.strip_suffix(".0") {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.to_owned(),
            _ => text,
        }))
    }

    /// An optional name.
    pub(crate) fn words(&self, column: usize) -> Option<String> {
        let text = self.or_left_out(self.text(column)).flatten()?;
        if text.len() > LONGEST_NAME {
            let why = format!("has {} bytes, more than the limit of {LONGEST_NAME}", text.len());
            return self.or_left_out(Err(self.refuse(column, &why)));
        }
        Some(text)
    }

    /// An optional flag.
    pub(crate) fn flag(&self, column: usize) -> Option<bool> {
        let number = match &self.cells[column] {
            Cell::Missing => return None,
            Cell::Bool(value) => return Some(*value),
            Cell::Text(text) if is_one_of(text, &TRUE) => return Some(true),
            Cell::Text(text) if is_one_of(text, &FALSE) => return Some(false),
            Cell::Text(text) if is_one_of(text, &NOTHING) => return None,
            Cell::Text(text) => text.parse().ok(),
            Cell::Int(value) => Some(*value as f64),
            Cell::Float(value) if value.is_nan() => return None,
            Cell::Float(value) => Some(*value),
            Cell::Instant(_) | Cell::Foreign(_) => None,
        };
        match number {
            Some(1.0) => Some(true),
            Some(0.0) => Some(false),
            _ => self.or_left_out(Err(self.refuse(column, "is neither true nor false"))),
        }
    }

    /// The value, or an error if a required one is missing.
    pub(crate) fn needed<T>(&self, column: usize, value: Option<T>) -> Result<T, Reason> {
        value.ok_or_else(|| match &self.cells[column] {
            Cell::Missing => format!("column `{}` is empty", self.name(column)),
            _ => self.refuse(column, "stands for no value, and one must be there"),
        })
    }

    /// Whether the column has a value in this row.
    pub(crate) fn has(&self, column: usize) -> bool {
        self.cells[column] != Cell::Missing
    }

    /// A description of the first optional value that could not be read.
    pub(crate) fn left_out(&self) -> Option<String> {
        self.left_out.get().cloned()
    }

    /// The row as JSON, for formats without a textual form, so that it can be read again as a
    /// line of JSON. Times are written as texts, which need no unit.
    pub(crate) fn as_json(&self) -> Vec<u8> {
        let fields = self.columns.iter().zip(&self.cells).filter_map(|(column, cell)| {
            let value: serde_json::Value = match cell {
                Cell::Missing => return None,
                Cell::Text(text) => text.as_ref().into(),
                Cell::Int(value) => match i64::try_from(*value) {
                    Ok(value) => value.into(),
                    Err(_) => value.to_string().into(),
                },
                Cell::Float(value) if value.is_finite() => (*value).into(),
                Cell::Float(value) => value.to_string().into(),
                Cell::Bool(value) => (*value).into(),
                Cell::Instant(at) => time::rfc3339(*at).into(),
                Cell::Foreign(text) => text.as_str().into(),
            };
            Some((column.names[0].to_owned(), value))
        });
        serde_json::Value::Object(fields.collect()).to_string().into_bytes()
    }

    /// The value of an optional column; an unreadable one is recorded and becomes `None`.
    pub(crate) fn or_left_out<T>(&self, read: Result<T, Reason>) -> Option<T> {
        read.map_err(|reason| self.left_out.get_or_init(|| format!("{reason}; it is left out"))).ok()
    }

    fn refuse(&self, column: usize, why: &str) -> Reason {
        format!("column `{}` is `{}`, which {why}", self.name(column), self.cells[column])
    }

    fn name(&self, column: usize) -> &'static str {
        self.columns[column].names[0]
    }
}
