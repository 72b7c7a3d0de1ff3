//! The status of the services as points, so that dashboards and SQL queries find it beside the
//! data: one point per service and figure, once a minute and whenever the state of a service
//! changes. Also the status of the sink itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use log::{LogError, SharedLog};
use model::schema::{Column, ColumnType, Value};
use model::service::{Activity, RunState, Service};
use model::status::ServiceStatus;
use model::time::{self, Millis, minute_of};
use store::{Measurement, Point};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::progress::Counts;

/// The name of the measurement.
pub(crate) const PIPELINE: &str = "pipeline";

/// One point per service, figure and time. Every count of a status is a figure. The sink adds
/// these:
///
/// - `at_work`: 1 while the service works, else 0;
/// - `behind_seconds`: how far its event time is behind the wall clock if a live source is
///   followed, else behind the most advanced service;
/// - `overdue_seconds`, in a live run: how much of that exceeds the planned lag;
/// - `results_overdue_seconds`, of the sink in a live run: the same for the results of the
///   jobs that read prices only;
/// - `without_bars_seconds`: the time since the last bar, while the market is open;
/// - `quota_left`, `entries_failing`: of a live source;
/// - `jobs`, `jobs_down`, `job_restarts`, `checkpoint_age_seconds`: of the jobs on a cluster.
pub(crate) fn measurement() -> Measurement {
    use ColumnType::{Float, Text, Time};
    let columns = [("service", Text), ("figure", Text), ("at", Time), ("value", Float)];
    Measurement {
        name: PIPELINE.to_owned(),
        columns: columns.map(|(name, kind)| Column::new(name, kind)).into(),
        tags: vec!["service".to_owned(), "figure".to_owned()],
        time: "at".to_owned(),
        version: None,
    }
}

/// What is known of the services from their status.
#[derive(Debug, Default)]
pub(crate) struct KnownServices {
    /// The minute and the state of the last points of each service.
    last_points: BTreeMap<String, (Millis, Activity)>,
    /// The latest event time of any service (ms).
    furthest: Option<Millis>,
    /// The planned lag of the live source of prices (ms).
    planned_lag: Option<Millis>,
}

impl KnownServices {
    /// The points of a status, if they are due.
    pub(crate) fn points(&mut self, status: ServiceStatus) -> Vec<Point> {
        self.furthest = self.furthest.max(status.watermark);
        if status.is_of(Service::Producer) {
            self.planned_lag = status.planned_lag;
        }
        let now = (minute_of(status.at), status.state.clone());
        if self.last_points.get(&status.service).is_some_and(|last| last.0 >= now.0 && last.1 == now.1) {
            return Vec::new();
        }
        let service = &status.service;
        let point = |(figure, value): (String, f64)| Point {
            nanos: 0,
            values: vec![
                Value::Text(service.clone()),
                Value::Text(figure),
                Value::Int(status.at),
                Value::Float(value),
            ],
        };
        let points = self.figures(&status).into_iter().map(point).collect();
        self.last_points.insert(status.service, now);
        points
    }

    fn figures(&self, status: &ServiceStatus) -> BTreeMap<String, f64> {
        let mut figures: BTreeMap<_, _> =
            status.counts.iter().map(|(name, count)| (name.clone(), *count as f64)).collect();
        let mut add = |name: &str, value: Option<f64>| {
            if let Some(value) = value {
                figures.insert(name.to_owned(), value);
            }
        };
        let seconds = |span: Millis| span as f64 / 1_000.0;
        add("at_work", Some(f64::from(u8::from(status.is_at_work()))));
        // A source states its planned lag; services that follow the prices may lag as much.
        let planned = status.planned_lag.or(self.planned_lag);
        let leader = if planned.is_some() { Some(status.at) } else { self.furthest };
        let behind = leader.zip(status.watermark).map(|(leader, reached)| leader.saturating_sub(reached));
        add("behind_seconds", behind.map(seconds));
        let overdue = |behind: Option<Millis>| {
            planned.zip(behind).map(|(planned, behind)| seconds(behind.saturating_sub(planned).max(0)))
        };
        add("overdue_seconds", overdue(behind));
        add(
            "results_overdue_seconds",
            overdue(status.price_results_until.map(|until| status.at.saturating_sub(until))),
        );
        add("without_bars_seconds", status.without_bars(status.at).map(seconds));
        add("quota_left", status.quota.map(|quota| quota.per_day.saturating_sub(quota.used_today) as f64));
        if !status.entries.is_empty() {
            add("entries_failing", Some(status.entries_failing() as f64));
        }
        if !status.jobs.is_empty() {
            add("jobs", Some(status.jobs.len() as f64));
            add("jobs_down", Some(status.jobs_down() as f64));
            add("job_restarts", Some(status.jobs.iter().map(|job| job.restarts).sum::<u64>() as f64));
            add("checkpoint_age_seconds", status.checkpoint_age(status.at).map(seconds));
        }
        figures
    }
}

// The status of the sink, written about once a second when it has changed.

const EVERY: Duration = Duration::from_secs(1);

/// The event times that the sink has reached (ms).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    /// The watermark of the raw prices.
    pub(crate) prices: Option<Millis>,
    /// The time before which the rows of all windowed jobs have arrived.
    pub(crate) results: Option<Millis>,
    /// The same for the jobs that read prices only.
    pub(crate) price_results: Option<Millis>,
}

/// The last written status, shared by all parts that change it.
#[derive(Clone)]
pub(crate) struct Status {
    log: SharedLog,
    said: Arc<Mutex<ServiceStatus>>,
    at: Option<Instant>,
}

impl Status {
    pub(crate) fn new(log: SharedLog) -> Status {
        Status { log, said: Arc::default(), at: None }
    }

    /// Whether a check for changes is due.
    pub(crate) fn is_due(&self) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// Writes the status, if it has changed.
    pub(crate) async fn say(
        &mut self,
        state: RunState,
        reached: Reached,
        counts: &Counts,
        pending: u64,
        unread: u64,
    ) -> Result<(), LogError> {
        self.at = Some(Instant::now());
        let counts = [
            ("points", counts.points),
            ("late", counts.late),
            ("late_articles", counts.late_articles),
            ("rejected", counts.rejected),
            ("too_old", counts.too_old),
            ("skipped", counts.skipped),
            ("recomputed", counts.recomputed),
            ("changed", counts.changed),
            ("poorer", counts.poorer),
            ("not_finite", counts.not_finite),
            ("pending", pending),
            ("unread", unread),
        ];
        let mut said = self.said.lock().await;
        let status = ServiceStatus {
            service: Service::Sink.name().into(),
            at: said.at,
            state: state.into(),
            watermark: reached.prices,
            results_until: reached.results,
            price_results_until: reached.price_results,
            counts: counts.map(|(name, count)| (name.to_owned(), count)).into(),
            ..ServiceStatus::default()
        };
        if status != *said {
            *said = ServiceStatus { at: time::now(), ..status };
            self.log.append(vec![said.to_append()]).await?;
        }
        Ok(())
    }

    /// Writes that the work is interrupted, and why; other fields keep their last values.
    pub(crate) async fn interrupted(&self, state: Activity) {
        let mut said = self.said.lock().await;
        if said.state == state {
            return;
        }
        *said =
            ServiceStatus { service: Service::Sink.name().into(), state, at: time::now(), ..said.clone() };
        if let Err(error) = self.log.append(vec![said.to_append()]).await {
            tracing::warn!("The status of the sink could not be written: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use model::status::JobState;
    use model::time::{self, MINUTE};

    use super::*;

    fn status(service: &str, at: Millis, state: &str, watermark: Millis) -> ServiceStatus {
        ServiceStatus {
            service: service.into(),
            at,
            state: Activity::of_text(state),
            watermark: Some(watermark),
            counts: [("rows".to_owned(), 7)].into(),
            ..ServiceStatus::default()
        }
    }

    fn told(points: &[Point]) -> Vec<(&str, f64)> {
        points
            .iter()
            .map(|point| (point.values[1].as_str().unwrap(), point.values[3].as_f64().unwrap()))
            .collect()
    }

    #[test]
    fn every_count_is_a_figure_and_event_time_is_measured_against_the_furthest_service() {
        let mut services = KnownServices::default();
        let first = services.points(status("producer", 1, "running", 90_000));
        assert_eq!(told(&first), [("at_work", 1.0), ("behind_seconds", 0.0), ("rows", 7.0)]);
        let second = services.points(status("engine", 2, "running", 30_000));
        assert_eq!(told(&second), [("at_work", 1.0), ("behind_seconds", 60.0), ("rows", 7.0)]);
        measurement().check_shape().unwrap();
        second.iter().for_each(|point| measurement().check(point).unwrap());
    }

    #[test]
    fn a_service_is_told_of_once_a_minute_and_when_its_state_changes() {
        let mut services = KnownServices::default();
        let mut told = |at, state| !services.points(status("sink", at, state, 0)).is_empty();
        assert!(told(60_000, "running"));
        assert!(!told(119_999, "running"));
        assert!(told(120_000, "running"));
        assert!(told(120_001, "holding"));
        assert!(!told(120_002, "holding"));
    }

    #[test]
    fn of_a_live_run_every_lag_is_against_the_clock_even_where_all_stand_together() {
        let mut services = KnownServices::default();
        let now = time::parse("2024-03-05T17:00:00Z").unwrap();
        let live = |planned_lag, reached| ServiceStatus {
            planned_lag,
            ..status(Service::Producer.name(), now, "waiting for the feed: refused", reached)
        };
        let figure = |points: &[Point], name: &str| {
            told(points).into_iter().find(|(figure, _)| *figure == name).map(|(_, value)| value)
        };
        // A single service is not automatically 0 s behind.
        let first = services.points(live(Some(15 * MINUTE), now - 28 * MINUTE));
        assert_eq!(figure(&first, "behind_seconds"), Some(28.0 * 60.0));
        assert_eq!(figure(&first, "overdue_seconds"), Some(13.0 * 60.0));
        assert_eq!(figure(&first, "at_work"), Some(0.0));
        let sink = ServiceStatus {
            price_results_until: Some(now - 40 * MINUTE),
            ..status("sink", now, "running", now - 15 * MINUTE)
        };
        let second = services.points(sink);
        assert_eq!(figure(&second, "overdue_seconds"), Some(0.0));
        assert_eq!(figure(&second, "results_overdue_seconds"), Some(25.0 * 60.0));
        // A later replay over the same log is measured against the most advanced service again.
        let replay = services.points(ServiceStatus { at: now + MINUTE, ..live(None, now - 30 * MINUTE) });
        assert_eq!(figure(&replay, "overdue_seconds"), None);
    }

    #[test]
    fn of_jobs_on_a_cluster_those_that_do_not_run_are_counted() {
        let job = |name: &str, state: &str| JobState {
            name: name.into(),
            state: state.into(),
            restarts: 2,
            last_checkpoint: Some(1_000),
        };
        let jobs = vec![job("volatility", "Running"), job("movers", "Failed")];
        let points =
            KnownServices::default().points(ServiceStatus { jobs, ..status("engine", 61_000, "running", 0) });
        for wanted in
            [("jobs", 2.0), ("jobs_down", 1.0), ("job_restarts", 4.0), ("checkpoint_age_seconds", 60.0)]
        {
            assert!(told(&points).contains(&wanted), "{wanted:?}");
        }
    }
}
