//! The rules for valid measurements and points, which allow any store to hold them.

use std::collections::BTreeSet;

use model::schema::{Column, ColumnType, Value};
use model::time::Millis;

use crate::point::{Measurement, Point};

/// Why the shape of a measurement is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadShape {
    /// A name is invalid.
    #[error(
        "`{0}` cannot name a measurement or a column: use a lower-case letter, then lower-case letters, digits and _, at most 64 characters, not beginning with sqlite_ and not `time`, which InfluxDB reserves"
    )]
    Name(String),
    /// Two columns have the same name.
    #[error("measurement `{measurement}` has two columns `{column}`: give one of them another name")]
    Twice {
        /// The measurement.
        measurement: String,
        /// The column.
        column: String,
    },
    /// A tag, time or version is not a column of the required type.
    #[error("measurement `{measurement}`: its {role} `{column}` must be a column of type {wanted}")]
    Role {
        /// The measurement.
        measurement: String,
        /// `tag`, `time` or `version`.
        role: &'static str,
        /// The column.
        column: String,
        /// The required type.
        wanted: &'static str,
    },
}

/// Why a point is invalid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadPoint {
    /// The point has too many or too few values.
    #[error("measurement `{measurement}` has {wanted} columns, the point has {found} values")]
    Count {
        /// The measurement.
        measurement: String,
        /// The number of columns.
        wanted: usize,
        /// The number of values.
        found: usize,
    },
    /// A number is not finite.
    #[error(
        "measurement `{measurement}`, column `{column}`: {value} cannot be stored; store a finite number or null"
    )]
    NotFinite {
        /// The measurement.
        measurement: String,
        /// The column.
        column: String,
        /// NaN or an infinity.
        value: f64,
    },
    /// A value has another type than its column.
    #[error("measurement `{measurement}`, column `{column}` takes {wanted:?}, not {found:?}")]
    Type {
        /// The measurement.
        measurement: String,
        /// The column.
        column: String,
        /// The type of the column.
        wanted: ColumnType,
        /// The value.
        found: Value,
    },
    /// A tag, the time or the version is missing.
    #[error("measurement `{measurement}`, column `{column}` is null: every point needs its {role}")]
    Missing {
        /// The measurement.
        measurement: String,
        /// The column.
        column: String,
        /// `tag`, `time` or `version`.
        role: &'static str,
    },
    /// The time does not fit into 64 bits of nanoseconds, or the offset is a millisecond or
    /// more.
    #[error(
        "measurement `{measurement}`: the time {time} ms + {nanos} ns cannot be stored; times reach from 1677 to 2262 in epoch milliseconds, the offset from 0 to 999,999"
    )]
    Time {
        /// The measurement.
        measurement: String,
        /// The time (ms).
        time: Millis,
        /// The offset (ns).
        nanos: i64,
    },
}

impl Measurement {
    /// Checks the names, and that tags, time and version are columns of the required types.
    ///
    /// # Errors
    /// The first rule that is violated.
    pub fn check_shape(&self) -> Result<(), BadShape> {
        let mut seen = BTreeSet::new();
        check_name(&self.name)?;
        for column in &self.columns {
            check_name(&column.name)?;
            if !seen.insert(&column.name) {
                let (measurement, column) = (self.name.clone(), column.name.clone());
                return Err(BadShape::Twice { measurement, column });
            }
        }
        for (i, tag) in self.tags.iter().enumerate() {
            let once = !self.tags[..i].contains(tag);
            self.check_role("tag", tag, "Text", |kind| once && kind == ColumnType::Text)?;
        }
        self.check_role("time", &self.time, "Time", |kind| kind == ColumnType::Time)?;
        if let Some(version) = &self.version {
            let apart = *version != self.time;
            self.check_role("version", version, "Int or Time, and not the point's time", |kind| {
                apart && matches!(kind, ColumnType::Int | ColumnType::Time)
            })?;
        }
        Ok(())
    }

    fn check_role(
        &self,
        role: &'static str,
        column: &str,
        wanted: &'static str,
        fits: impl Fn(ColumnType) -> bool,
    ) -> Result<(), BadShape> {
        match self.columns.iter().find(|known| known.name == column) {
            Some(known) if fits(known.kind) => Ok(()),
            _ => {
                let (measurement, column) = (self.name.clone(), column.to_owned());
                Err(BadShape::Role { measurement, role, column, wanted })
            }
        }
    }

    /// Checks that a point fits this measurement, whose shape must be valid.
    ///
    /// # Errors
    /// The first rule that is violated, with the measurement and the column.
    pub fn check(&self, point: &Point) -> Result<(), BadPoint> {
        if point.values.len() != self.columns.len() {
            let (wanted, found) = (self.columns.len(), point.values.len());
            return Err(BadPoint::Count { measurement: self.name.clone(), wanted, found });
        }
        for (column, value) in self.columns.iter().zip(&point.values) {
            self.check_value(column, value)?;
        }
        match self.time_ns(point) {
            Some(_) => Ok(()),
            None => {
                let time = self.time_index().and_then(|at| point.values[at].as_i64()).unwrap_or_default();
                Err(BadPoint::Time { measurement: self.name.clone(), time, nanos: point.nanos })
            }
        }
    }

    fn check_value(&self, column: &Column, value: &Value) -> Result<(), BadPoint> {
        let names = || (self.name.clone(), column.name.clone());
        match (column.kind, value) {
            (_, Value::Null) => match self.role_of(&column.name) {
                None => Ok(()),
                Some(role) => {
                    let (measurement, column) = names();
                    Err(BadPoint::Missing { measurement, column, role })
                }
            },
            (ColumnType::Float, Value::Float(value)) if value.is_finite() => Ok(()),
            (ColumnType::Float, Value::Float(value)) => {
                let (measurement, column) = names();
                Err(BadPoint::NotFinite { measurement, column, value: *value })
            }
            (ColumnType::Int | ColumnType::Time, Value::Int(_))
            | (ColumnType::Text, Value::Text(_))
            | (ColumnType::Bool, Value::Bool(_)) => Ok(()),
            (wanted, found) => {
                let ((measurement, column), found) = (names(), found.clone());
                Err(BadPoint::Type { measurement, column, wanted, found })
            }
        }
    }

    /// The role of a column that must not be null.
    fn role_of(&self, column: &str) -> Option<&'static str> {
        if column == self.time {
            Some("time")
        } else if self.tags.iter().any(|tag| tag == column) {
            Some("tag")
        } else if self.version.as_deref() == Some(column) {
            Some("version")
        } else {
            None
        }
    }
}

/// Checks a name, which comes from a SQL file. A valid name is safe in SQL, in line protocol
/// and as a file name.
fn check_name(name: &str) -> Result<(), BadShape> {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    let goes_on = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if starts && goes_on && name.len() <= 64 && !name.starts_with("sqlite_") && name != "time" {
        Ok(())
    } else {
        Err(BadShape::Name(name.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::NANOS;

    fn readings() -> Measurement {
        Measurement {
            name: "readings".into(),
            columns: vec![
                Column::new("place", ColumnType::Text),
                Column::new("at", ColumnType::Time),
                Column::new("value", ColumnType::Float),
                Column::new("version", ColumnType::Int),
            ],
            tags: vec!["place".into()],
            time: "at".into(),
            version: Some("version".into()),
        }
    }

    fn point(values: [Value; 4]) -> Point {
        Point { nanos: 0, values: values.into() }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn a_shape_that_is_none_is_refused_with_the_rule_that_it_breaks() {
        assert_eq!(readings().check_shape(), Ok(()));
        let with = |change: fn(&mut Measurement)| {
            let mut shape = readings();
            change(&mut shape);
            shape.check_shape().unwrap_err().to_string()
        };
        for (said, wanted) in [
            (with(|shape| shape.name = "a\"b".into()), "cannot name"),
            (with(|shape| shape.name = "sqlite_master".into()), "sqlite_"),
            (with(|shape| shape.columns[2].name = "_time_ns".into()), "`_time_ns` cannot name"),
            (with(|shape| shape.columns[2].name = "time".into()), "`time` cannot name"),
            (with(|shape| shape.columns[2].name = "at".into()), "two columns `at`"),
            (with(|shape| shape.tags = vec!["value".into()]), "tag `value` must be a column of type Text"),
            (with(|shape| shape.tags.push("place".into())), "tag `place`"),
            (with(|shape| shape.time = "version".into()), "time `version` must be"),
            (with(|shape| shape.version = Some("at".into())), "version `at` must be"),
            (with(|shape| shape.version = Some("none".into())), "version `none` must be"),
        ] {
            assert!(said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn a_point_that_does_not_fit_is_refused_with_measurement_and_column() {
        let good = point([text("here"), Value::Int(5), Value::Null, Value::Int(1)]);
        assert_eq!(readings().check(&good), Ok(()));
        let with = |at: usize, value: Value| {
            let mut point = good.clone();
            point.values[at] = value;
            readings().check(&point).unwrap_err().to_string()
        };
        for (said, wanted) in [
            (with(2, Value::Float(f64::NAN)), "`readings`, column `value`: NaN cannot"),
            (with(2, Value::Float(f64::INFINITY)), "inf cannot"),
            (with(2, Value::Int(1)), "takes Float, not Int(1)"),
            (with(0, Value::Null), "column `place` is null: every point needs its tag"),
            (with(1, Value::Null), "needs its time"),
            (with(3, Value::Null), "needs its version"),
            (with(1, Value::Int(i64::MAX)), "epoch milliseconds"),
        ] {
            assert!(said.contains(wanted), "{said}");
        }
        let short = Point { nanos: 0, values: vec![] };
        assert!(matches!(readings().check(&short), Err(BadPoint::Count { wanted: 4, found: 0, .. })));
        let beyond = Point { nanos: NANOS, ..good };
        assert!(matches!(readings().check(&beyond), Err(BadPoint::Time { .. })));
    }
}
