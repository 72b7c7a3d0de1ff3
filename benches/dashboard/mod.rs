//! How fast does the store answer for the live page: the bars and the windows of
//! one symbol over five days, out of sixty days of five hundred symbols; and how
//! fast does DuckDB?

mod duckdb;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use engine::Job;
use files::TableWriter;
use model::schema::{ColumnType, Value};
use model::time::{DAY, MINUTE, Millis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use store::{Batch, EmbeddedStore, Measurement, Point, Query, Store};

use crate::figures::{Figure, Goal, percentile};

/// Days of a question.
const DAYS: usize = 5;

/// How large a run is.
#[derive(Args)]
pub struct Wanted {
    /// Symbols
    #[arg(long, default_value_t = 500)]
    symbols: usize,
    /// Days of 390 minutes
    #[arg(long, default_value_t = 60)]
    days: usize,
    /// Questions, each of another symbol and time
    #[arg(long, default_value_t = 500)]
    questions: usize,
    /// A Python that has DuckDB, to compare with; see the README
    #[arg(long, env = "BENCH_PYTHON", value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Where the data is made, and left for the next run
    #[arg(long, env = "BENCH_KEEP", value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// What came out.
pub struct Answer {
    rows: usize,
    bytes: u64,
    ours: Vec<Duration>,
    duckdb: Option<Vec<Duration>>,
}

/// A question: a symbol, and the first of its days.
type Question = (usize, usize);

/// Makes the history, then asks.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let folder = tempfile::tempdir()?;
    let folder = wanted.keep.as_deref().unwrap_or(folder.path());
    let history = History { symbols: wanted.symbols, days: wanted.days };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let file = runtime.block_on(history.store(folder))?;
    let questions = questions(wanted);
    let (rows, ours) = runtime.block_on(ask(&history, &EmbeddedStore::open_to_read(&file)?, &questions))?;
    let duckdb = match &wanted.python {
        Some(python) => Some(duckdb::ask(python, &history, folder, &questions, rows)?),
        None => None,
    };
    Ok(Answer { rows, bytes: file.metadata()?.len(), ours, duckdb })
}

/// The same in every run.
fn questions(wanted: &Wanted) -> Vec<Question> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut below = |limit: usize| (random.next_u64() % limit.max(1) as u64) as usize;
    (0..wanted.questions).map(|_| (below(wanted.symbols), below(wanted.days - DAYS + 1))).collect()
}

/// How many rows came in all, and how long each question took.
async fn ask(
    history: &History,
    store: &EmbeddedStore,
    questions: &[Question],
) -> anyhow::Result<(usize, Vec<Duration>)> {
    let (mut rows, mut times) = (0, Vec::new());
    for &(symbol, day) in questions {
        let begun = Instant::now();
        for measurement in history.measurements()? {
            let query = Query {
                measurement: measurement.name.clone(),
                tags: vec![("symbol".into(), History::symbol(symbol))],
                from: Some(History::start(day)),
                to: Some(History::start(day + DAYS)),
                newest_first: true,
                ..Query::default()
            };
            let found = store.read(&query).await?.rows.len();
            ensure!(found >= DAYS * MINUTES, "{found} rows were found");
            rows += found;
        }
        times.push(begun.elapsed());
    }
    Ok((rows, times))
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let millis = |times: &[Duration]| percentile(times, 0.99).as_secs_f64() * 1e3;
        let ours = millis(&self.ours);
        let mut figures = vec![Figure::measured(
            "bars and windows of a symbol over 5 days, p99",
            ours,
            "ms",
            Goal::AtMost(30.0),
        )];
        match &self.duckdb {
            Some(theirs) => {
                let theirs = millis(theirs);
                figures.push(Figure::measured("the same from DuckDB, p99", theirs, "ms", Goal::None));
                figures.push(Figure::measured(
                    "as long as DuckDB takes",
                    ours / theirs,
                    "times",
                    Goal::AtMost(2.0),
                ));
            }
            None => figures.push(Figure::skipped("DuckDB", "BENCH_PYTHON names no Python that has it")),
        }
        figures
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |times: &[Duration]| {
            let at = |share| percentile(times, share).as_secs_f64() * 1e3;
            format!("{:.1} ms median, {:.1} ms at the 99th percentile", at(0.5), at(0.99))
        };
        let gigabytes = self.bytes as f64 / 1e9;
        writeln!(
            f,
            "{} questions to a store of {gigabytes:.2} GB, {} rows each",
            self.ours.len(),
            self.rows / self.ours.len().max(1)
        )?;
        writeln!(f, "  tickwire: {}", line(&self.ours))?;
        match &self.duckdb {
            Some(times) => writeln!(f, "  DuckDB: {}", line(times)),
            None => Ok(()),
        }
    }
}

// Days of a market, as they lie in a store and in Parquet.

/// Minutes of a session.
const MINUTES: usize = 390;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_finds_the_rows_of_its_days() {
        let _alone = crate::ALONE.lock();
        let wanted = Wanted { symbols: 3, days: 6, questions: 5, python: None, keep: None };
        let answer = run(&wanted).unwrap();
        // A session of 390 minutes is in 390 + 29 windows.
        assert_eq!(answer.rows, 5 * DAYS * (390 + 419));
    }
}
