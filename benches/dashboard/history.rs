//! Days of a market, as they lie in a store and in Parquet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::Job;
use files::TableWriter;
use model::schema::{ColumnType, Value};
use model::time::{DAY, MINUTE, Millis};
use store::{Batch, EmbeddedStore, Measurement, Point, Store};

/// Minutes of a session.
pub const MINUTES: usize = 390;
/// Windows that hold a bar of a session.
const WINDOWS: usize = MINUTES + 29;
/// 2024-01-02 at 14:30 in UTC.
const FIRST: Millis = 1_704_205_800_000;

/// How much of it.
pub struct History {
    pub symbols: usize,
    pub days: usize,
}

impl History {
    pub fn symbol(number: usize) -> String {
        format!("S{number:05}")
    }

    /// When a day begins.
    pub fn start(day: usize) -> Millis {
        FIRST + day as Millis * DAY
    }

    /// What is kept of each symbol: its bars and its windows.
    pub fn measurements(&self) -> anyhow::Result<[Measurement; 2]> {
        let job = Job::named("volatility")?;
        Ok([Measurement::bars(), Measurement::results(&job.topic, &job.columns)])
    }

    /// The store with all of it, made if it is not there.
    pub async fn store(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let file = folder.join(format!("store-{}-{}.db", self.symbols, self.days));
        if file.exists() {
            return Ok(file);
        }
        let store = EmbeddedStore::open(&file)?;
        let measurements = self.measurements()?.map(Arc::new);
        for measurement in &measurements {
            store.define(measurement).await?;
        }
        for symbol in 0..self.symbols {
            let points = measurements.iter().map(|shape| (shape.clone(), self.points(shape, symbol)));
            store.write(Batch { points: points.collect(), notes: Vec::new() }.into()).await?;
        }
        Ok(file)
    }

    /// One of the measurements as a file, made if it is not there.
    pub fn parquet(&self, measurement: &Measurement, folder: &Path) -> anyhow::Result<PathBuf> {
        let file = folder.join(format!("{}-{}-{}.parquet", measurement.name, self.symbols, self.days));
        if !file.exists() {
            let mut table = TableWriter::create(None, &measurement.columns, Some(&file))?;
            for symbol in 0..self.symbols {
                let points = self.points(measurement, symbol);
                points.iter().try_for_each(|point| table.write_row(&point.values))?;
            }
            table.finish()?;
        }
        Ok(file)
    }

    /// Those of a symbol.
    fn points(&self, measurement: &Measurement, symbol: usize) -> Vec<Point> {
        let a_day = if measurement.version.is_some() { MINUTES } else { WINDOWS };
        let of_day = |day: usize| (0..a_day).map(move |minute| (day, minute));
        let point = |(day, minute)| point(measurement, symbol, day, minute);
        (0..self.days).flat_map(of_day).map(point).collect()
    }
}

/// A value for every column: what they are does not matter, that they differ does.
fn point(measurement: &Measurement, symbol: usize, day: usize, minute: usize) -> Point {
    let time = History::start(day) + minute as Millis * MINUTE;
    let number = |at: usize| ((symbol * 31 + day * 17 + minute * 7 + at * 3) % 9_973) as f64 / 97.0 + 1.0;
    let value = |(at, column): (usize, &model::schema::Column)| match column.kind {
        _ if column.name == "symbol" => Value::Text(History::symbol(symbol)),
        ColumnType::Text => Value::Text("simulation".into()),
        ColumnType::Time => Value::Int(time),
        ColumnType::Int => Value::Int(30),
        ColumnType::Bool => Value::Bool(false),
        ColumnType::Float => Value::Float(number(at)),
    };
    Point { nanos: 0, values: measurement.columns.iter().enumerate().map(value).collect() }
}
