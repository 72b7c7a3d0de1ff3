//! What processes use, as Linux counts it under `/proc`.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;

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

fn status(process: impl std::fmt::Display, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.context("memory is counted on Linux only")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such count")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
