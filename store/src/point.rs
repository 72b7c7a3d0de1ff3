//! Points: what a measurement is made of, and what makes two points the same.

use model::schema::{Column, Value};

/// The shape of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// The name: the topic's, with `_` for `-`.
    pub name: String,
    /// All columns in the order in which they are shown.
    pub columns: Vec<Column>,
    /// The columns that are tags: text, few values each; part of a point's identity.
    pub tags: Vec<String>,
    /// The column that is the point's time, in milliseconds.
    pub time: String,
    /// A column of integers that orders the versions of a point: a write with a
    /// lower value than the stored one is ignored.
    pub version: Option<String>,
}

/// One point; its identity is measurement, tags and time.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Nanoseconds added to the time column, to tell points of one instant
    /// apart: 0 to 999,999.
    pub nanos: i64,
    /// One value for every column of the measurement, in its order.
    pub values: Vec<Value>,
}

/// Nanoseconds in a millisecond.
pub(crate) const NANOS: i64 = 1_000_000;

impl Measurement {
    /// Where a column stands.
    pub fn index_of(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known.name == column)
    }

    /// Tags and time in nanoseconds: what makes two points of a measurement the same.
    pub(crate) fn identity(&self, point: &Point) -> Option<(Vec<String>, i64)> {
        let tag = |tag: &String| Some(point.values.get(self.index_of(tag)?)?.as_str()?.to_owned());
        Some((self.tags.iter().map(tag).collect::<Option<_>>()?, self.time_ns(point)?))
    }

    /// A row of `columns` as one of this measurement's; what it lacks is null.
    pub(crate) fn in_order(&self, columns: &[Column], row: &[Value]) -> Vec<Value> {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let value = |column: &Column| place(&column.name).and_then(|at| row.get(at)).cloned();
        self.columns.iter().map(|column| value(column).unwrap_or(Value::Null)).collect()
    }

    pub(crate) fn time_index(&self) -> Option<usize> {
        self.index_of(&self.time)
    }

    /// The point's time in nanoseconds, if it has one that can be stored.
    pub(crate) fn time_ns(&self, point: &Point) -> Option<i64> {
        let time = point.values.get(self.time_index()?)?.as_i64()?;
        let offset = (0..NANOS).contains(&point.nanos).then_some(point.nanos)?;
        time.checked_mul(NANOS)?.checked_add(offset)
    }
}
