//! How fast does the store answer for the live page: the bars and the windows of
//! one symbol over five days, out of sixty days of five hundred symbols; and how
//! fast does DuckDB?

mod duckdb;
mod history;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use store::{EmbeddedStore, Query, Store};

use crate::figures::{Figure, Goal};
use crate::usage;
pub use history::History;

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
            ensure!(found >= DAYS * history::MINUTES, "{found} rows were found");
            rows += found;
        }
        times.push(begun.elapsed());
    }
    Ok((rows, times))
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let millis = |times: &[Duration]| usage::percentile(times, 0.99).as_secs_f64() * 1e3;
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
            let at = |share| usage::percentile(times, share).as_secs_f64() * 1e3;
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
