//! Which services have stopped moving although there is work: what nobody
//! who looks at the page may overlook.

use std::collections::{BTreeMap, VecDeque};

use model::service::{RunState, Service};
use model::status::ServiceStatus;
use model::time::{HOUR, MINUTE, Millis, SECOND};
use serde::Serialize;

/// A service that works says so more often than this.
const SILENT: Millis = 10 * SECOND;
/// Before the rhythm of the prices is known, a minute may pass between two of them,
/// and so it may once they have caught up with the market.
const A_MINUTE_APART: Millis = 90 * SECOND;
/// Prices no older than this come at the market's own pace, delayed ones too.
const AT_PACE: Millis = HOUR;
/// However slow the prices are, a silence as long as this is one.
const LONGEST: Millis = 10 * MINUTE;
/// A source whose calls are counted is silent between them, but not for so long.
const BETWEEN_CALLS: Millis = HOUR;
/// Results this far behind their sources may still be on their way.
const ON_THE_WAY: Millis = 3 * MINUTE;
/// A live feed whose event time is so much further behind the clock than planned is
/// stalled, whatever its state says; filling a hole from history takes less.
const OVERDUE: Millis = 15 * MINUTE;
/// Results of a cluster come in steps and through checkpoints.
const RESULTS_ON_THE_WAY: Millis = 10 * MINUTE;

/// One service that does not move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Stalled {
    /// The service's name.
    pub(crate) service: String,
    /// What is wrong, in a few words.
    pub(crate) reason: String,
    /// Its last word, by the wall clock.
    pub(crate) since: Millis,
}

/// The event time up to which results are complete: what the local engine says, else
/// how far the rows have come that the sink was given; `None` until there are any.
pub(crate) fn results_until(services: &BTreeMap<String, ServiceStatus>) -> Option<Millis> {
    let engine = services.get(Service::Engine.name()).and_then(|status| status.watermark);
    engine.or_else(|| services.get(Service::Sink.name())?.results_until)
}

/// The services that stand still at `now`. A replay that has ended does not, and
/// a service without work is silent because nothing changes. `rhythm` is the
/// time between the last steps of the producer's event time, where it is known.
pub(crate) fn stalled(
    services: &BTreeMap<String, ServiceStatus>,
    rhythm: Option<Millis>,
    now: Millis,
) -> Vec<Stalled> {
    let watermark = |service: Service| services.get(service.name()).and_then(|status| status.watermark);
    let prices = watermark(Service::Producer);
    let sources =
        prices.map(|prices| watermark(Service::NewsWatcher).map_or(prices, |news| news.min(prices)));
    let reason = |status: &ServiceStatus| {
        // Times of services are foreign: any number may stand there.
        let silence = now.saturating_sub(status.at);
        if status.state.run().is_in_trouble() {
            return Some(status.state.to_string());
        }
        if status.is_of(Service::Producer)
            && let (Some(planned), Some(prices)) = (status.planned_lag, prices)
            && let overdue = now.saturating_sub(prices).saturating_sub(planned)
            && overdue > OVERDUE
        {
            return Some(format!("{} min later than planned", overdue / MINUTE));
        }
        if status.state.run() == RunState::Finished || silence <= SILENT {
            return None;
        }
        if status.state.run() == RunState::Stopped {
            return Some(status.state.to_string());
        }
        if status.is_of(Service::Producer) {
            let at_pace = prices.is_some_and(|prices| now.saturating_sub(prices) <= AT_PACE);
            let least = if at_pace { A_MINUTE_APART } else { SILENT };
            let allowed =
                rhythm.map_or(A_MINUTE_APART, |rhythm| rhythm.saturating_mul(3).clamp(least, LONGEST));
            return (silence > allowed).then(|| "no word".to_owned());
        }
        // A source whose calls are counted waits between them, and what joins with it does so too.
        let (leader, name) = match status.is_of(Service::NewsWatcher) {
            true => (prices, "the prices"),
            false => (sources, "its sources"),
        };
        let behind =
            leader.zip(status.watermark).is_some_and(|(leader, at)| leader.saturating_sub(at) > ON_THE_WAY);
        let waits = status.quota.is_some() && silence <= BETWEEN_CALLS;
        (behind && !waits).then(|| format!("behind {name} without a word"))
    };
    let mut found: Vec<_> = services
        .values()
        .filter_map(|status| {
            let reason = reason(status)?;
            Some(Stalled { service: status.service.clone(), reason, since: status.at })
        })
        .collect();
    if found.iter().all(|one| one.service != Service::Engine.name()) {
        found.extend(without_results(services, sources, now));
    }
    found
}

/// The engine where it says nothing of event time, as a cluster does, and its results
/// do not come: seen by the sink, which writes on.
fn without_results(
    services: &BTreeMap<String, ServiceStatus>,
    sources: Option<Millis>,
    now: Millis,
) -> Option<Stalled> {
    let (sink, sources) = (services.get(Service::Sink.name())?, sources?);
    if services.get(Service::Engine.name()).is_some_and(|engine| engine.watermark.is_some()) {
        return None;
    }
    let told = |reason: &str, since| Stalled {
        service: Service::Engine.name().into(),
        reason: reason.into(),
        since,
    };
    match sink.results_until {
        // A run that has only begun has none yet; a watch over the cluster speaks for it.
        None if services.contains_key(Service::Engine.name()) => None,
        None => Some(told("no word, and no results have come", sink.at)),
        Some(until) if sources.saturating_sub(until) > RESULTS_ON_THE_WAY => {
            let behind = sources.saturating_sub(until) / MINUTE;
            Some(told(&format!("no results for {behind} min of event time"), sink.at.min(now)))
        }
        Some(_) => None,
    }
}

// How fast each service works: what it counted lately, a minute.

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
    use model::status::QuotaState;

    const NOW: Millis = 1_000 * MINUTE;

    /// The services that stand still, of some given as name, state, age of the last word and watermark.
    fn found(rhythm: Option<Millis>, said: &[(&str, &str, Millis, Millis)]) -> Vec<String> {
        let services = said.iter().map(|(service, state, age, watermark)| {
            let (service, state) = ((*service).to_owned(), model::service::Activity::of_text(*state));
            let status = ServiceStatus {
                service: service.clone(),
                state,
                at: NOW - age,
                watermark: Some(*watermark),
                ..ServiceStatus::default()
            };
            (service, status)
        });
        stalled(&services.collect(), rhythm, NOW)
            .into_iter()
            .map(|one| format!("{}: {}", one.service, one.reason))
            .collect()
    }

    #[test]
    fn a_finished_replay_is_not_stalled_however_long_ago_it_ended() {
        let old = 50 * MINUTE;
        let said = [("producer", "finished", old, MINUTE), ("engine", "running", old, MINUTE)];
        assert_eq!(found(Some(SECOND), &said), [""; 0]);
    }

    #[test]
    fn results_that_stay_behind_the_prices_are_stalled() {
        let said = [("producer", "finished", MINUTE, 9 * MINUTE), ("engine", "running", 11 * SECOND, MINUTE)];
        assert_eq!(found(Some(SECOND), &said), ["engine: behind its sources without a word"]);
        let working = [("producer", "finished", MINUTE, 9 * MINUTE), ("engine", "running", SECOND, MINUTE)];
        assert_eq!(found(Some(SECOND), &working), [""; 0]);
    }

    #[test]
    fn what_waits_for_news_is_not_stalled_while_the_news_is_that_far() {
        let said = |engine| {
            [
                ("producer", "running", SECOND, 20 * MINUTE),
                ("news-watcher", "running", SECOND, 9 * MINUTE),
                ("engine", "running", 11 * SECOND, engine),
            ]
        };
        assert_eq!(found(Some(SECOND), &said(9 * MINUTE)), [""; 0]);
        assert_eq!(found(Some(SECOND), &said(MINUTE)), ["engine: behind its sources without a word"]);
    }

    #[test]
    fn news_whose_calls_are_counted_are_waited_for_and_not_for_ever() {
        let found = |age| {
            let status = |service: &str, at, watermark| ServiceStatus {
                service: service.into(),
                state: RunState::Running.into(),
                at,
                watermark: Some(watermark),
                ..ServiceStatus::default()
            };
            let prices = status(Service::Producer.name(), NOW, NOW);
            let quota = Some(QuotaState { per_day: 500, used_today: 9, at_hand: 1.0, at: NOW - age });
            let news =
                ServiceStatus { quota, ..status(Service::NewsWatcher.name(), NOW - age, NOW - 90 * MINUTE) };
            let services = [prices, news].map(|status| (status.service.clone(), status));
            stalled(&services.into(), None, NOW).len()
        };
        assert_eq!((found(50 * MINUTE), found(70 * MINUTE)), (0, 1));
    }

    #[test]
    fn prices_are_given_their_own_rhythm_before_they_count_as_stalled() {
        let said = [("producer", "running", 11 * SECOND, MINUTE)];
        assert_eq!(found(Some(SECOND), &said), ["producer: no word"]);
        assert_eq!(found(Some(MINUTE), &said), [""; 0], "a replay at the speed of the clock");
        assert_eq!(found(None, &said), [""; 0]);
        assert_eq!(found(None, &[("producer", "running", 2 * MINUTE, MINUTE)]), ["producer: no word"]);
    }

    #[test]
    fn prices_that_have_caught_up_with_the_market_may_be_silent_for_a_minute() {
        let said = |age| [("producer", "running", age, NOW - 20 * MINUTE)];
        assert_eq!(found(Some(SECOND), &said(55 * SECOND)), [""; 0]);
        assert_eq!(found(Some(SECOND), &said(2 * MINUTE)), ["producer: no word"]);
    }

    #[test]
    fn what_fails_or_waits_says_so_at_once() {
        let said = [
            ("engine", "failed", 0, 0),
            ("producer", "waiting for the feed: refused", 0, 0),
            ("sink", "holding: no bucket", 0, 0),
        ];
        let told = ["engine: failed", "producer: waiting for the feed: refused", "sink: holding: no bucket"];
        assert_eq!(found(None, &said), told);
    }

    #[test]
    fn a_live_feed_whose_time_stands_still_is_stalled_though_it_goes_on_speaking() {
        let found = |behind: Millis, planned_lag| {
            let status = ServiceStatus {
                service: Service::Producer.into(),
                state: RunState::Running.into(),
                at: NOW - SECOND,
                watermark: Some(NOW - behind),
                planned_lag,
                ..ServiceStatus::default()
            };
            stalled(&[(Service::Producer.into(), status)].into(), None, NOW)
        };
        assert!(found(25 * MINUTE, Some(15 * MINUTE)).is_empty());
        assert_eq!(found(40 * MINUTE, Some(15 * MINUTE))[0].reason, "25 min later than planned");
        assert!(found(40 * MINUTE, None).is_empty(), "a replay's time is its own");
    }

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
