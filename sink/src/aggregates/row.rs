//! What an aggregate consists of, as a point and out of the store again.

use std::sync::{Arc, LazyLock};

use model::Topic;
use model::schema::{Column, ColumnType, Value};
use model::time::Millis;
use store::{Measurement, Point, Rows};

/// One day, week or month of a symbol; prices as they were traded, not adjusted for splits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// The open of its first session.
    pub start: Millis,
    /// The close of its last session: the point's time.
    pub end: Millis,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    /// None where the sum is beyond the greatest number.
    pub volume: Option<f64>,
    /// Realized volatility, the nights left out; none of fewer than two bars.
    pub realized: Option<f64>,
    /// Distinct articles since the close before.
    pub articles: i64,
    /// Minute bars.
    pub bars: i64,
    /// When the last of its bars and articles had been received.
    pub received_until: Option<Millis>,
}

/// Days, weeks and months, in this order.
pub(crate) fn measurements() -> &'static [Arc<Measurement>; 3] {
    static MEASUREMENTS: LazyLock<[Arc<Measurement>; 3]> =
        LazyLock::new(|| ["bars-daily", "bars-weekly", "bars-monthly"].map(measurement));
    &MEASUREMENTS
}

fn measurement(topic: &'static str) -> Arc<Measurement> {
    use ColumnType::{Float, Int, Text, Time};
    let columns = [
        ("symbol", Text),
        ("window_start", Time),
        ("window_end", Time),
        ("open", Float),
        ("high", Float),
        ("low", Float),
        ("close", Float),
        ("volume", Float),
        ("realized", Float),
        ("articles", Int),
        ("bars", Int),
        ("received_until", Time),
    ];
    let columns = columns.map(|(name, kind)| Column::new(name, kind));
    Arc::new(Measurement::results(&Topic::new(topic), &columns))
}

impl Row {
    /// How many figures of it are none because they were not finite.
    pub(crate) fn not_finite(&self) -> u64 {
        u64::from(self.volume.is_none())
    }

    /// The row as a point of any of [`measurements`].
    pub(crate) fn point(&self, symbol: &str) -> Point {
        let values = vec![
            Value::Text(symbol.to_owned()),
            Value::Int(self.start),
            Value::Int(self.end),
            Value::Float(self.open),
            Value::Float(self.high),
            Value::Float(self.low),
            Value::Float(self.close),
            number(self.volume),
            number(self.realized),
            Value::Int(self.articles),
            Value::Int(self.bars),
            self.received_until.map_or(Value::Null, Value::Int),
        ];
        Point { nanos: 0, values }
    }

    /// The rows of a stored measurement; one that lacks a column is none.
    pub(crate) fn all(rows: &Rows) -> Vec<Row> {
        let place = |name: &str| rows.columns.iter().position(|column| column.name == name);
        let read = |row: &Vec<Value>| {
            let value = |name: &str| row.get(place(name)?);
            let float = |name: &str| value(name)?.as_f64();
            let int = |name: &str| value(name)?.as_i64();
            Some(Row {
                start: int("window_start")?,
                end: int("window_end")?,
                open: float("open")?,
                high: float("high")?,
                low: float("low")?,
                close: float("close")?,
                volume: float("volume"),
                realized: float("realized"),
                articles: int("articles")?,
                bars: int("bars")?,
                received_until: int("received_until"),
            })
        };
        rows.rows.iter().filter_map(read).collect()
    }
}

/// A number, if it is one that can be stored.
fn number(value: Option<f64>) -> Value {
    value.filter(|value| value.is_finite()).map_or(Value::Null, Value::Float)
}
