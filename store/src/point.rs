//! Points: what a measurement is made of, and what makes two points the same.

use model::schema::{Column, ColumnType, Value};

use crate::{Query, StoreError};

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

// Queries against the shape of their measurement.

/// The times wanted, in nanoseconds, both ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Bounds {
    /// All times.
    pub(crate) const ALL: Bounds = Bounds { low: i64::MIN, high: i64::MAX };

    /// The times that a query wants of the points with these tags.
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
    /// For every tag of the measurement, in order, the value asked for.
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

// Definitions against what is stored: measurements grow, and never bend.

impl Measurement {
    /// This stored measurement, with the columns and the order that are asked for.
    /// Columns that are not asked for any more stay, at the end.
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

    /// That points of the shape `given` fit this stored measurement. They may come
    /// with fewer columns than are stored, as from an older definition.
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

    /// That `asked` identifies its points as this stored measurement does.
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

/// That a column is asked for as it is stored.
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

/// A column's type as a word, as definitions are kept.
pub(crate) fn word_of(kind: ColumnType) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("", |(_, word)| word)
}

/// The type that a word stands for.
pub(crate) fn kind_of(word: &str) -> Option<ColumnType> {
    KINDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
}
