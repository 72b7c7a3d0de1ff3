//! What the store itself must remember: notes, and the shapes of measurements.
//! They are points of two measurements of their own.
//!
//! A bucket may forget points by their age, so these carry the hour in which
//! they were written. Shapes are written again every hour that anything is
//! written; a note that nobody renews may go with the points that it is about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::schema::{Column, ColumnType, Value};
use model::time::{HOUR, Millis};
use serde_json::{Value as Json, json};

use super::answer::Record;
use super::delivery;
use super::flux::Flux;
use super::lines::{Layout, Lines};
use super::server::Server;
use crate::define::{kind_of, word_of};
use crate::{Measurement, Point, StoreError};

/// A measurement of texts by key, each replaced as a whole.
pub(super) struct Kept {
    layout: Layout,
    /// The hour of the newest text: a clock that is set back does not make a text older.
    hour: AtomicI64,
}

impl Kept {
    pub(super) fn new(name: &str) -> Kept {
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
        Kept { layout: Layout::new(Arc::new(measurement)), hour: AtomicI64::new(Millis::MIN) }
    }

    /// All texts whose keys start with `prefix`, by key.
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

    /// Sets texts, or with `None` forgets them, in one request.
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
        match delivery::send(server, &lines).await?.first() {
            None => Ok(()),
            Some(bad) => Err(self.unfit(server, "", &bad.reason)),
        }
    }

    fn unfit(&self, server: &Server, key: &str, reason: &str) -> StoreError {
        let reason = format!("`{key}` of {} could not be kept: {reason}", self.layout.measurement().name);
        StoreError::Refused { store: server.name(), status: 0, reason }
    }
}

/// A measurement's shape as a text to keep.
pub(super) fn shape_text(measurement: &Measurement) -> String {
    let Measurement { columns, tags, time, version, .. } = measurement;
    let columns: Vec<_> = columns.iter().map(|column| json!([column.name, word_of(column.kind)])).collect();
    json!({"columns": columns, "tags": tags, "time": time, "version": version}).to_string()
}

/// The shape that a text tells of.
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
