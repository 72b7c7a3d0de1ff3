//! What the services say of themselves as points, so that dashboards and questions
//! in SQL find it beside the data: one point a service and figure, once a minute
//! and whenever a service does something else.

use std::collections::BTreeMap;

use store::{Measurement, Point};
use wire::schema::{Column, ColumnType, Value};
use wire::status::ServiceStatus;
use wire::time::{Millis, minute_of};

/// The name of the measurement.
pub(crate) const PIPELINE: &str = "pipeline";

/// A point a service, figure and time. What a figure counts, its service says:
/// every count of a status is one, beside `behind_seconds` (how much event time the
/// service is behind the furthest), `quota_left` and `entries_failing`.
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

/// What has been heard of the services.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The minute and the state of the last points, by service.
    told: BTreeMap<String, (Millis, String)>,
    /// The furthest event time of any service.
    furthest: Option<Millis>,
}

impl Heard {
    /// The points of a status, if it is time for some.
    pub(crate) fn points(&mut self, status: ServiceStatus) -> Vec<Point> {
        self.furthest = self.furthest.max(status.watermark);
        let now = (minute_of(status.at), status.state.clone());
        if self.told.get(&status.service).is_some_and(|told| told.0 >= now.0 && told.1 == now.1) {
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
        let points = figures(&status, self.furthest).into_iter().map(point).collect();
        self.told.insert(status.service, now);
        points
    }
}

fn figures(status: &ServiceStatus, furthest: Option<Millis>) -> BTreeMap<String, f64> {
    let mut figures: BTreeMap<_, _> =
        status.counts.iter().map(|(name, count)| (name.clone(), *count as f64)).collect();
    if let (Some(furthest), Some(reached)) = (furthest, status.watermark) {
        figures.insert("behind_seconds".to_owned(), (furthest - reached) as f64 / 1_000.0);
    }
    if let Some(quota) = status.quota {
        figures.insert("quota_left".to_owned(), quota.per_day.saturating_sub(quota.used_today) as f64);
    }
    if !status.entries.is_empty() {
        let failing = status.entries.iter().filter(|entry| entry.state.starts_with("failing")).count();
        figures.insert("entries_failing".to_owned(), failing as f64);
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(service: &str, at: Millis, state: &str, watermark: Millis) -> ServiceStatus {
        ServiceStatus {
            service: service.into(),
            at,
            state: state.into(),
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
        let mut heard = Heard::default();
        let first = heard.points(status("producer", 1, "running", 90_000));
        assert_eq!(told(&first), [("behind_seconds", 0.0), ("rows", 7.0)]);
        let second = heard.points(status("engine", 2, "running", 30_000));
        assert_eq!(told(&second), [("behind_seconds", 60.0), ("rows", 7.0)]);
        measurement().check_shape().unwrap();
        second.iter().for_each(|point| measurement().check(point).unwrap());
    }

    #[test]
    fn a_service_is_told_of_once_a_minute_and_when_its_state_changes() {
        let mut heard = Heard::default();
        let mut told = |at, state| !heard.points(status("sink", at, state, 0)).is_empty();
        assert!(told(60_000, "running"));
        assert!(!told(119_999, "running"));
        assert!(told(120_000, "running"));
        assert!(told(120_001, "holding"));
        assert!(!told(120_002, "holding"));
    }
}
