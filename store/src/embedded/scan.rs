//! Reads rows: one range of the primary key per combination of tags, so that a query visits
//! only rows that it returns. Also has the SQL of a table.

use std::fmt::Write;

use model::schema::{Column, ColumnType, Value};
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params_from_iter};

use super::file::{Fault, find};
use crate::point::{Bounds, NANOS};
use crate::{Measurement, Query, Rows};

/// The rows of a query.
pub(super) fn read(connection: &Connection, query: &Query) -> Result<Rows, Fault> {
    let measurement = find(connection, &query.measurement)?;
    let wanted = query.wanted_tags(&measurement)?;
    let mut scan = Scan::new(connection, &measurement, leading(&wanted), query.newest_first)?;
    let mut found = Found::new(&measurement, query.limit);
    let mut tags = match &query.after {
        None => scan.first_tags(&wanted)?,
        // Continues within the tags of the last row of the previous page.
        Some((last, _)) => Some(last.clone()).filter(|last| last.len() == wanted.len()),
    };
    while let Some(these) = tags {
        if found.is_full() {
            break;
        }
        if these.iter().zip(&wanted).all(|(tag, wanted)| wanted.as_ref().is_none_or(|wanted| wanted == tag)) {
            scan.range(&these, &Bounds::new(query, &these), &mut found)?;
        }
        tags = scan.next_tags(&wanted, &these)?;
    }
    Ok(found.rows)
}

/// The tags and the time (ns) of a point.
pub(super) type Identity = Option<(Vec<String>, i64)>;

/// The stored rows with the given identities, with the columns of `given`.
pub(super) fn held(
    connection: &Connection,
    given: &Measurement,
    identities: &[Identity],
) -> Result<Vec<Option<Vec<Value>>>, Fault> {
    let measurement = find(connection, &given.name)?;
    let mut scan = Scan::new(connection, &measurement, measurement.tags.len(), false)?;
    let held = |identity: &Identity| {
        let Some((tags, time)) = identity else { return Ok(None) };
        let mut found = Found::new(&measurement, Some(1));
        scan.range(tags, &Bounds { low: *time, high: *time }, &mut found)?;
        Ok(found.rows.rows.first().map(|row| given.in_order(&measurement.columns, row)))
    };
    identities.iter().map(held).collect()
}

/// The newest row for every value of the first tag.
pub(super) fn latest(connection: &Connection, name: &str) -> Result<Rows, Fault> {
    let measurement = find(connection, name)?;
    let mut scan = Scan::new(connection, &measurement, 0, true)?;
    let all = vec![None; measurement.tags.len()];
    let mut latest = Found::new(&measurement, None);
    let mut tags = scan.first_tags(&all)?;
    while let Some(these) = tags {
        let mut one = Found::new(&measurement, Some(1));
        scan.range(&these, &Bounds::ALL, &mut one)?;
        latest.keep_newest(one.rows);
        tags = scan.next_tags(&all, &these)?;
    }
    Ok(latest.rows)
}

/// Deletes at most `at_most` points before a time (ns); returns their number.
pub(super) fn trim(
    connection: &Connection,
    measurement: &Measurement,
    before: i64,
    at_most: u64,
) -> Result<u64, Fault> {
    let mut scan = Scan::new(connection, measurement, 0, false)?;
    let all = vec![None; measurement.tags.len()];
    let mut deleted = 0;
    let mut tags = scan.first_tags(&all)?;
    while let Some(these) = tags.filter(|_| deleted < at_most) {
        deleted += scan.delete(&these, before, at_most - deleted)?;
        tags = scan.next_tags(&all, &these)?;
    }
    Ok(deleted)
}

/// The rows found so far.
struct Found {
    rows: Rows,
    limit: usize,
}

impl Found {
    fn new(measurement: &Measurement, limit: Option<usize>) -> Found {
        let rows = Rows { columns: measurement.columns.clone(), ..Rows::default() };
        Found { rows, limit: limit.unwrap_or(usize::MAX) }
    }

    fn is_full(&self) -> bool {
        self.rows.rows.len() >= self.limit
    }

    /// Adds the row of `other`, or replaces the last row if that has the same first tag and is
    /// not newer.
    fn keep_newest(&mut self, other: Rows) {
        let Some(key) = other.last_key else { return };
        if let Some(last) = self.rows.last_key.as_ref().filter(|last| last.0.first() == key.0.first()) {
            if key.1 < last.1 {
                return;
            }
            self.rows.rows.pop();
        }
        self.rows.rows.extend(other.rows);
        self.rows.last_key = Some(key);
    }
}

/// How many leading tags have a requested value; the scan is limited to these values.
fn leading(wanted: &[Option<String>]) -> usize {
    wanted.iter().take_while(|wanted| wanted.is_some()).count()
}

/// The statements of one scan of a table.
struct Scan<'a> {
    connection: &'a Connection,
    measurement: &'a Measurement,
    range: CachedStatement<'a>,
    /// To find the first and the next tags; `None` if all tags are given.
    seek: Option<[CachedStatement<'a>; 2]>,
}

impl<'a> Scan<'a> {
    /// A scan of the tags whose first `fixed` values are given later.
    fn new(
        connection: &'a Connection,
        measurement: &'a Measurement,
        fixed: usize,
        newest_first: bool,
    ) -> Result<Scan<'a>, Fault> {
        let range = connection.prepare_cached(&range_sql(measurement, newest_first))?;
        let seek = if fixed < measurement.tags.len() {
            let statement = |onwards| connection.prepare_cached(&seek_sql(measurement, fixed, onwards));
            Some([statement(false)?, statement(true)?])
        } else {
            None
        };
        Ok(Scan { connection, measurement, range, seek })
    }

    /// Reads the rows with exactly these tags.
    fn range(&mut self, tags: &[String], bounds: &Bounds, found: &mut Found) -> Result<(), Fault> {
        let left = i64::try_from(found.limit - found.rows.rows.len()).unwrap_or(i64::MAX);
        let mut parameters: Vec<_> = tags.iter().cloned().map(Sql::Text).collect();
        parameters.extend([bounds.low, bounds.high, left].map(Sql::Integer));
        let mut rows = self.range.query(params_from_iter(parameters))?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            let (values, time) = values_of(self.measurement, row)?;
            found.rows.rows.push(values);
            last = Some(time);
        }
        if let Some(time) = last {
            found.rows.last_key = Some((tags.to_vec(), time));
        }
        Ok(())
    }

    /// The first stored tags with the requested leading values.
    fn first_tags(&mut self, wanted: &[Option<String>]) -> Result<Option<Vec<String>>, Fault> {
        match &mut self.seek {
            None => Ok(Some(wanted.iter().flatten().cloned().collect())),
            Some([first, _]) => seek(first, wanted, &[]),
        }
    }

    /// The next stored tags.
    fn next_tags(
        &mut self,
        wanted: &[Option<String>],
        these: &[String],
    ) -> Result<Option<Vec<String>>, Fault> {
        match &mut self.seek {
            None => Ok(None),
            Some([_, next]) => seek(next, wanted, &these[leading(wanted)..]),
        }
    }

    /// Deletes at most `at_most` points with these tags before a time (ns).
    fn delete(&self, tags: &[String], before: i64, at_most: u64) -> Result<u64, Fault> {
        let table = quoted(&self.measurement.name);
        let filter = format!("{}{TIME} < ?", equal_tags(self.measurement));
        let parameters = |before: i64| {
            let mut parameters: Vec<_> = tags.iter().cloned().map(Sql::Text).collect();
            parameters.push(Sql::Integer(before));
            parameters
        };
        let mut first_kept = parameters(before);
        first_kept.push(Sql::Integer(at_most as i64));
        let cut = self
            .connection
            .prepare_cached(&format!(
                "SELECT {TIME} FROM {table} WHERE {filter} ORDER BY {TIME} LIMIT 1 OFFSET ?"
            ))?
            .query_row(params_from_iter(first_kept), |row| row.get(0))
            .optional()?;
        let deleted = self
            .connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE {filter}"))?
            .execute(params_from_iter(parameters(cut.unwrap_or(before))))?;
        Ok(deleted as u64)
    }
}

/// One step of a skip scan.
fn seek(
    statement: &mut CachedStatement,
    wanted: &[Option<String>],
    passed: &[String],
) -> Result<Option<Vec<String>>, Fault> {
    let fixed = wanted[..leading(wanted)].iter().flatten();
    let tags = statement.query_row(params_from_iter(fixed.chain(passed)), |row| {
        (0..wanted.len()).map(|at| row.get(at)).collect()
    });
    Ok(tags.optional()?)
}

/// The range of one combination of tags, along the primary key.
fn range_sql(measurement: &Measurement, newest_first: bool) -> String {
    format!(
        "SELECT {} FROM {} WHERE {}{TIME} >= ? AND {TIME} <= ? ORDER BY {TIME} {} LIMIT ?",
        selected(measurement),
        quoted(&measurement.name),
        equal_tags(measurement),
        if newest_first { "DESC" } else { "ASC" },
    )
}

fn equal_tags(measurement: &Measurement) -> String {
    measurement.tags.iter().map(|tag| format!("{} = ? AND ", quoted(tag))).collect()
}

/// Finds the next stored tags after given ones, with the `fixed` leading tags unchanged: one
/// search of the primary key, however many rows have the same tags.
fn seek_sql(measurement: &Measurement, fixed: usize, onwards: bool) -> String {
    let names: Vec<_> = measurement.tags.iter().map(|tag| quoted(tag)).collect();
    let mut conditions: Vec<_> = names[..fixed].iter().map(|name| format!("{name} = ?")).collect();
    if onwards {
        let places = vec!["?"; names.len() - fixed].join(", ");
        conditions.push(format!("({}) > ({places})", names[fixed..].join(", ")));
    }
    let filter =
        if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let list = names.join(", ");
    format!("SELECT {list} FROM {} {filter} ORDER BY {list} LIMIT 1", quoted(&measurement.name))
}

// The SQL of the table of a measurement. [`Measurement::check_shape`] checks the names, which
// are quoted; values are always parameters.

/// The column with the time of a point in ns, from which the time column of the measurement is
/// computed.
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

/// Inserts a point with the columns of `given` into a table with the columns of `stored`. The
/// parameters are the given columns in order, then the time (ns). An existing row is replaced
/// completely: columns that are not given become NULL.
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
        // Rows may have been written before the measurement had a version.
        let (table, version) = (quoted(&given.name), quoted(version));
        let _ = write!(sql, " WHERE {table}.{version} IS NULL OR excluded.{version} >= {table}.{version}");
    }
    sql
}

/// The columns of a measurement in order, then the time (ns).
pub(super) fn selected(measurement: &Measurement) -> String {
    let mut columns: Vec<_> =
        measurement.columns.iter().map(|column| stored_name(measurement, &column.name)).collect();
    columns.push(TIME.to_owned());
    columns.join(", ")
}

/// The values of a row of [`selected`], and its time (ns).
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

/// A value as a parameter of SQLite; minus zero becomes zero.
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

/// The primary key: tags, then time.
fn identity(measurement: &Measurement) -> String {
    let mut columns: Vec<_> = measurement.tags.iter().map(|tag| quoted(tag)).collect();
    columns.push(TIME.to_owned());
    columns.join(", ")
}

/// The columns that are not part of the identity.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The query plan of a statement, from `EXPLAIN QUERY PLAN`.
    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nulls = vec![Sql::Null; statement.parameter_count()];
        let steps = statement.query_map(params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; ")
    }

    #[test]
    fn no_query_scans_or_sorts_a_table() {
        let connection = Connection::open_in_memory().unwrap();
        for measurement in [Measurement::bars(), Measurement::articles()] {
            connection.execute_batch(&create(&measurement)).unwrap();
            for newest_first in [false, true] {
                let plan = plan(&connection, &range_sql(&measurement, newest_first));
                assert!(plan.starts_with("SEARCH") && plan.contains("_time_ns>? AND _time_ns<?"), "{plan}");
                assert!(!plan.contains("B-TREE"), "{plan}");
            }
            for fixed in 0..measurement.tags.len() {
                let plan = plan(&connection, &seek_sql(&measurement, fixed, true));
                assert!(plan.starts_with("SEARCH") && !plan.contains("B-TREE"), "{plan}");
                assert!(plan.contains(if fixed == 0 { "symbol" } else { "search_term" }), "{plan}");
            }
        }
        let two_tags = plan(&connection, &seek_sql(&Measurement::articles(), 0, true));
        assert!(two_tags.contains("(symbol,search_term)>(?,?)"), "{two_tags}");
    }
}
