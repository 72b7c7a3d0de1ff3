//! How fast is `compute volatility` over years of the whole market?

mod bars;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use engine::{Job, Rolling, Windows};

use crate::figures::{self, Figure, Goal, Spent, Stopwatch};

/// How large a run is.
#[derive(Args)]
pub struct Wanted {
    /// Symbols
    #[arg(long, default_value_t = 500)]
    symbols: usize,
    /// Trading days of 390 minutes
    #[arg(long, default_value_t = 252)]
    days: usize,
    /// A Python that has Polars and pandas, to compare with; see the README
    #[arg(long, env = "BENCH_PYTHON", value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Symbols that pandas takes, which would need hours for all
    #[arg(long, default_value_t = 10)]
    pandas_symbols: usize,
    /// Where the file of bars is made, and left for the next run
    #[arg(long, env = "BENCH_KEEP", value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// What came out.
pub struct Answer {
    bars: usize,
    ours: Run,
    /// KiB.
    peak: u64,
    peers: Vec<Peer>,
}

/// Another's run, with ours over the same bars.
struct Peer {
    name: &'static str,
    bars: usize,
    run: Run,
    ours: Run,
}

/// One way to the result.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    spent: Spent,
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
    let file = made(folder, wanted.symbols, wanted.days)?;
    figures::forget_peak()?;
    let ours = ours(&file)?;
    let peak = figures::peak_memory()?;
    let bars = bars_of(wanted.symbols, wanted.days);
    let mut peers = Vec::new();
    if let Some(python) = &wanted.python {
        peers.push(Peer { name: "Polars", bars, run: bars::polars(python, &file)?, ours: ours.clone() });
        let symbols = wanted.pandas_symbols.min(wanted.symbols);
        let few = made(folder, symbols, wanted.days)?;
        let (run, ours) = (bars::pandas(python, &few)?, self::ours(&few)?);
        peers.push(Peer { name: "pandas", bars: bars_of(symbols, wanted.days), run, ours });
    }
    for Peer { name, run, ours, .. } in &peers {
        ours.checksum.check(&run.checksum).with_context(|| format!("{name} computes something else"))?;
    }
    Ok(Answer { bars, ours, peak, peers })
}

/// The file of so many bars, made if it is not there.
fn made(folder: &Path, symbols: usize, days: usize) -> anyhow::Result<PathBuf> {
    let file = folder.join(format!("bars-{symbols}-{days}.parquet"));
    if !file.exists() {
        bars::write(&file, symbols, days)?;
    }
    Ok(file)
}

fn bars_of(symbols: usize, days: usize) -> usize {
    symbols * days * bars::MINUTES_A_DAY
}

fn ours(file: &Path) -> anyhow::Result<Run> {
    let watch = Stopwatch::start()?;
    let rolling = Rolling::of(&Job::named("volatility")?).context("volatility has another form by now")?;
    let pieces = files::candles(file)?.map(|piece| piece.candles);
    let sums = engine::in_order(&rolling, pieces, |_| Checksum::default(), Checksum::take);
    let mut checksum = Checksum::default();
    for (_, of_symbol) in sums.map_err(|_| anyhow::anyhow!("the bars are in no order"))? {
        checksum.add(&of_symbol);
    }
    Ok(Run { spent: watch.stop()?, checksum })
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

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let least = |name: &str| Goal::AtLeast(if name == "Polars" { 2.0 } else { 50.0 });
        let mut figures = vec![
            Figure::measured(
                "compute volatility, by the clock",
                self.ours.spent.a_second(self.bars),
                "bars/s",
                Goal::AtLeast(6e6),
            ),
            Figure::measured(
                "compute volatility, a core",
                self.ours.spent.a_core(self.bars),
                "bars/s",
                Goal::AtLeast(3e6),
            ),
            Figure::measured("its peak memory", self.peak as f64 / 1_024.0, "MiB", Goal::None),
        ];
        for peer in &self.peers {
            let what = format!("times as fast as {}, by the clock", peer.name);
            figures.push(Figure::measured(what, peer.clock_ratio(), "", least(peer.name)));
            let what = format!("times as fast as {}, by processor time", peer.name);
            figures.push(Figure::measured(what, peer.core_ratio(), "", Goal::None));
        }
        if self.peers.is_empty() {
            figures.push(Figure::skipped("Polars and pandas", "BENCH_PYTHON names no Python that has them"));
        }
        figures
    }
}

impl Peer {
    fn clock_ratio(&self) -> f64 {
        self.run.spent.wall.as_secs_f64() / self.ours.spent.wall.as_secs_f64()
    }

    fn core_ratio(&self) -> f64 {
        self.run.spent.processor.as_secs_f64() / self.ours.spent.processor.as_secs_f64()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |name: &str, spent: &Spent, bars: usize| {
            format!(
                "{name}: {:.2} M bars/s ({:.1} s), {:.2} M bars a second of processor time",
                spent.a_second(bars) / 1e6,
                spent.wall.as_secs_f64(),
                spent.a_core(bars) / 1e6
            )
        };
        writeln!(f, "compute volatility, {} bars, {} windows", self.bars, self.ours.checksum.windows)?;
        let ours = line("tickwire", &self.ours.spent, self.bars);
        writeln!(f, "  {ours}, peak memory {} MiB", self.peak / 1_024)?;
        for peer in &self.peers {
            let theirs = line(peer.name, &peer.run.spent, peer.bars);
            let (wall, processor) = (peer.clock_ratio(), peer.core_ratio());
            writeln!(f, "  {theirs}; ratio {wall:.1}, by processor time {processor:.1}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_of_a_small_market_is_summed_up() {
        let _alone = crate::ALONE.lock();
        let wanted = Wanted { symbols: 3, days: 2, python: None, pandas_symbols: 1, keep: None };
        let answer = run(&wanted).unwrap();
        // A session of 390 minutes is in 390 + 29 windows; the night is longer than a window.
        assert_eq!(answer.ours.checksum.windows, 3 * 2 * 419);
        let bars_in_windows = answer.ours.checksum.sums[0];
        assert_eq!(bars_in_windows, (answer.bars * 30) as f64);
        assert!(answer.to_string().contains("ratio") || answer.peers.is_empty());
    }
}
