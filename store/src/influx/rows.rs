//! Reads rows: combines the values of fields to rows, ordered by their identities; and builds
//! Flux queries and delete predicates.

use std::collections::BTreeMap;
use std::fmt::Write;

use model::schema::{ColumnType, Value};

use super::answer::Record;
use super::lines::NO_TAG;
use super::server::Server;
use crate::point::{Bounds, NANOS};
use crate::{Measurement, Query, Rows, StoreError};

/// The values of the tags of a measurement, in order.
pub(super) type Tags = Vec<String>;

/// Rows by tags, then time (ns).
pub(super) type Found = BTreeMap<Tags, BTreeMap<i64, Vec<Value>>>;

/// The largest number of tag combinations in one query.
const SERIES: usize = 64;

/// The rows of a query, from a measurement with this shape.
pub(super) async fn read(server: &Server, shape: &Measurement, query: &Query) -> Result<Rows, StoreError> {
    let wanted = query.wanted_tags(shape)?;
    let mut rows = Rows { columns: shape.columns.clone(), ..Rows::default() };
    let Some(limit) = query.limit else {
        let given: Vec<_> = shape
            .tags
            .iter()
            .zip(&wanted)
            .filter_map(|(tag, value)| Some((tag.as_str(), value.as_deref()?)))
            .collect();
        let bounds = Bounds::new(query, &[]);
        let asked = points(server, shape, &bounds).any_of(&[given]);
        add_rows(&mut rows, found(server, shape, asked).await?, query, usize::MAX);
        return Ok(rows);
    };
    let mut series = match wanted.iter().cloned().collect::<Option<Tags>>() {
        Some(tags) => vec![tags],
        None => series(server, shape, &wanted).await?.into_keys().collect(),
    };
    if let Some((last, _)) = &query.after {
        series.retain(|tags| tags >= last);
    }
    // One page often has rows of one symbol only; if symbols have few rows, the number of
    // symbols per query is doubled.
    let (mut at_once, mut left) = (1, series.as_slice());
    while !left.is_empty() && rows.rows.len() < limit {
        let paged = query.after.as_ref().is_some_and(|(last, _)| *last == left[0]);
        let (these, others) = left.split_at(if paged { 1 } else { at_once.min(left.len()) });
        left = others;
        let room = limit - rows.rows.len();
        let tags: Vec<_> = these.iter().map(|tags| named(shape, tags)).collect();
        let asked = points(server, shape, &Bounds::new(query, &these[0])).any_of(&tags);
        let asked = asked.limit(room, query.newest_first);
        add_rows(&mut rows, found(server, shape, asked).await?, query, room);
        at_once = (at_once * 2).min(SERIES);
    }
    Ok(rows)
}

/// The newest row for every value of the first tag.
pub(super) async fn latest(server: &Server, shape: &Measurement) -> Result<Rows, StoreError> {
    let newest = points(server, shape, &Bounds::ALL).last();
    let mut latest: BTreeMap<Option<String>, (i64, Tags, Vec<Value>)> = BTreeMap::new();
    for (tags, rows) in found(server, shape, newest).await? {
        // A field that is null in the newest row has its last value in an older row, which is
        // not used.
        let Some((time, row)) = rows.into_iter().next_back() else { continue };
        let first = tags.first().cloned();
        if latest.get(&first).is_none_or(|(held, ..)| time >= *held) {
            latest.insert(first, (time, tags, row));
        }
    }
    let mut rows = Rows { columns: shape.columns.clone(), ..Rows::default() };
    for (time, tags, row) in latest.into_values() {
        rows.rows.push(row);
        rows.last_key = Some((tags, time));
    }
    Ok(rows)
}

/// The stored combinations of tags with the requested values, each with its newest time (ns).
pub(super) async fn series(
    server: &Server,
    shape: &Measurement,
    wanted: &[Option<String>],
) -> Result<BTreeMap<Tags, i64>, StoreError> {
    let given: Vec<_> = shape
        .tags
        .iter()
        .zip(wanted)
        .filter_map(|(tag, value)| Some((tag.as_str(), value.as_deref()?)))
        .collect();
    let mut asked = points(server, shape, &Bounds::ALL).any_of(&[given]);
    if let Some(always) = &shape.version {
        asked = asked.field(always);
    }
    let mut series = BTreeMap::new();
    let each = |record: &Record<'_>| {
        let time = record.time().unwrap_or(i64::MIN);
        let newest = series.entry(tags_of(shape, record)).or_insert(time);
        *newest = time.max(*newest);
    };
    server.query(asked.last().keep(&shape.tags), each).await?;
    Ok(series)
}

/// The rows with these tags; both times are inclusive.
pub(super) async fn rows_of(
    server: &Server,
    shape: &Measurement,
    series: &[Tags],
    bounds: &Bounds,
) -> Result<Found, StoreError> {
    let mut asked = points(server, shape, bounds);
    if series.len() <= SERIES {
        asked = asked.any_of(&series.iter().map(|tags| named(shape, tags)).collect::<Vec<_>>());
    }
    found(server, shape, asked).await
}

/// The tags of a measurement with their names.
pub(super) fn named<'a>(shape: &'a Measurement, tags: &'a Tags) -> Vec<(&'a str, &'a str)> {
    shape.tags.iter().map(String::as_str).zip(tags.iter().map(String::as_str)).collect()
}

fn points(server: &Server, shape: &Measurement, bounds: &Bounds) -> Flux {
    Flux::points(server.bucket(), &shape.name, bounds.low, bounds.high.saturating_add(1))
}

async fn found(server: &Server, shape: &Measurement, asked: Flux) -> Result<Found, StoreError> {
    let mut found = Found::new();
    let each = |record: &Record<'_>| {
        let Some(time) = record.time() else { return };
        let tags = tags_of(shape, record);
        let rows = match found.get_mut(&tags) {
            Some(rows) => rows,
            None => found.entry(tags.clone()).or_default(),
        };
        let row = rows.entry(time).or_insert_with(|| blank(shape, &tags, time));
        if let Some(at) = shape.index_of(record.text("_field")) {
            row[at] = as_kind(record.value(), shape.columns[at].kind);
        }
    };
    server.query(asked.keep(&shape.tags), each).await?;
    Ok(found)
}

fn tags_of(shape: &Measurement, record: &Record<'_>) -> Tags {
    let value = |tag: &String| Some(record.text(tag)).filter(|value| *value != NO_TAG).unwrap_or_default();
    shape.tags.iter().map(|tag| value(tag).to_owned()).collect()
}

/// A row of which only the identity is known.
fn blank(shape: &Measurement, tags: &Tags, time: i64) -> Vec<Value> {
    let value = |name: &String| match shape.tags.iter().position(|tag| tag == name) {
        Some(at) => Value::Text(tags[at].clone()),
        None if *name == shape.time => Value::Int(time.div_euclid(NANOS)),
        None => Value::Null,
    };
    shape.columns.iter().map(|column| value(&column.name)).collect()
}

/// A value that another program wrote with another type counts as null.
fn as_kind(value: Value, kind: ColumnType) -> Value {
    let fits = matches!(
        (kind, &value),
        (ColumnType::Float, Value::Float(_))
            | (ColumnType::Int | ColumnType::Time, Value::Int(_))
            | (ColumnType::Text, Value::Text(_))
            | (ColumnType::Bool, Value::Bool(_))
    );
    if fits { value } else { Value::Null }
}

/// Adds at most `room` rows, in the order of the query.
fn add_rows(rows: &mut Rows, found: Found, query: &Query, room: usize) {
    let mut left = room;
    for (tags, by_time) in found {
        let mut ordered: Vec<_> = by_time.into_iter().collect();
        if query.newest_first {
            ordered.reverse();
        }
        ordered.truncate(left);
        left -= ordered.len();
        if let Some((time, _)) = ordered.last() {
            rows.last_key = Some((tags, *time));
        }
        rows.rows.extend(ordered.into_iter().map(|(_, row)| row));
    }
}

// The text of queries and deletions. All text from outside is escaped by [`text`] or
// [`predicate_text`].

/// A Flux query of points of a bucket.
#[derive(Clone, Debug)]
pub(super) struct Flux(String);

impl Flux {
    /// The points of a measurement with times from `from` (inclusive) to `to` (exclusive), in
    /// ns.
    pub(super) fn points(bucket: &str, measurement: &str, from: i64, to: i64) -> Flux {
        // The range of times that InfluxDB accepts.
        let (from, to) = (from.max(i64::MIN + 2), to.min(i64::MAX - 1));
        Flux(format!(
            "from(bucket: {}) |> range(start: time(v: {from}), stop: time(v: {to})) |> filter(fn: (r) => r._measurement == {})",
            text(bucket),
            text(measurement)
        ))
    }

    /// Selects one field.
    pub(super) fn field(self, field: &str) -> Flux {
        let field = text(field);
        self.then(&format!("filter(fn: (r) => r._field == {field})"))
    }

    /// Selects points whose tags are one of these lists.
    pub(super) fn any_of(self, series: &[Vec<(&str, &str)>]) -> Flux {
        let one = |tags: &Vec<(&str, &str)>| match tags.as_slice() {
            [] => "true".to_owned(),
            tags => tags.iter().map(|(tag, value)| equal(tag, value)).collect::<Vec<_>>().join(" and "),
        };
        let any: Vec<_> = series.iter().map(|tags| format!("({})", one(tags))).collect();
        self.then(&format!("filter(fn: (r) => {})", any.join(" or ")))
    }

    /// Selects the last value of each field and series.
    pub(super) fn last(self) -> Flux {
        self.then("last()")
    }

    /// Selects at most `limit` values of each field and series, the newest or the oldest.
    pub(super) fn limit(self, limit: usize, newest: bool) -> Flux {
        let sorted = if newest { self.then("sort(columns: [\"_time\"], desc: true)") } else { self };
        sorted.then(&format!("limit(n: {limit})"))
    }

    /// The text of the query, with only the columns that are read: tags, time, field and value.
    pub(super) fn keep(self, tags: &[String]) -> String {
        let tags: String = tags.iter().map(|tag| format!("{}, ", text(tag))).collect();
        self.then(&format!("keep(columns: [{tags}\"_time\", \"_field\", \"_value\"])")).0
    }

    fn then(mut self, step: &str) -> Flux {
        self.0.push_str(" |> ");
        self.0.push_str(step);
        self
    }
}

fn equal(tag: &str, value: &str) -> String {
    format!("r[{}] == {}", text(tag), text(as_written(value)))
}

/// The value of a tag as written in a line.
fn as_written(value: &str) -> &str {
    if value.is_empty() { NO_TAG } else { value }
}

/// A string literal of Flux, escaped against termination and interpolation.
fn text(value: &str) -> String {
    let mut literal = String::from("\"");
    for character in value.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            // `${…}` would be interpolated.
            '$' => literal.push_str("\\x24"),
            character if character.is_ascii_control() => {
                let _ = write!(literal, "\\x{:02x}", u32::from(character));
            }
            character => literal.push(character),
        }
    }
    literal.push('"');
    literal
}

/// The predicate of a deletion: exactly these tags.
pub(super) fn predicate(measurement: &str, tags: &[(&str, &str)]) -> String {
    let equal = |(tag, value): &(&str, &str)| format!(" AND {tag}={}", predicate_text(as_written(value)));
    let tags: String = tags.iter().map(equal).collect();
    format!("_measurement={}{tags}", predicate_text(measurement))
}

/// A string literal of a delete predicate.
fn predicate_text(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A time (ns) in RFC 3339.
pub(super) fn rfc3339(time: i64) -> String {
    const SECOND: i64 = 1_000_000_000;
    let whole = model::time::rfc3339(time.div_euclid(SECOND) * 1_000);
    let whole = whole.trim_end_matches('Z');
    let whole = whole.split_once('.').map_or(whole, |(whole, _)| whole);
    format!("{whole}.{:09}Z", time.rem_euclid(SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_never_more_than_a_text() {
        assert_eq!(text("A\") |> drop()"), "\"A\\\") |> drop()\"");
        assert_eq!(text("${os.env()}\\\n"), "\"\\x24{os.env()}\\\\\\x0a\"");
        assert_eq!(
            predicate("m", &[("tag", "a\" OR \"b\\")]),
            "_measurement=\"m\" AND tag=\"a\\\" OR \\\"b\\\\\""
        );
    }

    #[test]
    fn a_query_asks_for_what_is_read_and_no_more() {
        let query = Flux::points("events", "volatility", 0, 5).any_of(&[vec![("symbol", "A"), ("term", "")]]);
        assert_eq!(
            query.limit(3, false).keep(&["symbol".into(), "term".into()]),
            "from(bucket: \"events\") |> range(start: time(v: 0), stop: time(v: 5)) \
             |> filter(fn: (r) => r._measurement == \"volatility\") \
             |> filter(fn: (r) => (r[\"symbol\"] == \"A\" and r[\"term\"] == \" \")) \
             |> limit(n: 3) |> keep(columns: [\"symbol\", \"term\", \"_time\", \"_field\", \"_value\"])"
        );
    }

    #[test]
    fn times_are_said_to_the_nanosecond() {
        assert_eq!(rfc3339(1_380_873_960_000_000_042), "2013-10-04T08:06:00.000000042Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
    }
}
