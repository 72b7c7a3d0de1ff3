//! Metrics from the last statuses of the services, created for each scrape so that a value
//! that no longer exists is not reported. Names and labels are bounded: only the counts listed
//! here become metrics.

use std::collections::BTreeMap;

use model::service::Service;
use model::status::ServiceStatus;
use model::time::Millis;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use crate::health::State;
use crate::health::lag::Lag;
use crate::health::meters::{Disk, Gauges, Labels, Seconds};

/// Counters of the statuses: name in the status, name of the metric, help text.
const COUNTERS: [(&str, &str, &str); 21] = [
    ("bars", "bars", "Bars accepted"),
    ("articles", "articles", "Articles accepted"),
    ("rejected", "events_rejected", "Events that did not validate"),
    ("refused", "records_refused", "Records of the log that could not be read"),
    ("corrections", "bars_corrected", "Further versions of bars that were already known"),
    ("filled", "bars_filled", "Bars fetched from history"),
    ("gaps", "gaps", "Gaps recorded in the prices"),
    ("connections", "feed_connections", "Connections to the feed"),
    ("late", "late_records", "Bars behind the watermark"),
    ("late_articles", "late_articles", "Articles behind the watermark"),
    ("points", "points_stored", "Records stored as points"),
    ("too_old", "points_too_old", "Points older than the retention of the store"),
    ("recomputed", "windows_recomputed", "Windows recomputed"),
    ("changed", "rows_changed", "Recomputed rows that differ from the stored ones"),
    ("poorer", "rows_poorer", "Rows dropped because the stored ones were computed from more data"),
    (
        "not_finite",
        "figures_not_finite",
        "Figures of days, weeks and months that overflowed and are stored as null",
    ),
    ("rows_since_start", "rows_computed", "Rows of results written by the engine"),
    ("delivered", "webhook_deliveries", "Alerts that the webhook acknowledged"),
    ("failed_tries", "webhook_failures", "Failed requests to the webhook"),
    ("given_up", "webhook_given_up", "Alerts that the webhook never acknowledged"),
    ("opened", "alerts_opened", "Episodes of alerts that opened"),
];

/// Counts of the statuses that also decrease, as gauges.
const GAUGES: [(&str, &str, &str); 2] = [
    ("unread", "unread_records", "Records of the log that are not stored yet"),
    ("pending", "pending_windows", "Windows waiting to be recomputed"),
];

/// The values of a scrape that are not counted by [`crate::health::meters`].
pub(crate) struct Snapshot {
    pub(crate) now: Millis,
    pub(crate) states: Vec<(&'static str, State)>,
    pub(crate) said: BTreeMap<String, ServiceStatus>,
    pub(crate) needs: Vec<(&'static str, bool)>,
    pub(crate) behind: Vec<Lag>,
    pub(crate) disk: Option<Disk>,
}

impl Snapshot {
    /// A registry with these values, for one scrape.
    pub(crate) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("tickwire");
        self.of_process(&mut registry);
        self.of_statuses(&mut registry);
        self.of_feed(&mut registry);
        self.of_jobs(&mut registry);
        self.counts(&mut registry);
        registry
    }

    fn of_process(&self, registry: &mut Registry) {
        let (working, needs, behind) =
            (Gauges::<1>::default(), Gauges::<1>::default(), Gauges::<4>::default());
        for (service, state) in &self.states {
            let is_working = i64::from(*state == State::Working);
            working.get_or_create(&[("service", (*service).to_owned())]).set(is_working);
        }
        for (name, up) in &self.needs {
            needs.get_or_create(&[("dependency", (*name).to_owned())]).set(i64::from(*up));
        }
        for Lag { service, reader, topic, partition, records } in &self.behind {
            let labels = [
                ("service", (*service).to_owned()),
                ("reader", reader.clone()),
                ("topic", topic.clone()),
                ("partition", partition.to_string()),
            ];
            behind.get_or_create(&labels).set(*records);
        }
        registry.register("working", "Whether the service works (1) or not (0)", working);
        registry.register("dependency_up", "Whether the log and the store answer", needs);
        registry.register("records_behind", "Records of a partition that a reader has not read", behind);
        if let Some(disk) = self.disk {
            let bytes = |value: u64| ConstGauge::new(value as f64);
            let free = "Bytes that are free on the disk of the data";
            registry.register_with_unit("disk_free", free, Unit::Bytes, bytes(disk.free));
            registry.register_with_unit("disk_size", "Size of that disk", Unit::Bytes, bytes(disk.size));
        }
    }

    fn of_statuses(&self, registry: &mut Registry) {
        let (at_work, failing, quota) =
            (Gauges::<1>::default(), Gauges::<2>::default(), Gauges::<1>::default());
        let (reached, spoke, planned) = (Seconds::<1>::default(), Seconds::default(), Seconds::default());
        for status in self.said.values() {
            let service = label("service", &status.service);
            at_work.get_or_create(&service).set(i64::from(status.is_at_work()));
            spoke.get_or_create(&service).set(seconds(status.at));
            if let Some(watermark) = status.watermark {
                reached.get_or_create(&service).set(seconds(watermark));
            }
            if let Some(lag) = status.planned_lag {
                planned.get_or_create(&service).set(seconds(lag));
            }
            if !status.entries.is_empty() {
                let count = status.entries_failing();
                for (state, count) in [("failing", count), ("served", status.entries.len() - count)] {
                    let labels = [("service", status.service.clone()), ("state", state.to_owned())];
                    failing.get_or_create(&labels).set(count as i64);
                }
            }
            if let Some(left) = status.quota.map(|quota| quota.per_day.saturating_sub(quota.used_today)) {
                quota.get_or_create(&service).set(left.try_into().unwrap_or(i64::MAX));
            }
        }
        registry.register("service_at_work", "Whether the service's status says that it works", at_work);
        let help = "The event time that the service has reached";
        registry.register_with_unit("watermark_timestamp", help, Unit::Seconds, reached);
        let help = "When the service last wrote a status";
        registry.register_with_unit("status_timestamp", help, Unit::Seconds, spoke);
        let help = "How far the event time of a live source is behind the wall clock in normal operation";
        registry.register_with_unit("planned_lag", help, Unit::Seconds, planned);
        registry.register(
            "watchlist_entries",
            "Entries of the watchlist, by whether the source serves them",
            failing,
        );
        registry.register(
            "quota_calls_left",
            "Requests that the source may still make before midnight UTC",
            quota,
        );
    }

    fn of_feed(&self, registry: &mut Registry) {
        let live = self.said.values().filter_map(|status| Some((status, status.planned_lag?)));
        let (last, silent) = (Seconds::<1>::default(), Seconds::<1>::default());
        let open = Gauges::<1>::default();
        for (status, planned) in live {
            let service = label("service", &status.service);
            if let Some(at) = status.last_data() {
                last.get_or_create(&service).set(seconds(at));
            }
            if status.is_of(Service::Producer) {
                open.get_or_create(&service).set(i64::from(status.market_is_open(self.now - planned)));
            }
            if let Some(span) = status.without_bars(self.now) {
                silent.get_or_create(&service).set(seconds(span));
            }
        }
        let help = "The time of the newest bar or article of a live source";
        registry.register_with_unit("last_event_timestamp", help, Unit::Seconds, last);
        registry.register("market_open", "Whether bars are expected of the live feed now", open);
        let help = "How long no bar has arrived while the market is open";
        registry.register_with_unit("feed_without_bars", help, Unit::Seconds, silent);
        let results = Seconds::<1>::default();
        for status in self.said.values() {
            for (jobs, until) in [("all", status.results_until), ("prices", status.price_results_until)] {
                if let Some(until) = until {
                    results.get_or_create(&label("jobs", jobs)).set(seconds(until));
                }
            }
        }
        let help =
            "The event time up to which rows of all windowed jobs, and of those over prices alone, exist";
        registry.register_with_unit("results_timestamp", help, Unit::Seconds, results);
    }

    fn of_jobs(&self, registry: &mut Registry) {
        let (up, checkpoint) = (Gauges::<1>::default(), Seconds::<1>::default());
        let restarts = Family::<Labels<1>, Counter>::default();
        for job in self.said.values().flat_map(|status| &status.jobs) {
            let labels = label("name", &job.name);
            up.get_or_create(&labels).set(i64::from(job.is_running()));
            restarts.get_or_create(&labels).inc_by(job.restarts);
            if let Some(at) = job.last_checkpoint {
                checkpoint.get_or_create(&labels).set(seconds(at));
            }
        }
        registry.register("engine_job_up", "Whether a job runs on the cluster", up);
        registry.register("engine_job_restarts", "Restarts of a job", restarts);
        let help = "When a job finished its last checkpoint";
        registry.register_with_unit("engine_job_checkpoint_timestamp", help, Unit::Seconds, checkpoint);
    }

    /// The counts of the statuses under the names of [`COUNTERS`] and [`GAUGES`].
    fn counts(&self, registry: &mut Registry) {
        let of = |name: &str| {
            let counted = self.said.values().filter_map(|status| Some((status, *status.counts.get(name)?)));
            counted.map(|(status, count)| (label("service", &status.service), count)).collect::<Vec<_>>()
        };
        for (name, metric, help) in COUNTERS {
            let family = Family::<Labels<1>, Counter>::default();
            for (labels, count) in of(name) {
                family.get_or_create(&labels).inc_by(count);
            }
            registry.register(metric, help, family);
        }
        for (name, metric, help) in GAUGES {
            let family = Family::<Labels<1>, Gauge>::default();
            for (labels, count) in of(name) {
                family.get_or_create(&labels).set(count.try_into().unwrap_or(i64::MAX));
            }
            registry.register(metric, help, family);
        }
    }
}

fn label(name: &'static str, value: &str) -> Labels<1> {
    [(name, value.to_owned())]
}

fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1_000.0
}
