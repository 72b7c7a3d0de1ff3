//! The metrics that are counted in this process: records read and written with the durations,
//! errors, dead letters, and requests to the web app; and those of the process itself.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use model::{AssetClass, Source, topic};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub(crate) type Labels<const N: usize> = [(&'static str, String); N];
type Counts<const N: usize> = Family<Labels<N>, Counter>;
pub(crate) type Gauges<const N: usize> = Family<Labels<N>, Gauge>;
pub(crate) type Seconds<const N: usize> = Family<Labels<N>, Gauge<f64, AtomicU64>>;
type Durations<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// The sources that dead letters are counted by. The part of a source after the colon (a line
/// of a file, a search term) is left out, because it would create a series for each value; what
/// a feed's history brings is counted with the feed.
fn dead_letter_sources() -> impl Iterator<Item = &'static str> {
    let sources = Source::ALL.into_iter().filter(|source| *source != Source::Clock).map(Source::as_str);
    sources.filter(|name| !name.ends_with("-history")).chain(["alerts-webhook", "influxdb"])
}

/// The label for records of a topic that a service could not read.
const TOPIC: &str = "topic";
/// The label for every other source.
const OTHER: &str = "other";

/// The HTTP methods with a label of their own; a client can send any other.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];

pub(crate) struct Meters {
    registry: Registry,
    appended: Counts<2>,
    read: Counts<2>,
    dead_letters: Counts<2>,
    errors: Counts<1>,
    failures: Counts<1>,
    appending: Durations<1>,
    fetching: Durations<1>,
    requests: Counts<3>,
    answering: Durations<2>,
}

/// Buckets from one millisecond to sixteen seconds.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

impl Default for Meters {
    fn default() -> Meters {
        let mut registry = Registry::with_prefix("tickwire");
        let (appended, read, dead_letters) = (Counts::default(), Counts::default(), Counts::default());
        let (errors, failures, requests) = (Counts::default(), Counts::default(), Counts::default());
        let of_a_second = || Durations::<1>::new_with_constructor(durations as fn() -> Histogram);
        let (appending, fetching) = (of_a_second(), of_a_second());
        let answering = Durations::<2>::new_with_constructor(durations as fn() -> Histogram);
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of Tickwire", build);
        registry.register("records_appended", "Records appended to a topic", appended.clone());
        registry.register("records_read", "Records read from a topic", read.clone());
        let help = "Events that did not validate, by the kind of their source";
        registry.register("dead_letters", help, dead_letters.clone());
        registry.register("log_errors", "Appends, reads and commits that failed", errors.clone());
        registry.register("failures", "How often the service failed", failures.clone());
        let help = "How long appends took until they were durable";
        registry.register_with_unit("log_append_duration", help, Unit::Seconds, appending.clone());
        let help = "How long reads of the log took, without waiting for records";
        registry.register_with_unit("log_read_duration", help, Unit::Seconds, fetching.clone());
        registry.register("http_requests", "Requests that the web app answered", requests.clone());
        let help = "How long the web app took to begin its response";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, answering.clone());
        Meters {
            registry,
            appended,
            read,
            dead_letters,
            errors,
            failures,
            appending,
            fetching,
            requests,
            answering,
        }
    }
}

impl Meters {
    pub(crate) fn appended(&self, service: &str, topic: &str, records: usize) {
        let labels = [("service", service.to_owned()), ("topic", topic.to_owned())];
        self.appended.get_or_create(&labels).inc_by(records as u64);
    }

    pub(crate) fn read(&self, service: &str, topic: &str, records: usize) {
        let labels = [("service", service.to_owned()), ("topic", topic.to_owned())];
        self.read.get_or_create(&labels).inc_by(records as u64);
    }

    /// Creates the counters of a service at 0, so that Prometheus sees their first increase.
    pub(crate) fn begin(&self, service: &str) {
        for source in dead_letter_sources().chain([TOPIC, OTHER]) {
            let labels = [("service", service.to_owned()), ("source", source.to_owned())];
            drop(self.dead_letters.get_or_create(&labels));
        }
        drop(self.errors.get_or_create(&[("service", service.to_owned())]));
        drop(self.failures.get_or_create(&[("service", service.to_owned())]));
    }

    pub(crate) fn dead_letter(&self, service: &str, source: &str) {
        let labels = [("service", service.to_owned()), ("source", kind_of(source).to_owned())];
        self.dead_letters.get_or_create(&labels).inc();
    }

    pub(crate) fn error(&self, service: &str) {
        self.errors.get_or_create(&[("service", service.to_owned())]).inc();
    }

    pub(crate) fn failed(&self, service: &str) {
        self.failures.get_or_create(&[("service", service.to_owned())]).inc();
    }

    pub(crate) fn append_took(&self, service: &str, took: Duration) {
        self.appending.get_or_create(&[("service", service.to_owned())]).observe(took.as_secs_f64());
    }

    pub(crate) fn read_took(&self, service: &str, took: Duration) {
        self.fetching.get_or_create(&[("service", service.to_owned())]).observe(took.as_secs_f64());
    }

    /// Counts a response; `route` is the pattern that matched the request, not its path.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let method = METHODS.iter().find(|known| **known == method).unwrap_or(&"other");
        let (method, route) = (("method", (*method).to_owned()), ("route", route.to_owned()));
        let labels = [method.clone(), route.clone(), ("status", status.to_string())];
        self.requests.get_or_create(&labels).inc();
        self.answering.get_or_create(&[method, route]).observe(took.as_secs_f64());
    }

    /// All metrics, with those of `others`, in the OpenMetrics text format.
    pub(crate) fn text(&self, others: &[Registry]) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for registry in [&self.registry].into_iter().chain(others) {
            let _ = encode_registry(&mut text, registry);
        }
        let _ = encode_eof(&mut text);
        text
    }
}

/// The label for a dead letter's source.
fn kind_of(source: &str) -> &str {
    let kind = source.split([':', ' ']).next().unwrap_or_default();
    let others = [topic::NEWS_ARTICLES, topic::SERVICE_STATUS, topic::GAPS, topic::ALERTS];
    let mut topics = AssetClass::ALL.map(AssetClass::raw_topic).into_iter().chain(others);
    match dead_letter_sources().find(|known| *known == kind) {
        Some(known) => known,
        None if topics.any(|topic| topic.name() == kind) => TOPIC,
        None => OTHER,
    }
}

// Metrics of the process, with the names that Prometheus client libraries use, and of the disk
// with the data.

/// Ticks a second of the times in `/proc`: `USER_HZ`, which Linux fixes at 100 for programs on
/// all supported architectures.
const TICKS: f64 = 100.0;

/// The space on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Bytes that an unprivileged program may still write.
    pub(crate) free: u64,
    /// The total size in bytes.
    pub(crate) size: u64,
}

impl Disk {
    /// The file system that contains `path`; `None` if the system does not report it.
    pub(crate) fn of(path: &Path) -> Option<Disk> {
        let disk = rustix::fs::statvfs(path).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some(Disk { free: bytes(disk.f_bavail), size: bytes(disk.f_blocks) })
    }

    /// The free share, in whole percent.
    pub(crate) fn percent_free(self) -> u64 {
        self.free.saturating_mul(100).checked_div(self.size).unwrap_or(0)
    }
}

/// A registry with the process's current values; what the system does not report is left out.
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
    gauge("process_open_fds", "Open files and sockets", None, open);
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    gauge(
        "process_max_fds",
        "The limit of open files and sockets",
        None,
        most.and_then(|most| most.parse().ok()),
    );
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = |name: &str| {
        let kib = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next())?;
        Some(kib.parse::<f64>().ok()? * 1_024.0)
    };
    gauge("process_resident_memory", "Memory in use", Some(Unit::Bytes), memory("VmRSS:"));
    gauge("process_virtual_memory", "Virtual memory in use", Some(Unit::Bytes), memory("VmSize:"));
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, which may contain spaces; the
    // times follow.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let booted = fs::read_to_string("/proc/stat").ok()?;
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok())?;
    let started = booted + ticks(22)? / TICKS;
    gauge("process_start_time", "Start time since 1970", Some(Unit::Seconds), Some(started));
    let used = (ticks(14)? + ticks(15)?) / TICKS;
    let help = "Processor time used";
    registry.register_with_unit("process_cpu", help, Unit::Seconds, ConstCounter::new(used));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_or_term_makes_a_series_of_its_own() {
        let meters = Meters::default();
        for line in 0..1_000 {
            meters.dead_letter("producer", &format!("replay:bars.csv:{line}"));
            meters.dead_letter("news-watcher", &format!("guardian:term {line}"));
            meters.dead_letter("sink", &format!("made-up-{line}"));
        }
        meters.dead_letter("sink", "stock-prices");
        for number in 0..100 {
            meters.answered(&format!("METHOD{number}"), "other", 404, Duration::from_millis(3));
        }
        let text = meters.text(&[]);
        let series: Vec<_> =
            text.lines().filter(|line| line.starts_with("tickwire_dead_letters_total")).collect();
        assert_eq!(series.len(), 4, "{series:#?}");
        assert!(
            text.contains(r#"http_requests_total{method="other",route="other",status="404"} 100"#),
            "{text}"
        );
        assert!(
            text.contains(r#"tickwire_dead_letters_total{service="producer",source="replay"} 1000"#),
            "{text}"
        );
    }
}
