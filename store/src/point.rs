//! Measurements and points: the shape of a measurement, the identity of a point, and the checks
//! of queries and definitions against a stored shape.

use model::schema::{Column, ColumnType, Value};

use crate::{Query, StoreError};

/// The shape of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// The name: that of the topic, with `_` for `-`.
    pub name: String,
    /// All columns in display order.
    pub columns: Vec<Column>,
    /// The columns that are tags: texts with few distinct values, which are part of the
    /// identity of a point.
    pub tags: Vec<String>,
    /// The column with the time of a point (event time, ms).
    pub time: String,
    /// An integer column that orders the versions of a point: a write with a lower value than
    /// the stored one is ignored.
    pub version: Option<String>,
}

/// A point. Its identity is its measurement, tags and time.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// An offset in ns (0 to 999,999) that is added to the time, to distinguish points of the
    /// same millisecond.
    pub nanos: i64,
    /// One value for each column of the measurement, in the same order.
    pub values: Vec<Value>,
}

/// Nanoseconds per millisecond.
pub(crate) const NANOS: i64 = 1_000_000;

impl Measurement {
    /// The index of a column.
    pub fn index_of(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known.name == column)
    }

    /// The tags and the time (ns) of a point, which identify it in the measurement.
    pub(crate) fn identity(&self, point: &Point) -> Option<(Vec<String>, i64)> {
        let tag = |tag: &String| Some(point.values.get(self.index_of(tag)?)?.as_str()?.to_owned());
        Some((self.tags.iter().map(tag).collect::<Option<_>>()?, self.time_ns(point)?))
    }

    /// Reorders a row of `columns` into one of this measurement; missing columns are null.
    pub(crate) fn in_order(&self, columns: &[Column], row: &[Value]) -> Vec<Value> {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let value = |column: &Column| place(&column.name).and_then(|at| row.get(at)).cloned();
        self.columns.iter().map(|column| value(column).unwrap_or(Value::Null)).collect()
    }

    pub(crate) fn time_index(&self) -> Option<usize> {
        self.index_of(&self.time)
    }

    /// The time of a point in ns; `None` if it is missing or out of range.
    pub(crate) fn time_ns(&self, point: &Point) -> Option<i64> {
        let time = point.values.get(self.time_index()?)?.as_i64()?;
        let offset = (0..NANOS).contains(&point.nanos).then_some(point.nanos)?;
        time.checked_mul(NANOS)?.checked_add(offset)
    }
}

// Queries against the shape of their measurement.

/// A range of times in ns, both ends inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Bounds {
    /// All times.
    pub(crate) const ALL: Bounds = Bounds { low: i64::MIN, high: i64::MAX };

    /// The times that a query requests of points with these tags.
    pub(crate) fn new(query: &Query, tags: &[String]) -> Bounds {
        let mut low = query.from.map_or(i64::MIN, |from| from.saturating_mul(NANOS));
        let mut high = query.to.map_or(i64::MAX, |to| to.saturating_mul(NANOS).saturating_sub(1));
        if let Some((_, time)) = query.after.as_ref().filter(|(last, _)| last == tags) {
            if query.newest_first {
                high = high.min(time.saturating_sub(1));
            } else {
                low = low.max(time.saturating_add(1));
            }
        }
        Bounds { low, high }
    }
}

impl Query {
    /// The requested value for every tag of the measurement, in order.
    pub(crate) fn wanted_tags(&self, measurement: &Measurement) -> Result<Vec<Option<String>>, StoreError> {
        let mut wanted = vec![None; measurement.tags.len()];
        for (tag, value) in &self.tags {
            let Some(place) = measurement.tags.iter().position(|known| known == tag) else {
                let (measurement, known) = (measurement.name.clone(), measurement.tags.clone());
                return Err(StoreError::UnknownTag { measurement, tag: tag.clone(), known });
            };
            wanted[place] = Some(value.clone());
        }
        Ok(wanted)
    }
}

// Definitions against the stored shape: columns can be added, but not changed.

impl Measurement {
    /// This stored measurement with the columns and the order of `asked`. Columns that are not
    /// in `asked` stay at the end.
    pub(crate) fn merged_with(&self, asked: &Measurement) -> Result<Measurement, StoreError> {
        self.check_identity(asked)?;
        for column in &asked.columns {
            self.columns
                .iter()
                .find(|known| known.name == column.name)
                .map_or(Ok(()), |known| check_type(asked, known, column))?;
        }
        let mut merged = asked.clone();
        let left = self.columns.iter().filter(|known| asked.index_of(&known.name).is_none());
        merged.columns.extend(left.cloned());
        Ok(merged)
    }

    /// Checks that points of the shape `given` fit this stored measurement. They may have fewer
    /// columns, as from an older definition.
    pub(crate) fn check_given(&self, given: &Measurement) -> Result<(), StoreError> {
        self.check_identity(given)?;
        for column in &given.columns {
            match self.columns.iter().find(|known| known.name == column.name) {
                Some(known) => check_type(given, known, column)?,
                None => {
                    let (measurement, column) = (given.name.clone(), column.name.clone());
                    return Err(StoreError::UnknownColumn { measurement, column });
                }
            }
        }
        Ok(())
    }

    /// Checks that `asked` has the tags and the time column of this stored measurement.
    fn check_identity(&self, asked: &Measurement) -> Result<(), StoreError> {
        if (&self.tags, &self.time) == (&asked.tags, &asked.time) {
            return Ok(());
        }
        let words =
            |shape: &Measurement| format!("tags [{}] and time `{}`", shape.tags.join(", "), shape.time);
        let (stored, asked_for) = (words(self), words(asked));
        Err(StoreError::Identity { measurement: asked.name.clone(), stored, asked: asked_for })
    }
}

/// Checks that a column is requested with its stored type.
fn check_type(asked: &Measurement, stored: &Column, column: &Column) -> Result<(), StoreError> {
    if stored.kind == column.kind {
        return Ok(());
    }
    Err(StoreError::ColumnType {
        measurement: asked.name.clone(),
        column: column.name.clone(),
        stored: stored.kind,
        asked: column.kind,
    })
}

const KINDS: [(ColumnType, &str); 5] = [
    (ColumnType::Float, "float"),
    (ColumnType::Int, "int"),
    (ColumnType::Time, "time"),
    (ColumnType::Text, "text"),
    (ColumnType::Bool, "bool"),
];

/// The name of a column type in stored definitions.
pub(crate) fn word_of(kind: ColumnType) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("", |(_, word)| word)
}

/// The column type with this name.
pub(crate) fn kind_of(word: &str) -> Option<ColumnType> {
    KINDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
}
