//! Encodes points as line protocol, one line per point, in reusable buffers, and stores texts
//! (shapes and notes) as points of measurements of their own.
//!
//! Encoding a point needs no allocation once the buffers have grown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::schema::{Column, ColumnType, Value};
use model::time::{HOUR, Millis};
use serde_json::{Value as Json, json};

use super::answer::Record;
use super::rows::Flux;
use super::server::Server;
use super::writing::send;
use crate::point::{kind_of, word_of};
use crate::{Measurement, Point, StoreError};

/// The largest length of a text in a field, in bytes.
const LONGEST_TEXT: usize = 65_535;

/// The range of times in ns that InfluxDB accepts.
const TIMES: std::ops::RangeInclusive<i64> = i64::MIN + 2..=i64::MAX - 1;

/// The field of a point without other values, since a line needs at least one field. Names of
/// columns do not begin with `_`.
pub(super) const EMPTY: &str = "_empty";

/// The value for an empty tag. Line protocol has no empty tags, and points without a tag cannot
/// be deleted separately from points that have it.
pub(super) const NO_TAG: &str = " ";

/// Whether a text is stored with an additional blank. InfluxDB loses empty texts: if one is the
/// second of two different values in a row, the answer omits it and moves the later ones to
/// earlier times. So the empty text is stored as one blank, one blank as two, and so on.
fn is_padded(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ')
}

/// The text that a stored text stands for.
pub(super) fn text_of_field(mut text: String) -> String {
    if is_padded(&text) {
        text.pop();
    }
    text
}

/// The parts that all lines of a measurement share.
#[derive(Debug)]
pub struct Layout {
    measurement: Arc<Measurement>,
    /// The name of the measurement.
    name: String,
    /// `,key=` and the index of the value, ordered by key.
    tags: Vec<(String, usize)>,
    /// `key=` and the index of the value.
    fields: Vec<(String, usize)>,
}

impl Layout {
    /// The layout of the lines of a measurement.
    pub fn new(measurement: Arc<Measurement>) -> Layout {
        let is_tag = |name: &String| measurement.tags.contains(name);
        let columns = || measurement.columns.iter().enumerate().map(|(at, column)| (&column.name, at));
        let mut tags: Vec<_> = columns().filter(|(name, _)| is_tag(name)).collect();
        tags.sort();
        let tags = tags.into_iter().map(|(name, at)| (format!(",{}=", key(name)), at)).collect();
        let fields = columns().filter(|(name, _)| !is_tag(name) && **name != measurement.time);
        let fields = fields.map(|(name, at)| (format!("{}=", key(name)), at)).collect();
        let mut name = String::new();
        escaped(&mut name, &measurement.name, b", ");
        Layout { name, tags, fields, measurement }
    }

    pub(super) fn measurement(&self) -> &Arc<Measurement> {
        &self.measurement
    }

    /// Writes the measurement and the tags, which all points of a series share.
    pub(super) fn write_series(&self, values: &[Value], text: &mut String) -> Result<(), Unwritable> {
        text.push_str(&self.name);
        for (key, at) in &self.tags {
            let value = values.get(*at).and_then(Value::as_str).unwrap_or_default();
            if !can_be_tag(value) {
                return Err(Unwritable::Tag { tag: key[1..key.len() - 1].to_owned() });
            }
            text.push_str(key);
            escaped(text, if value.is_empty() { NO_TAG } else { value }, b",= ");
        }
        Ok(())
    }

    fn write_fields(&self, values: &[Value], text: &mut String) -> Result<(), Unwritable> {
        let mut separator = ' ';
        for (key, at) in &self.fields {
            let value = match values.get(*at) {
                None | Some(Value::Null) => continue,
                Some(Value::Float(value)) if !value.is_finite() => continue,
                Some(value) => value,
            };
            text.push(separator);
            text.push_str(key);
            write_value(value, text)
                .map_err(|()| Unwritable::Text { field: key[..key.len() - 1].to_owned() })?;
            separator = ',';
        }
        if separator == ' ' {
            text.push(' ');
            text.push_str(EMPTY);
            text.push_str("=true");
        }
        Ok(())
    }
}

fn write_value(value: &Value, text: &mut String) -> Result<(), ()> {
    match value {
        Value::Null => {}
        // Minus zero becomes zero. The digits are the fewest that parse to the same double.
        Value::Float(value) => text.push_str(zmij::Buffer::new().format_finite(value + 0.0)),
        Value::Int(value) => {
            text.push_str(itoa::Buffer::new().format(*value));
            text.push('i');
        }
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Text(value) if value.len() + usize::from(is_padded(value)) > LONGEST_TEXT => return Err(()),
        Value::Text(value) => {
            text.push('"');
            escaped(text, value, b"\"\\");
            text.push_str(if is_padded(value) { " \"" } else { "\"" });
        }
    }
    Ok(())
}

/// Whether every server reads a tag as it was written. Line protocol has no escape for a line
/// break, and servers disagree about a backslash before an escaped character.
fn can_be_tag(value: &str) -> bool {
    let ambiguous = |pair: &[u8]| pair[0] == b'\\' && matches!(pair[1], b'\\' | b',' | b'=' | b' ');
    value != NO_TAG
        && !value.ends_with('\\')
        && !value.contains(['\n', '\r'])
        && !value.as_bytes().windows(2).any(ambiguous)
}

/// The escaped key of a tag or field.
fn key(name: &str) -> String {
    let mut key = String::new();
    escaped(&mut key, name, b",= ");
    key
}

/// Appends `value` with a backslash before each byte of `special` (ASCII).
fn escaped(text: &mut String, value: &str, special: &[u8]) {
    let mut from = 0;
    for (at, byte) in value.bytes().enumerate() {
        if special.contains(&byte) {
            text.push_str(&value[from..at]);
            text.push('\\');
            from = at;
        }
    }
    text.push_str(&value[from..]);
}

/// Why a point cannot be written as a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// A tag that servers would read differently.
    #[error(
        "tag `{tag}` is a single blank, or holds a line break, or a backslash at its end or before a comma, an equals sign, a blank or another backslash, which no tag can"
    )]
    Tag {
        /// The key of the tag.
        tag: String,
    },
    /// A text is too long.
    #[error("field `{field}` is longer than {LONGEST_TEXT} bytes, the longest text that a field can hold")]
    Text {
        /// The key of the field.
        field: String,
    },
    /// The time is out of the range of InfluxDB.
    #[error("the time {time} ns is out of the range of InfluxDB")]
    Time {
        /// The time in ns.
        time: i64,
    },
}

/// The position of one line in the text.
#[derive(Clone, Copy, Debug)]
struct Line {
    start: usize,
    /// The end of measurement and tags.
    series_end: usize,
    /// The position after the line break.
    end: usize,
    time: i64,
}

/// Lines that are collected before they are sent.
#[derive(Debug, Default)]
pub struct Lines {
    text: String,
    lines: Vec<Line>,
}

impl Lines {
    /// Adds a point.
    ///
    /// # Errors
    /// If it cannot be written; the lines before it stay unchanged.
    pub fn push(&mut self, layout: &Layout, point: &Point) -> Result<(), Unwritable> {
        let start = self.text.len();
        let pushed = self.try_push(layout, point, start);
        if pushed.is_err() {
            self.text.truncate(start);
        }
        pushed
    }

    fn try_push(&mut self, layout: &Layout, point: &Point, start: usize) -> Result<(), Unwritable> {
        let time = layout.measurement.time_ns(point).unwrap_or(i64::MIN);
        if !TIMES.contains(&time) {
            return Err(Unwritable::Time { time });
        }
        layout.write_series(&point.values, &mut self.text)?;
        let series_end = self.text.len();
        layout.write_fields(&point.values, &mut self.text)?;
        self.text.push(' ');
        self.text.push_str(itoa::Buffer::new().format(time));
        self.text.push('\n');
        self.lines.push(Line { start, series_end, end: self.text.len(), time });
        Ok(())
    }

    /// Removes the last line.
    pub(super) fn pop(&mut self) {
        if let Some(line) = self.lines.pop() {
            self.text.truncate(line.start);
        }
    }

    /// Removes all lines and keeps the buffers.
    pub fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The measurement and tags of a line.
    pub(super) fn series(&self, line: usize) -> &str {
        let Line { start, series_end, .. } = self.lines[line];
        &self.text[start..series_end]
    }

    /// The time of a line in ns.
    pub(super) fn time(&self, line: usize) -> i64 {
        self.lines[line].time
    }

    /// The length of a line in bytes.
    pub(super) fn size(&self, line: usize) -> usize {
        self.lines[line].end - self.lines[line].start
    }

    /// Some lines, as the body of a request.
    pub(super) fn body(&self, lines: &[usize]) -> String {
        let mut body = String::with_capacity(lines.iter().map(|line| self.size(*line)).sum());
        for line in lines {
            body.push_str(&self.text[self.lines[*line].start..self.lines[*line].end]);
        }
        body
    }

    /// All lines.
    pub fn text(&self) -> &str {
        &self.text
    }
}

// Texts that the store keeps for itself: notes, and the shapes of measurements. They are points
// of two measurements of their own.
//
// A bucket may delete points by age, so the points of texts have the hour in which they were
// written as their time. Shapes are written again in every hour with a write; a note that is
// not renewed expires with the points that it belongs to.

/// A measurement with texts by key, each of which is replaced completely.
pub(super) struct TextStore {
    layout: Layout,
    /// The hour of the newest text, so that setting the clock back does not make a text older.
    hour: AtomicI64,
}

impl TextStore {
    pub(super) fn new(name: &str) -> TextStore {
        let columns = [
            ("key", ColumnType::Text),
            ("at", ColumnType::Time),
            ("text", ColumnType::Text),
            ("kept", ColumnType::Bool),
        ];
        let measurement = Measurement {
            name: name.to_owned(),
            columns: columns.map(|(name, kind)| Column::new(name, kind)).into(),
            tags: vec!["key".to_owned()],
            time: "at".to_owned(),
            version: None,
        };
        TextStore { layout: Layout::new(Arc::new(measurement)), hour: AtomicI64::new(Millis::MIN) }
    }

    /// All texts whose keys begin with `prefix`, by key.
    pub(super) async fn read(
        &self,
        server: &Server,
        prefix: &str,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let measurement = self.layout.measurement();
        let newest = Flux::points(server.bucket(), &measurement.name, i64::MIN, i64::MAX).last();
        let (mut texts, mut forgotten) = (BTreeMap::new(), Vec::new());
        let each = |record: &Record<'_>| {
            let hour = record.time().unwrap_or_default() / crate::point::NANOS;
            self.hour.fetch_max(hour, Ordering::Relaxed);
            let key = record.text("key");
            match (record.text("_field"), record.value()) {
                ("text", Value::Text(text)) if key.starts_with(prefix) => {
                    texts.insert(key.to_owned(), text);
                }
                ("kept", Value::Bool(false)) => forgotten.push(key.to_owned()),
                _ => {}
            }
        };
        server.query(newest.keep(&measurement.tags), each).await?;
        forgotten.iter().for_each(|key| drop(texts.remove(key)));
        Ok(texts)
    }

    /// Sets texts, or deletes them with `None`, in one request.
    pub(super) async fn write<'a>(
        &self,
        server: &Server,
        texts: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<(), StoreError> {
        let now = model::time::now().div_euclid(HOUR) * HOUR;
        let hour = self.hour.fetch_max(now, Ordering::Relaxed).max(now);
        let mut lines = Lines::default();
        for (key, text) in texts {
            let kept = text.map_or(Value::Null, |text| Value::Text(text.to_owned()));
            let values =
                vec![Value::Text(key.to_owned()), Value::Int(hour), kept, Value::Bool(text.is_some())];
            let point = Point { nanos: 0, values };
            lines
                .push(&self.layout, &point)
                .map_err(|reason| self.unfit(server, key, &reason.to_string()))?;
        }
        match send(server, &lines).await?.first() {
            None => Ok(()),
            Some(bad) => Err(self.unfit(server, "", &bad.reason)),
        }
    }

    fn unfit(&self, server: &Server, key: &str, reason: &str) -> StoreError {
        let reason = format!("`{key}` of {} could not be stored: {reason}", self.layout.measurement().name);
        StoreError::Refused { store: server.name(), status: 0, reason }
    }
}

/// Encodes the shape of a measurement as a text.
pub(super) fn shape_text(measurement: &Measurement) -> String {
    let Measurement { columns, tags, time, version, .. } = measurement;
    let columns: Vec<_> = columns.iter().map(|column| json!([column.name, word_of(column.kind)])).collect();
    json!({"columns": columns, "tags": tags, "time": time, "version": version}).to_string()
}

/// Decodes the shape of a measurement.
pub(super) fn shape_of(name: &str, text: &str) -> Option<Measurement> {
    let shape: Json = serde_json::from_str(text).ok()?;
    let word = |json: &Json| json.as_str().map(str::to_owned);
    let column = |json: &Json| Some(Column::new(json[0].as_str()?, kind_of(json[1].as_str()?)?));
    Some(Measurement {
        name: name.to_owned(),
        columns: shape["columns"].as_array()?.iter().map(column).collect::<Option<_>>()?,
        tags: shape["tags"].as_array()?.iter().map(word).collect::<Option<_>>()?,
        time: word(&shape["time"])?,
        version: word(&shape["version"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_comes_back_from_its_text() {
        for shape in [
            Measurement::bars(),
            Measurement::articles(),
            Measurement { version: None, ..Measurement::bars() },
        ] {
            assert_eq!(shape_of(&shape.name, &shape_text(&shape)), Some(shape));
        }
        assert_eq!(shape_of("x", "{}"), None);
    }
}
