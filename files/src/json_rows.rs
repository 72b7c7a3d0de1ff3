//! Rows of JSON lines: one object a line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Path;

use serde_json::value::RawValue;

use crate::columns::{self, FromRow};
use crate::csv_rows::{overlong, unread_header, unreadable_from};
use crate::json_document;
use crate::lines::{Line, Lines};
use crate::value::Cell;
use crate::{BadRow, FileError, Placed};

pub(crate) struct JsonRows<T> {
    lines: Lines,
    /// For each known column the value that the folders around the file name.
    of_folders: Vec<Option<String>>,
    ended: bool,
    rows: PhantomData<fn() -> T>,
}

impl<T: FromRow> JsonRows<T> {
    pub(crate) fn open(path: &Path, mut lines: Lines, head: &[u8]) -> Result<JsonRows<T>, FileError> {
        let first = lines.next().map_err(|error| unread_header(path, &error))?;
        let first = first.ok_or_else(|| columns::empty::<T>(path))?;
        if let Some((what, filter)) = json_document::of(head, T::COLUMNS) {
            return Err(FileError::JsonDocument { path: path.to_owned(), what, filter });
        }
        lines.give_back(vec![first]);
        let of_folders = columns::in_folders::<T>(path);
        Ok(JsonRows { lines, of_folders, ended: false, rows: PhantomData })
    }
}

impl<T: FromRow> Iterator for JsonRows<T> {
    type Item = Result<Placed<T>, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.lines.next() {
            Ok(line) => line.map(|line| read(&line, &self.of_folders)),
            Err(error) => {
                self.ended = true;
                Some(Err(unreadable_from(self.lines.following(), &error)))
            }
        }
    }
}

/// Reads one row; what it does not hold may be named by the folders around its file.
///
/// # Errors
/// The reason why it is a bad one.
pub(crate) fn read<T: FromRow>(line: &Line, of_folders: &[Option<String>]) -> Result<Placed<T>, BadRow> {
    let bad =
        |reason| BadRow { part: None, line: line.number, reason, text: line.bytes.clone(), unread: false };
    if let Some(length) = line.overlong {
        return Err(bad(overlong(length)));
    }
    let quoted;
    let object = match serde_json::from_slice::<Object<'_>>(&line.bytes) {
        Ok(object) => object,
        Err(error) => {
            quoted = with_bare_words_quoted(&line.bytes);
            match serde_json::from_slice(&quoted) {
                Ok(object) => object,
                Err(_) if error.is_eof() => {
                    return Err(BadRow { unread: !line.ended, ..bad("the JSON object is cut off".into()) });
                }
                Err(_) => return Err(bad(format!("the line is no JSON object: {error}"))),
            }
        }
    };
    let cells = T::COLUMNS.iter().enumerate().map(|(index, column)| {
        let value = column.names.iter().find_map(|name| object.get(*name));
        let of_folder = || of_folders.get(index)?.clone().map(|value| Cell::Text(value.into()));
        value.map(|value| cell(value)).or_else(of_folder).unwrap_or(Cell::Missing)
    });
    columns::make(line.number, cells.collect(), |_| line.bytes.clone())
}

/// An object whose values are read as they are needed, numbers as they are written.
type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

fn cell(value: &RawValue) -> Cell<'_> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'n') => Cell::Missing,
        Some(b't' | b'f') => Cell::Bool(text == "true"),
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(text) if text.trim().is_empty() => Cell::Missing,
            Ok(text) => Cell::Text(text.trim().to_owned().into()),
            Err(error) => Cell::Foreign(format!("{text} ({error})")),
        },
        Some(b'[' | b'{') => Cell::Foreign(text.to_owned()),
        _ => Cell::Text(text.into()),
    }
}

/// A line in which NaN and Infinity, which Python writes though JSON has no such
/// words, are texts.
fn with_bare_words_quoted(line: &[u8]) -> Vec<u8> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let mut quoted = Vec::with_capacity(line.len() + 16);
    let (mut rest, mut within, mut escaped) = (line, false, false);
    while let Some((&byte, after)) = rest.split_first() {
        match WORDS.iter().find(|word| !within && rest.starts_with(word)) {
            Some(word) => {
                quoted.push(b'"');
                quoted.extend_from_slice(word);
                quoted.push(b'"');
                rest = &rest[word.len()..];
                continue;
            }
            None if within && escaped => escaped = false,
            None if within && byte == b'\\' => escaped = true,
            None if byte == b'"' => within = !within,
            None => {}
        }
        quoted.push(byte);
        rest = after;
    }
    quoted
}
