//! What a run measured, each number beside its goal: the lines of the table that all runs end in.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use anyhow::Context;
use model::time::{MINUTE, Millis};
use model::{Bar, Source, heartbeat};
use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Goal {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
    /// Nothing: it stands there to compare with.
    None,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured, in words.
    what: String,
    /// Its value, or why it could not be measured here.
    value: Result<f64, String>,
    unit: String,
    goal: Goal,
}

impl Figure {
    /// A number that was measured.
    pub fn measured(what: impl Into<String>, value: f64, unit: &str, goal: Goal) -> Figure {
        Figure { what: what.into(), value: Ok(value), unit: unit.to_owned(), goal }
    }

    /// A number that could not be had on this machine.
    pub fn skipped(what: impl Into<String>, why: impl Into<String>) -> Figure {
        Figure { what: what.into(), value: Err(why.into()), unit: String::new(), goal: Goal::None }
    }
}

impl Goal {
    /// Whether it is met; `None` where there is none.
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Goal::AtLeast(least) => Some(value >= least),
            Goal::AtMost(most) => Some(value <= most),
            Goal::None => None,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match &self.value {
            Ok(value) => *value,
            Err(why) => return write!(f, "{:<72} skipped: {why}", self.what),
        };
        let goal = match self.goal {
            Goal::AtLeast(least) => format!("≥ {}", number(least)),
            Goal::AtMost(most) => format!("≤ {}", number(most)),
            Goal::None => String::new(),
        };
        let met = match self.goal.is_met(value) {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        let value = format!("{} {}", number(value), self.unit);
        write!(f, "{:<72} {value:<22} {goal:<10} {met}", self.what)
    }
}

/// With three digits or more, as large as it is.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{:.2} M", value / 1e6),
        large if large >= 1e4 => format!("{:.0} k", value / 1e3),
        large if large >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

/// Adds lines of the table to a file, for whoever puts several runs together.
pub fn add_to(file: &Path, figures: &[Figure]) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = fs::OpenOptions::new().create(true).append(true).open(file)?;
    for figure in figures {
        writeln!(out, "{}", serde_json::to_string(figure)?)?;
    }
    Ok(())
}

/// The lines that were added to a file.
pub fn read_from(file: &Path) -> anyhow::Result<Vec<Figure>> {
    let text = fs::read_to_string(file).context("a run left no figures")?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

// What processes use, as Linux counts it under `/proc`.

/// Linux counts processor time in hundredths of a second, whatever the machine.
const TICKS_A_SECOND: u64 = 100;

/// What a piece of work took, by the clock and of the processors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    pub wall: Duration,
    pub processor: Duration,
}

impl Spent {
    /// So many a second of processor time.
    pub fn a_core(&self, count: usize) -> f64 {
        count as f64 / self.processor.as_secs_f64()
    }

    /// So many a second by the clock.
    pub fn a_second(&self, count: usize) -> f64 {
        count as f64 / self.wall.as_secs_f64()
    }
}

/// Begins to measure what this process spends, without the threads whose names begin so.
pub struct Stopwatch {
    begun: Instant,
    used: Duration,
    without: Option<&'static str>,
}

impl Stopwatch {
    /// Over the whole process.
    pub fn start() -> anyhow::Result<Stopwatch> {
        Ok(Stopwatch { begun: Instant::now(), used: whole_processor_time()?, without: None })
    }

    /// Leaving out these threads, which must not end before.
    pub fn without(threads: &'static str) -> anyhow::Result<Stopwatch> {
        Ok(Stopwatch { begun: Instant::now(), used: processor_time(threads)?, without: Some(threads) })
    }

    /// What was spent until now.
    pub fn stop(&self) -> anyhow::Result<Spent> {
        let wall = self.begun.elapsed();
        let used = self.without.map_or_else(whole_processor_time, processor_time)?;
        Ok(Spent { wall, processor: used.saturating_sub(self.used) })
    }
}

/// The time that this share of all stays within.
pub fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at).or(sorted.last()).copied().unwrap_or_default()
}

/// Memory in use now, in KiB.
pub fn memory() -> anyhow::Result<u64> {
    status("self", "VmRSS:")
}

/// The most memory that was in use since the last [`forget_peak`], in KiB.
pub fn peak_memory() -> anyhow::Result<u64> {
    status("self", "VmHWM:")
}

/// Measures the peak from now on.
pub fn forget_peak() -> anyhow::Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("the peak of memory cannot be reset")
}

/// Open sockets; of those to servers in this process, both ends.
pub fn sockets() -> anyhow::Result<usize> {
    // One that is closed meanwhile counts no more.
    let files = fs::read_dir("/proc/self/fd")?.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    Ok(files.filter(|file| file.to_string_lossy().starts_with("socket:")).count())
}

/// Processor time of the whole process, with the threads that have ended.
pub fn whole_processor_time() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("processor time is counted on Linux only")?;
    Ok(read_stat(&stat)?.1)
}

/// Processor time of another process.
pub fn processor_time_of(process: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("the process has ended")?;
    Ok(read_stat(&stat)?.1)
}

/// Memory in use by another process now, in KiB.
pub fn memory_of(process: u32) -> anyhow::Result<u64> {
    status(process, "VmRSS:")
}

/// Processor time of the whole process, with the threads that have ended, but
/// without those at work whose name begins with `without`.
pub fn processor_time(without: &str) -> anyhow::Result<Duration> {
    let mut left_out = Duration::ZERO;
    for thread in fs::read_dir("/proc/self/task")? {
        // A thread that has just ended has no file any more.
        let Ok(stat) = fs::read_to_string(thread?.path().join("stat")) else { continue };
        let (name, time) = read_stat(&stat)?;
        if name.starts_with(without) {
            left_out += time;
        }
    }
    Ok(whole_processor_time()?.saturating_sub(left_out))
}

/// The name and the processor time of a process or a thread.
fn read_stat(stat: &str) -> anyhow::Result<(&str, Duration)> {
    let (name, rest) = stat
        .split_once('(')
        .and_then(|(_, rest)| rest.rsplit_once(')'))
        .context("a thread without a name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Fields 14 and 15 of the line, in user and in kernel mode.
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok((name, Duration::from_millis(ticks * 1_000 / TICKS_A_SECOND)))
}

fn status(process: impl fmt::Display, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.context("memory is counted on Linux only")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such count")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

// Bars of a market without an end: prices that go up and down by cents.

/// When the first of them begin: 2024-01-02 at 14:30 in UTC.
pub const FIRST: Millis = 1_704_205_800_000;

/// The bar of a symbol in a minute, both counted from 0.
pub fn bar(symbol: usize, minute: usize) -> Bar {
    let start = FIRST + minute as Millis * MINUTE;
    let price = |at: usize| (10_000 + (symbol * 31 + at * at * 7) % 41) as f64 / 100.0;
    let (open, close) = (price(minute), price(minute + 1));
    Bar {
        symbol: format!("S{symbol:05}"),
        open,
        high: open.max(close) + 0.02,
        low: open.min(close) - 0.03,
        close,
        volume: (100 + minute % 977) as f64,
        start_timestamp: start,
        end_timestamp: start + MINUTE,
        source: Source::Simulation,
        received_timestamp: start + MINUTE,
        complete_until: start,
        ..heartbeat::bar(0, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_whether_its_goal_is_met() {
        let line = |value, goal| Figure::measured("encoding", value, "points/s", goal).to_string();
        assert!(line(1_500_000.0, Goal::AtLeast(1e6)).ends_with("1.50 M points/s        ≥ 1.00 M   met"));
        assert!(line(1_500_000.0, Goal::AtMost(1e6)).ends_with("missed"));
        assert!(!line(3.25, Goal::None).contains("m e t"));
        assert!(Figure::skipped("Telegraf", "none here").to_string().ends_with("skipped: none here"));
    }

    #[test]
    fn figures_come_back_from_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("figures");
        let figures = [Figure::measured("a", 0.1, "s", Goal::AtMost(2.0)), Figure::skipped("b", "no server")];
        add_to(&file, &figures[..1]).unwrap();
        add_to(&file, &figures[1..]).unwrap();
        assert_eq!(read_from(&file).unwrap(), figures);
    }
}
