//! How fast each service works: what it counted lately, a minute.

use std::collections::{BTreeMap, VecDeque};

use model::status::ServiceStatus;
use model::time::{MINUTE, Millis};
use serde::Serialize;

/// A rate is over at least so long, where there is as much.
const OVER: Millis = MINUTE;

/// The counts that are work done, of each service the first that it has.
const WORK: [(&str, &str); 5] = [
    ("bars", "bars"),
    ("articles", "articles"),
    ("rows_since_start", "rows"),
    ("points", "points"),
    ("opened", "alerts"),
];

/// What the services counted in the last minute or so, by service.
#[derive(Default)]
pub(crate) struct Counted(BTreeMap<String, Work>);

/// Of one service: what it counts, and when how much had been counted.
struct Work {
    of: &'static str,
    counts: VecDeque<(Millis, u64)>,
}

/// So much a minute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Rate {
    /// Of what.
    pub(crate) of: &'static str,
    pub(crate) per_minute: f64,
}

impl Counted {
    /// Takes a word of a service, later than those before.
    pub(crate) fn take(&mut self, status: &ServiceStatus) {
        let found = WORK.iter().find_map(|(name, of)| Some((*of, *status.counts.get(*name)?)));
        let Some((of, count)) = found else { return };
        let work = self.0.entry(status.service.clone()).or_insert(Work { of, counts: VecDeque::new() });
        let counts = &mut work.counts;
        // Counts that fall are of a service that began anew.
        if counts.back().is_some_and(|(_, before)| *before > count) {
            counts.clear();
        }
        counts.push_back((status.at, count));
        while counts.get(1).is_some_and(|(second, _)| *second <= status.at.saturating_sub(OVER)) {
            counts.pop_front();
        }
    }

    /// Forgets a service.
    pub(crate) fn forget(&mut self, service: &str) {
        self.0.remove(service);
    }

    /// What each service does in a minute; nothing of one that has spoken once only.
    pub(crate) fn per_minute(&self, now: Millis) -> BTreeMap<String, Rate> {
        self.0.iter().filter_map(|(service, work)| Some((service.clone(), work.rate(now)?))).collect()
    }
}

impl Work {
    fn rate(&self, now: Millis) -> Option<Rate> {
        let kept = self.counts.partition_point(|(at, _)| *at <= now - OVER).saturating_sub(1);
        let ((began, first), (_, last)) = (self.counts.get(kept)?, self.counts.back()?);
        let over = now.saturating_sub(*began).max(1);
        let per_minute = last.saturating_sub(*first) as f64 * MINUTE as f64 / over as f64;
        (self.counts.len() > 1).then_some(Rate { of: self.of, per_minute })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(words: &[(Millis, u64)]) -> Counted {
        let mut counted = Counted::default();
        for (at, rows) in words {
            let counts = [("rows_since_start".to_owned(), *rows)].into();
            counted.take(&ServiceStatus {
                service: "engine".into(),
                at: *at,
                counts,
                ..ServiceStatus::default()
            });
        }
        counted
    }

    #[test]
    fn a_rate_is_of_the_last_minute_and_falls_in_silence() {
        let words: Vec<_> = (0..300).map(|second| (second * 1_000, second as u64 * 2)).collect();
        let rate = |now| counted(&words).per_minute(now)["engine"].per_minute;
        assert!((rate(299_000) - 120.0).abs() < 1e-9, "{}", rate(299_000));
        assert!(rate(329_000) < 70.0);
        assert_eq!(rate(600_000), 0.0);
    }

    #[test]
    fn a_service_that_began_anew_is_counted_anew() {
        let counted = counted(&[(0, 100), (30_000, 200), (60_000, 0), (90_000, 30)]);
        assert_eq!(counted.per_minute(90_000)["engine"].per_minute, 60.0);
        assert!(Counted::default().per_minute(0).is_empty());
    }
}
