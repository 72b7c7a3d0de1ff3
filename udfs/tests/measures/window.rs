//! A window of bars to call measures on.

use udfs::{Column, Udf, Value};

/// One row of a window, as it arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    pub start: i64,
    pub received: i64,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
}

/// Rows in arrival order.
#[derive(Clone, Debug)]
pub struct Window(pub Vec<Bar>);

impl Window {
    /// One bar a minute of open, high, low and close; its volume is its number times 100.
    pub fn of(prices: &[[f64; 4]]) -> Self {
        let bar = |(start, &[open, high, low, close]): (i64, &[f64; 4])| Bar {
            start: start * 60_000,
            received: (start + 1) * 60_000,
            open,
            high,
            low,
            close,
            volume: (start + 1) as f64 * 100.0,
        };
        Self((0..).zip(prices).map(bar).collect())
    }

    /// The same of closes alone: each bar opens and stays where it closes.
    pub fn of_closes(closes: &[f64]) -> Self {
        Self::of(&closes.iter().map(|&close| [close; 4]).collect::<Vec<_>>())
    }

    /// What a measure says of the window; none for NULL.
    pub fn measure(&self, name: &str) -> Option<f64> {
        let columns = Columns::of(&self.0);
        columns.call(udf(name))
    }
}

/// The function of that name.
pub fn udf(name: &str) -> &'static Udf {
    udfs::all().iter().find(|udf| udf.name == name).expect("a file of that name")
}

/// The columns that a measure may ask for, by the names of its arguments.
#[derive(Debug)]
pub struct Columns {
    pub times: [Vec<i64>; 2],
    pub numbers: [Vec<f64>; 5],
}

impl Columns {
    pub fn of(bars: &[Bar]) -> Self {
        let times = |of: fn(&Bar) -> i64| bars.iter().map(of).collect();
        let numbers = |of: fn(&Bar) -> f64| bars.iter().map(of).collect();
        Self {
            times: [times(|b| b.start), times(|b| b.received)],
            numbers: [
                numbers(|b| b.open),
                numbers(|b| b.high),
                numbers(|b| b.low),
                numbers(|b| b.close),
                numbers(|b| b.volume),
            ],
        }
    }

    pub fn call(&self, udf: &Udf) -> Option<f64> {
        let columns: Vec<Column<'_>> = udf
            .arguments
            .iter()
            .map(|argument| match argument.name {
                "start_timestamp" => Column::I64(&self.times[0]),
                "received_timestamp" => Column::I64(&self.times[1]),
                "open" => Column::F64(&self.numbers[0]),
                "high" => Column::F64(&self.numbers[1]),
                "low" => Column::F64(&self.numbers[2]),
                "close" => Column::F64(&self.numbers[3]),
                "volume" => Column::F64(&self.numbers[4]),
                other => panic!("{} takes {other}, which no bar has", udf.name),
            })
            .collect();
        match (udf.call)(&columns) {
            Value::Null => None,
            Value::F64(value) => Some(value),
            other => panic!("{} returned {other:?}", udf.name),
        }
    }
}
