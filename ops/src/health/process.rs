//! What the system says of this process, under the names that Prometheus' clients give
//! it, and of the disk that the data is on.

use std::fs;
use std::path::Path;

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// Ticks in a second of the times in `/proc`: `USER_HZ`, which Linux fixes at 100 for
/// programs on every architecture of ours.
const TICKS: f64 = 100.0;

/// A disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Bytes that a program without privileges may still write.
    pub(crate) free: u64,
    /// Bytes in all.
    pub(crate) size: u64,
}

impl Disk {
    /// The disk that holds `path`; nothing where the system does not say.
    pub(crate) fn of(path: &Path) -> Option<Disk> {
        let disk = rustix::fs::statvfs(path).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some(Disk { free: bytes(disk.f_bavail), size: bytes(disk.f_blocks) })
    }

    /// How much is free, in whole percent.
    pub(crate) fn percent_free(self) -> u64 {
        self.free.saturating_mul(100).checked_div(self.size).unwrap_or(0)
    }
}

/// The process as a registry that is read once; without what the system does not say.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    register(&mut registry);
    registry
}

fn register(registry: &mut Registry) -> Option<()> {
    let mut gauge = |name: &str, help: &str, unit: Option<Unit>, value: Option<f64>| {
        if let Some(value) = value {
            match unit {
                Some(unit) => registry.register_with_unit(name, help, unit, ConstGauge::new(value)),
                None => registry.register(name, help, ConstGauge::new(value)),
            }
        }
    };
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
    gauge("process_open_fds", "Files and sockets that are open", None, open);
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    gauge(
        "process_max_fds",
        "Files and sockets that may be open",
        None,
        most.and_then(|most| most.parse().ok()),
    );
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = |name: &str| {
        let kib = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next())?;
        Some(kib.parse::<f64>().ok()? * 1_024.0)
    };
    gauge("process_resident_memory", "Memory in use", Some(Unit::Bytes), memory("VmRSS:"));
    gauge("process_virtual_memory", "Addresses in use", Some(Unit::Bytes), memory("VmSize:"));
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in brackets, which may hold blanks; times follow.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let booted = fs::read_to_string("/proc/stat").ok()?;
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok())?;
    let started = booted + ticks(22)? / TICKS;
    gauge("process_start_time", "When it was started", Some(Unit::Seconds), Some(started));
    let used = (ticks(14)? + ticks(15)?) / TICKS;
    let help = "Processor time that was used";
    registry.register_with_unit("process_cpu", help, Unit::Seconds, ConstCounter::new(used));
    Some(())
}
