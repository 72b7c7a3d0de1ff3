//! Compares the answers to statements with those of SQLite over the same small tables: the
//! statements of `statements.sql`, and generated ones.
//!
//! Where the two dialects differ on purpose, the statements avoid the difference, and
//! [`differences`] lists what is known: an integer overflow is an error here and a double in
//! SQLite; a division by zero is an error here and null there; a text that is not a number
//! cannot be cast here and is 0 there; without NULLS FIRST or LAST, nulls come last here in
//! ascending order and first there; LIKE is case-sensitive here.

mod generated;

use std::sync::Arc;

use model::schema::{Column, ColumnType, Value};
use model::time::MINUTE;
use query::explore::Explorer;
use rusqlite::Connection;
use rusqlite::types::{ToSql, Value as Sql};
use store::{Batch, EmbeddedStore, Measurement, Point, SharedStore, Store};
use tempfile::TempDir;

use crate::harness::{LIMITS, OPEN};

/// How many statements are generated, and the seed.
const GENERATED: usize = 300;
const SEED: u64 = 20_131_004;

/// The same two tables in both engines.
struct Both {
    explorer: Explorer,
    sqlite: Connection,
    _folder: TempDir,
}

/// A value in a form common to both: booleans are numbers, times are milliseconds.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Whole(i64),
    Fraction(f64),
    Text(String),
}

impl Both {
    async fn new() -> Both {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&folder.path().join("store.db")).unwrap();
        let sqlite = Connection::open_in_memory().unwrap();
        sqlite.execute_batch("PRAGMA case_sensitive_like = ON").unwrap();
        for (name, rows) in [("t", table_t()), ("u", table_u())] {
            let columns = match name {
                "t" => columns_of(&[
                    ("k", ColumnType::Text),
                    ("at", ColumnType::Time),
                    ("i", ColumnType::Int),
                    ("j", ColumnType::Int),
                    ("f", ColumnType::Float),
                    ("s", ColumnType::Text),
                    ("b", ColumnType::Bool),
                ]),
                _ => columns_of(&[
                    ("k", ColumnType::Text),
                    ("at", ColumnType::Time),
                    ("i", ColumnType::Int),
                    ("n", ColumnType::Int),
                    ("s", ColumnType::Text),
                ]),
            };
            fill(&sqlite, name, &columns, &rows);
            let (tags, time) = (vec!["k".to_owned()], "at".to_owned());
            let measurement = Measurement { name: name.into(), columns, tags, time, version: None };
            store.define(&measurement).await.unwrap();
            let points = rows.into_iter().map(|values| Point { nanos: 0, values }).collect();
            let points = vec![(Arc::new(measurement), points)];
            store.write(Batch { points, notes: Vec::new() }.into()).await.unwrap();
        }
        let store: SharedStore = Arc::new(store);
        Both { explorer: Explorer::new(store, LIMITS), sqlite, _folder: folder }
    }

    async fn ours(&self, sql: &str) -> Result<Vec<Vec<Cell>>, String> {
        let mut answer = self.explorer.query(sql).await.map_err(|error| error.to_string())?;
        let rows = answer.all().await.map_err(|error| error.to_string())?;
        Ok(rows.iter().map(|row| row.iter().map(of_ours).collect()).collect())
    }

    fn theirs(&self, sql: &str) -> Result<Vec<Vec<Cell>>, String> {
        let words = |error: rusqlite::Error| error.to_string();
        let mut statement = self.sqlite.prepare(sql).map_err(words)?;
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..width).map(|at| Ok(of_theirs(row.get::<_, Sql>(at)?))).collect::<rusqlite::Result<Vec<_>>>()
        });
        rows.map_err(words)?.collect::<rusqlite::Result<_>>().map_err(words)
    }

    /// How the two answers to a statement differ, if they do.
    async fn difference(&self, sql: &str) -> Option<String> {
        let is_ordered = sql.lines().last().is_some_and(|line| line.starts_with("ORDER BY"));
        let (ours, theirs) = (self.ours(sql).await, self.theirs(sql));
        let (Ok(mut ours), Ok(mut theirs)) = (ours.clone(), theirs.clone()) else {
            return Some(format!("{sql}\n  here   {ours:?}\n  SQLite {theirs:?}"));
        };
        if !is_ordered {
            ours.sort_by(|one, other| sorted(one, other));
            theirs.sort_by(|one, other| sorted(one, other));
        }
        let same = ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|(one, other)| {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
            });
        (!same).then(|| format!("{sql}\n  here   {ours:?}\n  SQLite {theirs:?}"))
    }
}

fn columns_of(columns: &[(&str, ColumnType)]) -> Vec<Column> {
    columns.iter().map(|(name, kind)| Column::new(*name, *kind)).collect()
}

/// 36 rows: three keys, some null values, some equal values.
fn table_t() -> Vec<Vec<Value>> {
    let row = |key: &str, n: i64| {
        let null_unless = |is_there: bool, value: Value| if is_there { value } else { Value::Null };
        let words = ["alpha", "Beta", "gamma", "", "delta x", "a_b%c"];
        vec![
            Value::Text(key.into()),
            Value::Int(OPEN + n * MINUTE),
            null_unless(n % 5 != 3, Value::Int((n * 7 + key.len() as i64) % 11 - 4)),
            Value::Int(n % 4),
            null_unless(n % 6 != 1, Value::Float((n as f64) * 0.75 - 2.0)),
            null_unless(n % 7 != 2, Value::Text(words[(n % 6) as usize].into())),
            null_unless(n % 8 != 4, Value::Bool(n % 3 == 0)),
        ]
    };
    ["A", "BB", "CCC"].iter().flat_map(|key| (0..12).map(move |n| row(key, n))).collect()
}

fn table_u() -> Vec<Vec<Value>> {
    let row = |key: &str, n: i64| {
        vec![
            Value::Text(key.into()),
            Value::Int(OPEN + 2 * n * MINUTE),
            if n == 2 { Value::Null } else { Value::Int(n * n % 7 - 2) },
            Value::Int(n),
            if n == 3 { Value::Null } else { Value::Text(format!("{key}{n}")) },
        ]
    };
    ["A", "CCC", "D"].iter().flat_map(|key| (0..6).map(move |n| row(key, n))).collect()
}

fn fill(sqlite: &Connection, name: &str, columns: &[Column], rows: &[Vec<Value>]) {
    let of = |kind| match kind {
        ColumnType::Text => "TEXT",
        ColumnType::Float => "REAL",
        _ => "INTEGER",
    };
    let definitions: Vec<_> =
        columns.iter().map(|column| format!("\"{}\" {}", column.name, of(column.kind))).collect();
    sqlite.execute_batch(&format!("CREATE TABLE {name} ({})", definitions.join(", "))).unwrap();
    let places = vec!["?"; columns.len()].join(", ");
    for row in rows {
        let values: Vec<Sql> = row.iter().map(in_sqlite).collect();
        let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
        sqlite.execute(&format!("INSERT INTO {name} VALUES ({places})"), values.as_slice()).unwrap();
    }
}

fn in_sqlite(value: &Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Int(value) => Sql::Integer(*value),
        Value::Float(value) => Sql::Real(*value),
        Value::Text(value) => Sql::Text(value.clone()),
        Value::Bool(value) => Sql::Integer(i64::from(*value)),
    }
}

fn of_ours(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Int(value) => Cell::Whole(*value),
        Value::Bool(value) => Cell::Whole(i64::from(*value)),
        Value::Float(value) => Cell::Fraction(*value),
        Value::Text(value) => Cell::Text(value.clone()),
    }
}

fn of_theirs(value: Sql) -> Cell {
    match value {
        Sql::Null => Cell::Null,
        Sql::Integer(value) => Cell::Whole(value),
        Sql::Real(value) => Cell::Fraction(value),
        Sql::Text(value) => Cell::Text(value),
        Sql::Blob(value) => Cell::Text(format!("{value:?}")),
    }
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Whole(value) => Some(*value as f64),
        Cell::Fraction(value) => Some(*value),
        _ => None,
    }
}

/// Integers must be equal, other numbers to twelve digits.
fn is_same(one: &Cell, other: &Cell) -> bool {
    match (one, other) {
        (Cell::Whole(one), Cell::Whole(other)) => one == other,
        (one, other) => match (number(one), number(other)) {
            (Some(one), Some(other)) => (one - other).abs() <= 1e-12 * one.abs().max(other.abs()).max(1.0),
            _ => one == other,
        },
    }
}

fn sorted(one: &[Cell], other: &[Cell]) -> std::cmp::Ordering {
    let rank = |cell: &Cell| match cell {
        Cell::Null => 0,
        Cell::Whole(_) | Cell::Fraction(_) => 1,
        Cell::Text(_) => 2,
    };
    let of_cells = |one: &Cell, other: &Cell| match (one, other) {
        (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
        // Rounded, so that two sums of the same terms sort alike.
        (one, other) => rank(one).cmp(&rank(other)).then_with(|| {
            let round = |cell: &Cell| number(cell).map_or(0.0, |value| (value * 1e9).round());
            round(one).total_cmp(&round(other))
        }),
    };
    one.iter()
        .zip(other)
        .map(|(one, other)| of_cells(one, other))
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

/// The statements of the file; each ends with a semicolon at the end of a line.
fn statements() -> Vec<String> {
    let text = include_str!("statements.sql");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("--")).collect();
    let statements = lines.join("\n");
    statements
        .split(";\n")
        .map(|statement| statement.trim().trim_end_matches(';').to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

#[tokio::test]
async fn questions_are_answered_as_sqlite_answers_them() {
    let both = Both::new().await;
    let statements = statements();
    assert!(statements.len() >= 150, "only {} statements", statements.len());
    let mut wrong = Vec::new();
    for sql in &statements {
        wrong.extend(both.difference(sql).await);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), statements.len(), wrong.join("\n"));
}

#[tokio::test]
async fn generated_questions_are_answered_as_sqlite_answers_them() {
    let both = Both::new().await;
    let mut generator = generated::Generator::new(SEED);
    let mut wrong = Vec::new();
    let mut rows = 0;
    for _ in 0..GENERATED {
        let sql = generator.statement();
        rows += both.theirs(&sql).map_or(0, |rows| rows.len());
        wrong.extend(both.difference(&sql).await);
    }
    assert!(rows > GENERATED, "answers without rows show nothing: {rows}");
    assert!(wrong.is_empty(), "{} of {GENERATED}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The answers here where the dialects differ.
#[tokio::test]
async fn differences_from_sqlite_are_the_known_ones() {
    let both = Both::new().await;
    for (sql, here) in [
        ("SELECT 9223372036854775807 + 1", Err("9223372036854775807 + 1 does not fit")),
        ("SELECT 1 / 0", Err("ivide by zero")),
        ("SELECT CAST('x' AS BIGINT)", Err("x")),
        ("SELECT 'A' LIKE 'a'", Ok(Cell::Whole(0))),
        ("SELECT 'A' ILIKE 'a'", Ok(Cell::Whole(1))),
        ("SELECT i FROM t WHERE (i, j) IN (SELECT i, n FROM u)", Err("Too many columns")),
        ("SELECT i IN (SELECT i FROM u) FROM t", Err("InSubquery")),
        ("SELECT -rank() OVER (ORDER BY i) FROM t", Err("write 0 - …")),
        ("SELECT upper('é')", Ok(Cell::Text("É".into()))),
        ("SELECT i FROM t ORDER BY i LIMIT 1", Ok(Cell::Whole(-4))),
    ] {
        match (both.ours(sql).await, here) {
            (Ok(rows), Ok(cell)) => assert_eq!(rows, [[cell]], "{sql}"),
            (Err(error), Err(said)) => assert!(error.contains(said), "{sql}: {error}"),
            (answer, _) => panic!("{sql}: {answer:?}"),
        }
    }
}
