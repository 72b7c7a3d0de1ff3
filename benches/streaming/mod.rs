//! How many bars a second does the local engine take from the log, and what does a longer window cost?

use std::fmt;
use std::sync::Arc;

use clap::Args;
use control::shutdown::{self, Shutdown};
use engine::Job;
use log::{Append, EmbeddedLog, Log};
use model::time::{MINUTE, Millis};
use model::{heartbeat, topic};

use crate::figures::{FIRST, Figure, Goal, Spent, Stopwatch, bar};

/// How large a run is.
#[derive(Args)]
pub struct Wanted {
    /// Symbols
    #[arg(long, default_value_t = 1_000)]
    symbols: usize,
    /// Minutes of each
    #[arg(long, default_value_t = 1_000)]
    minutes: usize,
}

/// What came out, by the length of the window in minutes.
pub struct Answer {
    bars: usize,
    runs: Vec<(usize, Run)>,
}

struct Run {
    spent: Spent,
    rows: u64,
}

/// The windows that are compared: that of the job, and one of a whole session.
const WINDOWS: [usize; 2] = [30, 390];

/// Fills a log, and lets the engine take it all, once for each window.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut runs = Vec::new();
    for window in WINDOWS {
        runs.push((window, runtime.block_on(once(wanted, window))?));
    }
    Ok(Answer { bars: wanted.symbols * wanted.minutes, runs })
}

async fn once(wanted: &Wanted, window: usize) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir()?;
    let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.sqlite"), 1)?);
    for minute in 0..wanted.minutes {
        let until = FIRST + minute as Millis * MINUTE;
        let bars = (0..wanted.symbols).map(|symbol| bar(symbol, minute));
        let end = heartbeat::bar(0, until + MINUTE);
        let records = bars.chain([end]).map(|bar| Append::json(topic::STOCK_PRICES, &bar.symbol, &bar));
        log.append(records.collect()).await?;
    }
    let job = Job::named("volatility")?.with_window(window as Millis * MINUTE)?;
    let results = job.topic.clone();
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    let watch = Stopwatch::start()?;
    engine::run(log.clone(), vec![job], stop).await?;
    let spent = watch.stop()?;
    let rows = log.extents(&results).await?.iter().map(|extent| extent.next - extent.first).sum();
    Ok(Run { spent, rows })
}

impl Answer {
    /// How many times as much processor time the longer window takes.
    fn longer_costs(&self) -> f64 {
        let used = |at: usize| self.runs[at].1.spent.processor.as_secs_f64();
        used(1) / used(0)
    }
}

/// Bars a second on two cores, with its broker, as measured elsewhere.
const ARROYO: f64 = 35_000.0;

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let rate = self.runs[0].1.spent.a_core(self.bars);
        vec![
            Figure::measured("volatility from log to log, a core", rate, "bars/s", Goal::AtLeast(150e3)),
            Figure::measured(
                "windows of 390 minutes cost, beside those of 30",
                self.longer_costs(),
                "times",
                Goal::AtMost(1.3),
            ),
            Figure::measured(
                "times as fast as Arroyo, a core (a quoted figure)",
                rate / (ARROYO / 2.0),
                "",
                Goal::AtLeast(4.0),
            ),
        ]
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "volatility from log to log, {} bars", self.bars)?;
        for (window, run) in &self.runs {
            writeln!(
                f,
                "  windows of {window} minutes: {:.0} k bars/s, {:.0} k bars a second of processor time, {} rows",
                run.spent.a_second(self.bars) / 1e3,
                run.spent.a_core(self.bars) / 1e3,
                run.rows
            )?;
        }
        writeln!(f, "  the longer window costs {:.2} times as much", self.longer_costs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_that_the_clock_has_passed_is_written() {
        let _alone = crate::ALONE.lock();
        let answer = run(&Wanted { symbols: 3, minutes: 40 }).unwrap();
        // The bars of a symbol and the clock's own, each minute one more window.
        assert!(answer.runs.iter().all(|(_, run)| run.rows >= 3 * 40), "{answer}");
    }
}
