//! How fast is `compute volatility` over years of the whole market?

mod bars;
mod peers;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use engine::{Job, Rolling, Windows};

use crate::usage;

/// How large a run is.
#[derive(Args)]
pub struct Wanted {
    /// Symbols
    #[arg(long, default_value_t = 500)]
    symbols: usize,
    /// Trading days of 390 minutes
    #[arg(long, default_value_t = 252)]
    days: usize,
    /// A Python that has Polars, to compare with; see the README
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Where the file of bars is made, and left for the next run
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// What came out.
pub struct Answer {
    bars: usize,
    ours: Run,
    peak: u64,
    peers: Vec<(&'static str, Run)>,
}

/// One way to the result.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    wall: Duration,
    processor: Duration,
    checksum: Checksum,
}

/// The windows, and the sum of each measure over all of them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Checksum {
    windows: u64,
    sums: Vec<f64>,
}

/// Makes the file, runs ours over it, then the peers.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let folder = tempfile::tempdir()?;
    let folder = wanted.keep.as_deref().unwrap_or(folder.path());
    let file = folder.join(format!("bars-{}-{}.parquet", wanted.symbols, wanted.days));
    if !file.exists() {
        bars::write(&file, wanted.symbols, wanted.days)?;
    }
    usage::forget_peak()?;
    let ours = ours(&file)?;
    let peak = usage::peak_memory()?;
    let peers = match &wanted.python {
        Some(python) => peers::run(python, &file)?,
        None => Vec::new(),
    };
    for (name, peer) in &peers {
        ours.checksum.check(&peer.checksum).with_context(|| format!("{name} computes something else"))?;
    }
    Ok(Answer { bars: wanted.symbols * wanted.days * bars::MINUTES_A_DAY, ours, peak, peers })
}

fn ours(file: &Path) -> anyhow::Result<Run> {
    let (begun, used) = (Instant::now(), usage::whole_processor_time()?);
    let rolling = Rolling::of(&Job::named("volatility")?).context("volatility has another form by now")?;
    let pieces = files::candles(file)?.map(|piece| piece.candles);
    let sums = engine::in_order(&rolling, pieces, |_| Checksum::default(), Checksum::take);
    let mut checksum = Checksum::default();
    for (_, of_symbol) in sums.map_err(|_| anyhow::anyhow!("the bars are in no order"))? {
        checksum.add(&of_symbol);
    }
    Ok(Run {
        wall: begun.elapsed(),
        processor: usage::whole_processor_time()?.saturating_sub(used),
        checksum,
    })
}

impl Checksum {
    fn take(&mut self, windows: &Windows<'_>) {
        for measured in windows.measured() {
            self.sums.resize(measured.len(), 0.0);
            self.windows += 1;
            for (sum, value) in self.sums.iter_mut().zip(measured) {
                // What is NULL adds nothing.
                *sum += if value.is_nan() { 0.0 } else { *value };
            }
        }
    }

    fn add(&mut self, other: &Checksum) {
        self.windows += other.windows;
        self.sums.resize(other.sums.len().max(self.sums.len()), 0.0);
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, more)| *sum += more);
    }

    /// The same but for the order in which floats were added up.
    fn check(&self, other: &Checksum) -> anyhow::Result<()> {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
        let same = self.windows == other.windows
            && self.sums.len() == other.sums.len()
            && self.sums.iter().zip(&other.sums).all(near);
        anyhow::ensure!(same, "{self:?} is not {other:?}");
        Ok(())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |time: Duration| self.bars as f64 / time.as_secs_f64() / 1e6;
        let line = |name: &str, run: &Run| {
            format!(
                "{name}: {:.2} M bars/s ({:.1} s), {:.2} M bars a second of processor time",
                rate(run.wall),
                run.wall.as_secs_f64(),
                rate(run.processor)
            )
        };
        writeln!(f, "compute volatility, {} bars, {} windows", self.bars, self.ours.checksum.windows)?;
        writeln!(f, "  {}, peak memory {} MiB", line("tickwire", &self.ours), self.peak / 1_024)?;
        for (name, run) in &self.peers {
            let wall = run.wall.as_secs_f64() / self.ours.wall.as_secs_f64();
            let processor = run.processor.as_secs_f64() / self.ours.processor.as_secs_f64();
            writeln!(f, "  {}; ratio {wall:.1}, by processor time {processor:.1}", line(name, run))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_of_a_small_market_is_summed_up() {
        let _alone = crate::ALONE.lock().unwrap();
        let answer = run(&Wanted { symbols: 3, days: 2, python: None, keep: None }).unwrap();
        // A session of 390 minutes is in 390 + 29 windows; the night is longer than a window.
        assert_eq!(answer.ours.checksum.windows, 3 * 2 * 419);
        let bars_in_windows = answer.ours.checksum.sums[0];
        assert_eq!(bars_in_windows, (answer.bars * 30) as f64);
        assert!(answer.to_string().contains("ratio") || answer.peers.is_empty());
    }
}
