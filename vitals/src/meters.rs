//! The numbers: how much each service reads and writes, how far behind it is,
//! what it refuses, and what it says of itself.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use wire::status::ServiceStatus;

use crate::State;
use crate::lag::Behind;

type Labels<const N: usize> = [(&'static str, String); N];
type Counts<const N: usize> = Family<Labels<N>, Counter>;
type Gauges<const N: usize> = Family<Labels<N>, Gauge>;
type Seconds<const N: usize> = Family<Labels<N>, Gauge<f64, AtomicU64>>;

pub(crate) struct Meters {
    registry: Registry,
    appended: Counts<2>,
    read: Counts<2>,
    dead_letters: Counts<2>,
    errors: Counts<1>,
    failures: Counts<1>,
    working: Gauges<1>,
    behind: Gauges<4>,
    counts: Gauges<2>,
    watermark: Seconds<1>,
}

impl Default for Meters {
    fn default() -> Meters {
        let mut registry = Registry::with_prefix("tickwire");
        let (appended, read, dead_letters) = (Counts::default(), Counts::default(), Counts::default());
        let (errors, failures) = (Counts::default(), Counts::default());
        let (working, behind, counts) = (Gauges::default(), Gauges::default(), Gauges::default());
        let watermark = Seconds::default();
        registry.register("records_appended", "Records appended to a topic", appended.clone());
        registry.register("records_read", "Records read from a topic", read.clone());
        registry.register(
            "dead_letters",
            "Events that did not validate, by where they came from",
            dead_letters.clone(),
        );
        registry.register("log_errors", "Appends, reads and commits that failed", errors.clone());
        registry.register("failures", "Times that the service could not work", failures.clone());
        registry.register("working", "Whether the service works (1) or not (0)", working.clone());
        registry.register(
            "records_behind",
            "Records of a partition that a reader has not read",
            behind.clone(),
        );
        registry.register("count", "What the service counts of itself, as in its status", counts.clone());
        registry.register_with_unit(
            "watermark",
            "The event time that the service has reached",
            Unit::Seconds,
            watermark.clone(),
        );
        Meters {
            registry,
            appended,
            read,
            dead_letters,
            errors,
            failures,
            working,
            behind,
            counts,
            watermark,
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

    pub(crate) fn dead_letter(&self, service: &str, source: &str) {
        let labels = [("service", service.to_owned()), ("source", source.to_owned())];
        self.dead_letters.get_or_create(&labels).inc();
    }

    pub(crate) fn error(&self, service: &str) {
        self.errors.get_or_create(&[("service", service.to_owned())]).inc();
    }

    pub(crate) fn failed(&self, service: &str) {
        self.failures.get_or_create(&[("service", service.to_owned())]).inc();
    }

    pub(crate) fn state(&self, service: &str, state: &State) {
        let working = i64::from(*state == State::Working);
        self.working.get_or_create(&[("service", service.to_owned())]).set(working);
    }

    pub(crate) fn said(&self, status: &ServiceStatus) {
        let service = || ("service", status.service.clone());
        for (what, count) in &status.counts {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            self.counts.get_or_create(&[service(), ("what", what.clone())]).set(count);
        }
        if let Some(watermark) = status.watermark {
            self.watermark.get_or_create(&[service()]).set(watermark as f64 / 1_000.0);
        }
    }

    /// Replaces what was known of lags: a reader that is gone lags no more.
    pub(crate) fn behind(&self, behind: Vec<Behind>) {
        self.behind.clear();
        for Behind { service, reader, topic, partition, records } in behind {
            let labels = [
                ("service", service.to_owned()),
                ("reader", reader),
                ("topic", topic),
                ("partition", partition.to_string()),
            ];
            self.behind.get_or_create(&labels).set(records);
        }
    }

    /// All of it, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
