//! Reads JSON lines: one object a line. A file that is a single JSON document instead is
//! recognised by its first bytes, with the `jq` filter that converts it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Path;

use serde_json::value::RawValue;

use crate::columns::{self, FromRow, Known};
use crate::csv_rows::{Line, Lines, overlong, unread_header, unreadable_from};
use crate::value::Cell;
use crate::{BadRow, FileError, Placed};

pub(crate) struct JsonRows<T> {
    lines: Lines,
    /// For each known column the value that the names of the folders contain.
    of_folders: Vec<Option<String>>,
    ended: bool,
    rows: PhantomData<fn() -> T>,
}

impl<T: FromRow> JsonRows<T> {
    pub(crate) fn open(path: &Path, mut lines: Lines, head: &[u8]) -> Result<JsonRows<T>, FileError> {
        let first = lines.next().map_err(|error| unread_header(path, &error))?;
        let first = first.ok_or_else(|| columns::empty::<T>(path))?;
        if let Some((what, filter)) = of(head, T::COLUMNS) {
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

/// Reads one row. Missing columns may be taken from the names of the folders.
///
/// # Errors
/// When the row is invalid.
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

/// An object with its values unparsed, so that numbers keep their notation.
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

/// Quotes NaN and Infinity, which Python writes although they are not JSON.
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

// Complete JSON documents, as APIs return them.

/// What a file is, and the filter; `None` for JSON lines.
pub(crate) fn of(head: &[u8], columns: &[Known]) -> Option<(&'static str, String)> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if let Some(elements) = text.strip_prefix(b"[") {
        return Some(match elements.trim_ascii_start().first() {
            Some(b'[') => ("one JSON array of arrays", format!(".[] | {CANDLE}")),
            _ => ("one JSON array", ".[]".to_owned()),
        });
    }
    if !text.starts_with(b"{") {
        return None;
    }
    if is_cut_off_line(text) {
        return None;
    }
    let first = Outline::of(text);
    let known = |key: &str| columns.iter().any(|column| column.names.contains(&key));
    let holds = |column: &Known| {
        first.keys.iter().any(|(key, value)| column.names.contains(&key.as_str()) && *value == Value::Scalar)
    };
    if columns.iter().filter(|column| column.required).all(holds) && !spreads_over_lines(text) {
        return None;
    }
    let in_columns = first.keys.iter().find(|(key, value)| known(key) && *value != Value::Scalar);
    match (in_columns, &first.rows) {
        (Some((key, Value::Array)), _) => {
            let filter = format!(". as $all | range(.{key} | length) as $at | map_values(.[$at])");
            Some(("one JSON object of columns", filter))
        }
        (Some((key, _)), _) => {
            let filter = format!(". as $all | .{key} | keys_unsorted[] as $at | $all | map_values(.[$at])");
            Some(("one JSON object of columns", filter))
        }
        (None, Some(rows)) => Some(("one JSON document", rows.filter(&first))),
        (None, None) if spreads_over_lines(text) => Some(("JSON spread over several lines", ".".to_owned())),
        (None, None) => None,
    }
}

/// The order of the arrays that many candle APIs return, without a symbol.
const CANDLE: &str =
    r#"{start_ms: .[0], symbol: "AAPL", open: .[1], high: .[2], low: .[3], close: .[4], volume: .[5]}"#;
/// The single-letter fields of the aggregates of Massive and Alpaca.
const AGGREGATE: &str = "{start_ms: .t, symbol: $symbol, open: .o, high: .h, low: .l, close: .c, volume: .v}";

/// The text after the first line, if an object is still open there.
fn after_open_line(text: &[u8]) -> Option<&[u8]> {
    let line_end = text.iter().position(|&byte| byte == b'\n')?;
    Outline::of(&text[..line_end]).end.is_none().then(|| text[line_end..].trim_ascii_start())
}

/// Whether the first object continues after its line.
fn spreads_over_lines(text: &[u8]) -> bool {
    let goes_on =
        |next: &[u8]| next.first().is_some_and(|byte| b"\"}]".contains(byte) || byte.is_ascii_digit());
    after_open_line(text).is_some_and(goes_on)
}

/// Whether the first line is a line of JSON that was cut off: another one begins after it.
fn is_cut_off_line(text: &[u8]) -> bool {
    after_open_line(text).is_some_and(|next| next.starts_with(b"{"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Scalar,
    Array,
    Object,
}

/// The path of the first array of objects or arrays.
struct Rows {
    path: Vec<String>,
    are_arrays: bool,
    /// Whether its first object has the fields of an aggregate.
    are_aggregates: bool,
}

impl Rows {
    fn filter(&self, document: &Outline) -> String {
        let key = |key: &String| match key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            true if !key.starts_with(|first: char| first.is_ascii_digit()) => format!(".{key}"),
            _ => format!(".[{}]", serde_json::Value::from(key.replace('\'', ""))),
        };
        let path: String = self.path.iter().map(key).collect();
        let symbol =
            document.keys.iter().map(|(key, _)| key).find(|key| *key == "ticker" || *key == "symbol");
        match (self.are_arrays, self.are_aggregates, symbol) {
            (true, ..) => format!("{path}[] | {CANDLE}"),
            (false, true, Some(symbol)) => format!(".{symbol} as $symbol | {path}[] | {AGGREGATE}"),
            (false, true, None) => match self.path.split_last() {
                Some((_, outer)) if !outer.is_empty() => {
                    let outer: String = outer.iter().map(key).collect();
                    format!("{outer} | to_entries[] | .key as $symbol | .value[] | {AGGREGATE}")
                }
                _ => format!("\"AAPL\" as $symbol | {path}[] | {AGGREGATE}"),
            },
            (false, false, _) => format!("{path}[]"),
        }
    }
}

/// The outline of a possibly incomplete object.
#[derive(Default)]
struct Outline {
    /// Its keys with the kinds of their values.
    keys: Vec<(String, Value)>,
    /// The first array of rows in it.
    rows: Option<Rows>,
    /// The position after its end, if the text contains it.
    end: Option<usize>,
}

impl Outline {
    fn of(text: &[u8]) -> Outline {
        let mut outline = Outline::default();
        // For each open object or array: its closing bracket, and the current key.
        let mut open: Vec<(u8, Option<String>)> = Vec::new();
        let (mut at, mut string): (usize, Option<String>) = (0, None);
        while let Some(&byte) = text.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    let Some(length) = string_length(&text[at..]) else { break };
                    string = Some(String::from_utf8_lossy(&text[at..at + length]).into_owned());
                    at += length + 1;
                }
                b':' => {
                    let value = match text[at..].trim_ascii_start().first() {
                        Some(b'[') => Value::Array,
                        Some(b'{') => Value::Object,
                        _ => Value::Scalar,
                    };
                    let Some(key) = string.take() else { continue };
                    if open.len() == 1 {
                        outline.keys.push((key.clone(), value));
                    }
                    if let Some((_, reading)) = open.last_mut() {
                        *reading = Some(key);
                    }
                }
                b'{' | b'[' => {
                    if byte == b'[' && outline.rows.is_none() {
                        outline.rows = rows(&open, &text[at..]);
                    }
                    open.push((if byte == b'{' { b'}' } else { b']' }, None));
                }
                b'}' | b']' => {
                    if open.pop().is_none_or(|(closing, _)| closing != byte) {
                        break;
                    }
                    if open.is_empty() {
                        outline.end = Some(at);
                        break;
                    }
                }
                _ => {}
            }
        }
        outline
    }
}

/// The path of the array that begins here, if it contains rows.
fn rows(open: &[(u8, Option<String>)], text: &[u8]) -> Option<Rows> {
    let text = text.trim_ascii_start();
    let path: Option<Vec<String>> = open.iter().map(|(_, key)| key.clone()).collect();
    let first = *text.first()?;
    matches!(first, b'{' | b'[').then_some(())?;
    let keys = if first == b'{' { Outline::of_element(text).keys } else { Vec::new() };
    let has = |wanted: &str| keys.iter().any(|(key, _)| key == wanted);
    let are_aggregates = ["t", "o", "h", "l", "c", "v"].into_iter().all(has);
    Some(Rows { path: path?, are_arrays: first == b'[', are_aggregates })
}

impl Outline {
    /// The outline of one element, without nested values.
    fn of_element(text: &[u8]) -> Outline {
        /// Longer than any element of a list of bars, in bytes.
        const LONGEST: usize = 2 << 10;
        Outline::of(&text[..text.len().min(LONGEST)])
    }
}

/// The length of a string up to its closing quotation mark.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}
