//! The SQL of one measurement's table. Names are checked by
//! [`Measurement::check_shape`] and quoted; values are only ever parameters.

use std::fmt::Write;

use model::schema::{Column, ColumnType, Value};
use rusqlite::Row;
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};

use crate::Measurement;
use crate::point::NANOS;

/// The point's time in nanoseconds, from which the measurement's time column is read.
pub(super) const TIME: &str = "_time_ns";

pub(super) fn create(measurement: &Measurement) -> String {
    let mut sql = format!("CREATE TABLE {} (", quoted(&measurement.name));
    for tag in &measurement.tags {
        let _ = write!(sql, "{} TEXT NOT NULL, ", quoted(tag));
    }
    let _ = write!(sql, "{TIME} INTEGER NOT NULL, ");
    for field in fields(measurement) {
        let _ = write!(sql, "{} {}, ", quoted(&field.name), affinity(field.kind));
    }
    let _ = write!(sql, "PRIMARY KEY ({})) STRICT, WITHOUT ROWID", identity(measurement));
    sql
}

pub(super) fn add_column(measurement: &str, column: &Column) -> String {
    format!(
        "ALTER TABLE {} ADD COLUMN {} {}",
        quoted(measurement),
        quoted(&column.name),
        affinity(column.kind)
    )
}

/// The insert of a point as `given`, into a table with the columns of `stored`:
/// parameters are the given columns in order, the time in nanoseconds. A row that
/// is there is replaced as a whole, columns that were not given become null.
pub(super) fn upsert(stored: &Measurement, given: &Measurement) -> String {
    let columns: Vec<_> = given.columns.iter().map(|column| stored_name(given, &column.name)).collect();
    let parameters: Vec<_> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
    let mut sql = format!(
        "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO ",
        quoted(&given.name),
        columns.join(", "),
        parameters.join(", "),
        identity(stored)
    );
    let replaced: Vec<_> =
        fields(stored).map(|field| format!("{0} = excluded.{0}", quoted(&field.name))).collect();
    if replaced.is_empty() {
        sql.push_str("NOTHING");
        return sql;
    }
    let _ = write!(sql, "UPDATE SET {}", replaced.join(", "));
    if let Some(version) = &stored.version {
        // A version may have been added to rows that were written without one.
        let (table, version) = (quoted(&given.name), quoted(version));
        let _ = write!(sql, " WHERE {table}.{version} IS NULL OR excluded.{version} >= {table}.{version}");
    }
    sql
}

/// The columns of a measurement in its order, then the time in nanoseconds.
pub(super) fn selected(measurement: &Measurement) -> String {
    let mut columns: Vec<_> =
        measurement.columns.iter().map(|column| stored_name(measurement, &column.name)).collect();
    columns.push(TIME.to_owned());
    columns.join(", ")
}

/// The values of a row that [`selected`] asked for, and its time in nanoseconds.
pub(super) fn values_of(measurement: &Measurement, row: &Row) -> rusqlite::Result<(Vec<Value>, i64)> {
    let value = |(at, column): (usize, &Column)| -> rusqlite::Result<Value> {
        Ok(match (row.get_ref(at)?, column.kind) {
            (ValueRef::Integer(time), _) if column.name == measurement.time => {
                Value::Int(time.div_euclid(NANOS))
            }
            (ValueRef::Integer(truth), ColumnType::Bool) => Value::Bool(truth != 0),
            (ValueRef::Integer(value), _) => Value::Int(value),
            (ValueRef::Real(value), _) => Value::Float(value),
            (ValueRef::Text(_), _) => Value::Text(row.get(at)?),
            (ValueRef::Null | ValueRef::Blob(_), _) => Value::Null,
        })
    };
    let values = measurement.columns.iter().enumerate().map(value).collect::<rusqlite::Result<_>>()?;
    Ok((values, row.get(measurement.columns.len())?))
}

/// A value as SQLite takes it; minus zero as zero.
pub(super) fn parameter(value: &Value) -> ToSqlOutput<'_> {
    match value {
        Value::Null => ToSqlOutput::Owned(Sql::Null),
        Value::Float(value) => ToSqlOutput::Owned(Sql::Real(value + 0.0)),
        Value::Int(value) => ToSqlOutput::Owned(Sql::Integer(*value)),
        Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        Value::Bool(value) => ToSqlOutput::Owned(Sql::Integer(i64::from(*value))),
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// The name of a column in the table.
fn stored_name(measurement: &Measurement, column: &str) -> String {
    if column == measurement.time { TIME.to_owned() } else { quoted(column) }
}

/// Tags, then time: the primary key.
fn identity(measurement: &Measurement) -> String {
    let mut columns: Vec<_> = measurement.tags.iter().map(|tag| quoted(tag)).collect();
    columns.push(TIME.to_owned());
    columns.join(", ")
}

/// The columns that are no part of the identity.
fn fields(measurement: &Measurement) -> impl Iterator<Item = &Column> {
    let is_field =
        |column: &&Column| column.name != measurement.time && !measurement.tags.contains(&column.name);
    measurement.columns.iter().filter(is_field)
}

fn affinity(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Float => "REAL",
        ColumnType::Int | ColumnType::Time | ColumnType::Bool => "INTEGER",
        ColumnType::Text => "TEXT",
    }
}
