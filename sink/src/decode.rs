//! Converts records to points, or says why a record is invalid; makes dead letters of points
//! that the store refused; and declares the table of alerts.

use log::Append;
use model::schema::Value;
use model::time::{self, Millis};
use model::topic::ALERTS;
use model::{Article, Bar, DeadLetter, alert};
use serde_json::{Map, Value as Json};
use store::{Measurement, Point, RejectedPoint};

use crate::gathered::Points;
use crate::progress::Counts;
use crate::table::Table;

/// A record of a raw topic.
pub(crate) struct Raw {
    /// The watermark that the producer states (event time, ms).
    pub(crate) complete_until: Millis,
    /// The event time of the record (ms), also for a heartbeat or an invalid record.
    pub(crate) at: Millis,
    pub(crate) content: Content,
}

/// The content of a raw record.
pub(crate) enum Content {
    /// A heartbeat.
    Clock,
    /// A bar or an article.
    Data {
        symbol: Option<String>,
        /// The event time (ms).
        at: Millis,
        point: Point,
    },
    /// A bar or an article that violates a rule.
    Bad(String),
}

/// Decodes a record of `stock-prices`.
pub(crate) fn bar(value: &[u8]) -> Result<Raw, String> {
    let bar: Bar = serde_json::from_slice(value).map_err(|error| format!("not a bar: {error}"))?;
    let bar = bar.without_odd_figures();
    let at = bar.start_timestamp;
    let content = match bar.check() {
        _ if bar.is_heartbeat() => Content::Clock,
        Err(error) => Content::Bad(error.to_string()),
        Ok(()) => {
            let point = Point::bar(&bar);
            Content::Data { at: bar.start_timestamp, symbol: Some(bar.symbol), point }
        }
    };
    Ok(Raw { complete_until: plausible(bar.complete_until)?, at, content })
}

/// Decodes a record of `news-articles`.
pub(crate) fn article(value: &[u8]) -> Result<Raw, String> {
    let article: Article =
        serde_json::from_slice(value).map_err(|error| format!("not an article: {error}"))?;
    let at = article.published_timestamp;
    let content = match article.check() {
        _ if article.is_heartbeat() => Content::Clock,
        Err(error) => Content::Bad(error.to_string()),
        Ok(()) => {
            let point = Point::article(&article);
            Content::Data { at: article.published_timestamp, symbol: article.symbol, point }
        }
    };
    Ok(Raw { complete_until: plausible(article.complete_until)?, at, content })
}

/// Checks that a watermark is a plausible time. An implausible one would move event time
/// permanently.
fn plausible(complete_until: Millis) -> Result<Millis, String> {
    match time::is_believable(complete_until) {
        true => Ok(complete_until),
        false => Err(format!("complete_until {complete_until} is no time in epoch milliseconds")),
    }
}

/// Decodes a record of the topic of a job, as a row with the types of the columns of the job. A
/// missing column is null; the measurement checks whether null is allowed.
pub(crate) fn row(table: &Table, value: &[u8]) -> Result<Vec<Value>, String> {
    match crate::row::read(&table.measurement.columns, value) {
        Some(row) => Ok(row),
        None => row_or_reason(table, value),
    }
}

/// As [`row`], but by parsing the whole JSON object, which can tell which column is wrong.
fn row_or_reason(table: &Table, value: &[u8]) -> Result<Vec<Value>, String> {
    let object: Map<String, Json> =
        serde_json::from_slice(value).map_err(|error| format!("not a row of {}: {error}", table.topic))?;
    let columns = table.measurement.columns.iter();
    columns
        .map(|column| match object.get(&column.name) {
            None => Ok(Value::Null),
            Some(json) => Value::from_json(json, column.kind)
                .ok_or_else(|| format!("column `{}` takes {:?}, not {json}", column.name, column.kind)),
        })
        .collect()
}

// Points that the store will never accept: each becomes a dead letter with the reason of the
// store, or is only counted if it is older than the retention.

/// Counts the `rejected` ones of `points`, and returns their dead letters.
pub(crate) fn letters(rejected: Vec<RejectedPoint>, points: &Points, counts: &mut Counts) -> Vec<Append> {
    let (too_old, bad): (Vec<_>, Vec<_>) = rejected.into_iter().partition(|point| point.past_retention);
    if let Some(first) = too_old.first() {
        counts.too_old += too_old.len() as u64;
        tracing::warn!(
            points = too_old.len(),
            "Points are older than the retention of the store and were not written: {}. To store them, raise influxdb.retention, run `tickwire init`, then `tickwire recompute` or read the log from its start.",
            first.reason
        );
    }
    counts.rejected += bad.len() as u64;
    let letter = |rejected: RejectedPoint| {
        let (measurement, points) = points.get(rejected.group)?;
        let event = as_json(measurement, points.get(rejected.point)?);
        let source = format!("store:{}", measurement.name);
        Some(DeadLetter::new(source, rejected.reason, event.as_bytes(), time::now()).to_append())
    };
    bad.into_iter().filter_map(letter).collect()
}

/// A point as a JSON object.
fn as_json(measurement: &Measurement, point: &Point) -> String {
    let values = measurement.columns.iter().zip(&point.values);
    let object: Map<_, _> = values.map(|(column, value)| (column.name.clone(), value.to_json())).collect();
    serde_json::Value::Object(object).to_string()
}

// Alerts as points: one per episode, written again when the episode closes.

/// One point per symbol, rule and time of opening.
pub(crate) fn table() -> Table {
    let measurement = Measurement {
        name: ALERTS.measurement(),
        columns: alert::columns(),
        tags: vec!["symbol".into(), "rule".into()],
        time: "opened".into(),
        version: None,
    };
    Table::new(ALERTS, measurement, Vec::new(), None)
}
