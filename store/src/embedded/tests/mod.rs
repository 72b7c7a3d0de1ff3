//! The store in the data folder, through its public face.

mod define;
mod file;
mod model;
mod read;
mod trim;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use wire::schema::{Column, ColumnType, Value};

use crate::{Batch, EmbeddedStore, Measurement, Point, Query, Rows, Store};

/// A store in a folder of its own.
struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Folder {
        Folder { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    fn open(&self) -> EmbeddedStore {
        EmbeddedStore::open(&self.path()).unwrap()
    }

    /// A new store that knows [`readings`].
    async fn with_readings(&self) -> EmbeddedStore {
        let store = self.open();
        store.define(&readings()).await.unwrap();
        store
    }
}

/// A measurement with two tags, a version and a column of every type.
fn readings() -> Measurement {
    use ColumnType::{Bool, Float, Int, Text, Time};
    let columns = [
        ("symbol", Text),
        ("at", Time),
        ("term", Text),
        ("float", Float),
        ("int", Int),
        ("time", Time),
        ("text", Text),
        ("bool", Bool),
        ("version", Int),
    ];
    Measurement {
        name: "readings".into(),
        columns: columns.map(|(name, kind)| Column::new(name, kind)).into(),
        tags: vec!["symbol".into(), "term".into()],
        time: "at".into(),
        version: Some("version".into()),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A point of [`readings`] whose `int` and `version` are given.
fn reading(symbol: &str, term: &str, at: i64, int: i64, version: i64) -> Point {
    let values = vec![
        text(symbol),
        Value::Int(at),
        text(term),
        Value::Null,
        Value::Int(int),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Int(version),
    ];
    Point { nanos: 0, values }
}

fn batch(measurement: &Measurement, points: Vec<Point>) -> Batch {
    Batch { points: vec![(Arc::new(measurement.clone()), points)], notes: vec![] }
}

fn all_of(measurement: &str) -> Query {
    Query { measurement: measurement.into(), ..Query::default() }
}

/// The `int` of every row of [`readings`].
fn ints(rows: &Rows) -> Vec<i64> {
    let at = rows.columns.iter().position(|column| column.name == "int").unwrap();
    rows.rows.iter().map(|row| row[at].as_i64().unwrap()).collect()
}
