//! What this process uses, as Linux counts it under `/proc/self`.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// Linux counts processor time in hundredths of a second, whatever the machine.
const TICKS_A_SECOND: u64 = 100;

/// Memory in use now, in KiB.
pub fn memory() -> anyhow::Result<u64> {
    status("VmRSS:")
}

/// The most memory that was in use since the last [`forget_peak`], in KiB.
pub fn peak_memory() -> anyhow::Result<u64> {
    status("VmHWM:")
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

/// Processor time of all threads, leaving out those whose name begins with `without`.
pub fn processor_time(without: &str) -> anyhow::Result<Duration> {
    let mut used = Duration::ZERO;
    for thread in fs::read_dir("/proc/self/task")? {
        // A thread that has just ended has no file any more.
        let Ok(stat) = fs::read_to_string(thread?.path().join("stat")) else { continue };
        let (name, time) = read_stat(&stat)?;
        if !name.starts_with(without) {
            used += time;
        }
    }
    Ok(used)
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

fn status(name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("memory is counted on Linux only")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such count")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
