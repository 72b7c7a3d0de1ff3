//! A stage of the pipeline as the status page shows it.

use model::service::Service;
use model::status::ServiceStatus;
use model::time::{Millis, SECOND};

use crate::status::Report;

/// The order in which data flows through the stages; others come after them.
const ORDER: [Service; 6] = [
    Service::Producer,
    Service::NewsWatcher,
    Service::Engine,
    Service::Alerts,
    Service::Sink,
    Service::Webhook,
];

/// Counts of what went wrong.
const ERRORS: [&str; 5] = ["rejected", "refused", "failed_tries", "given_up", "unknown"];

/// One service, in words.
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) state: String,
    /// `ok`, `wait` or `bad`, for its mark.
    pub(super) mark: &'static str,
    pub(super) source: String,
    pub(super) reached: Option<Millis>,
    pub(super) lag: String,
    pub(super) rate: String,
    pub(super) errors: u64,
    /// The other counts.
    pub(super) counts: Vec<(String, String)>,
    pub(super) said: Millis,
    pub(super) version: String,
}

impl Stage {
    /// Every stage that has said anything.
    pub(super) fn all(report: &Report) -> Vec<Stage> {
        let mut stages: Vec<_> = report.services.iter().map(|service| Stage::of(service, report)).collect();
        let place = |name: &str| ORDER.iter().position(|known| known.name() == name).unwrap_or(ORDER.len());
        stages.sort_by(|one, other| (place(&one.name), &one.name).cmp(&(place(&other.name), &other.name)));
        stages
    }

    fn of(service: &ServiceStatus, report: &Report) -> Stage {
        let stalled = report.stalled.iter().any(|one| one.service == service.service);
        let mark = match service.state.run() {
            _ if stalled => "bad",
            _ if service.is_at_work() => "ok",
            _ => "wait",
        };
        let is_error = |name: &str| ERRORS.contains(&name);
        let counts = service.counts.iter().filter(|(name, _)| !is_error(name));
        Stage {
            name: service.service.clone(),
            state: service.state.to_string(),
            mark,
            source: service.source.clone().unwrap_or_default(),
            reached: service.watermark,
            lag: service.watermark.and_then(|at| report.behind(at)).map(span).unwrap_or_else(|| "–".into()),
            rate: match report.rates.get(&service.service) {
                Some(rate) => format!("{} {}", grouped(rate.per_minute.round() as u64), rate.of),
                None => "–".into(),
            },
            errors: service
                .counts
                .iter()
                .filter(|(name, _)| is_error(name))
                .fold(0, |sum: u64, (_, count)| sum.saturating_add(*count)),
            counts: counts.map(|(name, count)| (name.replace('_', " "), grouped(*count))).collect(),
            said: service.at,
            version: service.version.clone().unwrap_or_else(|| "–".into()),
        }
    }
}

/// A length of time, as short as it can be said.
fn span(length: Millis) -> String {
    match length / SECOND {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_are_short_to_read() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 119_999, 120_000, 7_200_000].map(span), ["0 s", "119 s", "2 min", "2 h"]);
    }
}
