//! What the services say of themselves, gathered from `service-status`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use control::recompute::{self, RecomputeHandle};
use control::replay::Event;
use control::watchlist::Watchlist;
use log::{Log, LogError};
use model::service::Service;
use model::status::ServiceStatus;
use model::time::{self, Millis};
use model::topic::SERVICE_STATUS;
use model::{AssetClass, DeadLetter};
use query::explore::Explorer;
use serde::Serialize;

use crate::AppState;
use crate::load::Readiness;
use crate::stalled::{self, Counted, Rate, Stalled};

/// Records read at once.
const PAGE: usize = 500;
/// More services than there are: of names beyond that are not of ours, the one that was
/// silent for longest makes room.
const MOST_SERVICES: usize = 100;

/// The last word of every service, and how far it has been read.
#[derive(Default)]
pub(crate) struct Board {
    services: BTreeMap<String, ServiceStatus>,
    next: BTreeMap<u32, u64>,
    /// Of each service the number of its last word, and how many words there were.
    heard: BTreeMap<String, u64>,
    words: u64,
    /// When the producer last said that its event time had moved on: between two such
    /// words it may say much, as a minute's bars come, and its rhythm is not theirs.
    moved: Option<Millis>,
    /// How long its event time stood still before it last moved, and the time before.
    pauses: [Option<Millis>; 2],
    counted: Counted,
}

impl Board {
    /// Reads what has come since; returns whether anything has.
    pub(crate) async fn refresh(&mut self, log: &dyn Log) -> Result<bool, LogError> {
        let mut changed = false;
        for extent in log.extents(&SERVICE_STATUS).await? {
            let mut next = self.next.get(&extent.partition).copied().unwrap_or(0);
            while next < extent.next {
                let records = log.read(&SERVICE_STATUS, extent.partition, next, PAGE).await?;
                let Some(last) = records.last() else { break };
                next = last.offset + 1;
                self.next.insert(extent.partition, next);
                for record in &records {
                    match ServiceStatus::parse(&record.value) {
                        Ok(status) => {
                            self.take(status);
                            changed = true;
                        }
                        Err(reason) => log::warn_skipped(record, &reason),
                    }
                }
            }
        }
        Ok(changed)
    }

    fn take(&mut self, status: ServiceStatus) {
        if self.services.len() >= MOST_SERVICES && !self.services.contains_key(&status.service) {
            self.forget_one();
        }
        self.words += 1;
        self.heard.insert(status.service.clone(), self.words);
        let before = self.services.get(&status.service);
        let moves = before.is_none_or(|before| before.watermark != status.watermark);
        if status.is_of(Service::Producer)
            && moves
            && let Some(moved) = self.moved.replace(status.at)
        {
            self.pauses = [Some(status.at.saturating_sub(moved)), self.pauses[0]];
        }
        self.counted.take(&status);
        self.services.insert(status.service.clone(), status);
    }

    fn forget_one(&mut self) {
        let foreign = self.heard.iter().filter(|(name, _)| Service::of(name).is_none());
        let Some(oldest) = foreign.min_by_key(|(_, word)| **word).map(|(name, _)| name.clone()) else {
            return;
        };
        self.heard.remove(&oldest);
        self.services.remove(&oldest);
        self.counted.forget(&oldest);
    }

    /// The services that stand still now.
    pub(crate) fn stalled(&self) -> Vec<Stalled> {
        let rhythm = self.pauses[0].zip(self.pauses[1]).map(|(last, before)| last.max(before));
        stalled::stalled(&self.services, rhythm, time::now())
    }

    /// The board as the page shows it.
    pub(crate) fn report(&self) -> Report {
        let now = time::now();
        let prices = self.services.get(Service::Producer.name()).and_then(|status| status.watermark);
        // Raw prices are no results: where no engine has spoken, the sink says how far
        // the rows have come that it was given.
        let results = stalled::results_until(&self.services);
        let planned_lag = self.services.get(Service::Producer.name()).and_then(|status| status.planned_lag);
        let leader = if planned_lag.is_some() { Some(now) } else { prices };
        // The sink sees each late record once, the engine once a job.
        let late = |service: &str| self.services.get(service)?.counts.get("late").copied();
        // A run is simulated as a whole, though only its sources know.
        let simulated = self.services.values().any(|status| status.simulated);
        let services = self.services.values().cloned();
        Report {
            now,
            simulated,
            source: self.services.get("producer").and_then(|status| status.source.clone()),
            prices_watermark: prices,
            watermark: results,
            lag: leader.zip(results).map(|(leader, results)| leader.saturating_sub(results).max(0)),
            lag_behind: if planned_lag.is_some() { LagBehind::Clock } else { LagBehind::Prices },
            planned_lag,
            late: late("sink").or(late("engine")).unwrap_or(0),
            rejected: self
                .services
                .values()
                .filter_map(|status| status.counts.get("rejected"))
                .fold(0, |sum: u64, count| sum.saturating_add(*count)),
            stalled: self.stalled(),
            rates: self.counted.per_minute(now),
            services: services.map(|status| ServiceStatus { simulated, ..status }).collect(),
        }
    }
}

/// What a lag is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LagBehind {
    /// The wall clock: prices come from a live feed.
    Clock,
    /// The newest prices, whose time is that of a simulation or a replay.
    Prices,
}

impl Report {
    /// How far a service that has reached `reached` is behind; `None` where nothing says it.
    pub(crate) fn behind(&self, reached: Millis) -> Option<Millis> {
        let leader = match self.lag_behind {
            LagBehind::Clock => Some(self.now),
            LagBehind::Prices => self.prices_watermark,
        };
        leader.map(|leader| leader.saturating_sub(reached).max(0))
    }
}

/// The state of the pipeline; times and the lag in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The wall clock when this was put together.
    pub(crate) now: Millis,
    /// Whether what is shown is no real market.
    pub(crate) simulated: bool,
    /// Where prices come from.
    pub(crate) source: Option<String>,
    /// The event time up to which prices are complete.
    pub(crate) prices_watermark: Option<Millis>,
    /// The event time up to which results are complete; absent until an engine has written any.
    pub(crate) watermark: Option<Millis>,
    /// How far results are behind the clock in a live run, else behind the prices.
    pub(crate) lag: Option<Millis>,
    /// Which of the two.
    pub(crate) lag_behind: LagBehind,
    /// How far a live feed is behind the clock while all is well.
    pub(crate) planned_lag: Option<Millis>,
    /// Records that came after their windows had closed.
    pub(crate) late: u64,
    /// Events refused because they did not validate.
    pub(crate) rejected: u64,
    /// The services that stand still although there is work.
    pub(crate) stalled: Vec<Stalled>,
    /// What each service does in a minute, by name: bars, articles, rows or points.
    pub(crate) rates: BTreeMap<String, Rate>,
    /// The last word of every service, by name.
    pub(crate) services: Vec<ServiceStatus>,
}

// `/livez` and `/readyz` of the page: whether it lives, and whether it can show
// anything. Anybody may ask, so an answer is good for seconds and costs no query.

/// How long the log and the store may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// The route of what matches none.
const NO_ROUTE: &str = "other";

/// `GET /livez` and `/healthz`: as long as the process lives.
pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: once both the log and the store answer.
pub(crate) async fn ready(State(site): State<Arc<AppState>>) -> Readiness {
    site.load.ready(look(&site)).await
}

async fn look(site: &AppState) -> Readiness {
    let log = async { site.log.health().await.map_err(|error| error.to_string()) };
    let store = async { site.store.health().await.map_err(|error| error.to_string()) };
    let both = tokio::time::timeout(ANSWERS_WITHIN, async { tokio::try_join!(log, store) }).await;
    let trouble = match both {
        Ok(Ok(_)) => return (StatusCode::OK, "ready\n"),
        Ok(Err(trouble)) => trouble,
        Err(_) => format!("no answer within {} s", ANSWERS_WITHIN.as_secs()),
    };
    tracing::warn!(trouble, "not ready");
    (StatusCode::SERVICE_UNAVAILABLE, "not ready: the log or the store does not answer\n")
}

/// Tells the process of what was answered, by the pattern of its route.
pub(crate) async fn observe(State(site): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let Some(observe) = site.process.observe.clone() else { return next.run(request).await };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, began) = (request.method().clone(), Instant::now());
    let answer = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, |route| route.as_str());
    observe(method.as_str(), route, answer.status().as_u16(), began.elapsed());
    answer
}

// What the process around the pages knows and does for them.

/// Reads a dead letter by the rules of today: the events that it holds, or why it holds none.
pub type ReadAgain = Arc<dyn Fn(&DeadLetter, &Watchlist) -> Result<Vec<Event>, String> + Send + Sync>;

/// Is told of every request that was answered: its method, the pattern of the route that
/// it matched, the status, and how long it took until the answer began.
pub type Observe = Arc<dyn Fn(&str, &str, u16, Duration) + Send + Sync>;

/// What the process around the pages knows and does for them; by default nothing.
#[derive(Clone, Default)]
pub struct Process {
    /// The classes whose bars the run has; none stands for stocks.
    pub classes: Vec<AssetClass>,
    /// Where results are computed again, if a sink works in this process.
    pub again: Option<RecomputeHandle>,
    /// Which keys the settings hold.
    pub keys: Vec<Key>,
    /// Where questions in SQL are answered, in processes of their own. Without it this
    /// process answers them itself, and gives them its memory: for tests only.
    pub explorer: Option<Explorer>,
    /// How dead letters are read again, where this process can.
    pub read_again: Option<ReadAgain>,
    /// Who counts requests.
    pub observe: Option<Observe>,
}

/// A secret of the settings: whether it is there, and never what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Key {
    /// What it opens, as `Polygon (prices)`.
    pub name: &'static str,
    /// The variable that sets it.
    pub variable: &'static str,
    /// Whether the settings hold one.
    pub present: bool,
}

impl Process {
    /// Where to ask for results to be computed again; nobody answers there without a sink.
    pub(crate) fn again(&self) -> RecomputeHandle {
        self.again.clone().unwrap_or_else(|| recompute::channel().0)
    }
}

#[cfg(test)]
mod tests {
    use model::time::{MINUTE, SECOND};

    use model::service::RunState;

    use super::*;

    /// A board to which the producer said these watermarks at these times before now.
    fn told(words: &[(Millis, Millis)]) -> Board {
        let mut board = Board::default();
        for (ago, watermark) in words {
            board.take(ServiceStatus {
                service: Service::Producer.into(),
                state: RunState::Running.into(),
                at: time::now() - ago,
                watermark: Some(*watermark),
                ..ServiceStatus::default()
            });
        }
        board
    }

    #[test]
    fn services_with_impossible_numbers_or_without_end_do_no_harm() {
        let mut board = Board::default();
        for (number, at) in (0..300).zip([i64::MIN, i64::MAX, 0].into_iter().cycle()) {
            let counts = ["rejected", "bars", "late"].map(|name| (name.to_owned(), u64::MAX)).into();
            let service = if number < 9 { Service::Producer.into() } else { format!("service-{number}") };
            let watermark = Some(if number % 2 == 0 { i64::MAX } else { i64::MIN });
            board.take(ServiceStatus { service, at, watermark, counts, ..ServiceStatus::default() });
            board.report();
        }
        assert_eq!((board.report().services.len(), board.report().rejected), (MOST_SERVICES, u64::MAX));
    }

    #[test]
    fn services_that_are_not_of_ours_make_room_for_those_that_speak() {
        let mut board = Board::default();
        let say = |board: &mut Board, service: &str| {
            board.take(ServiceStatus { service: service.into(), ..ServiceStatus::default() });
        };
        say(&mut board, Service::Sink.name());
        for number in 0..2 * MOST_SERVICES {
            say(&mut board, &format!("a-{number:04}"));
        }
        say(&mut board, Service::Engine.name());
        let named = |name: &str| board.report().services.iter().any(|status| status.service == name);
        assert!(named(Service::Sink.name()) && named(Service::Engine.name()));
        assert!(named("a-0199") && !named("a-0000"));
        assert_eq!((board.services.len(), board.heard.len()), (MOST_SERVICES, MOST_SERVICES));
    }

    #[test]
    fn the_words_of_a_busy_second_are_not_the_rhythm_of_the_minutes() {
        let minute =
            |ago, watermark| [(ago, watermark), (ago - SECOND, watermark), (ago - 2 * SECOND, watermark)];
        let words = [minute(150 * SECOND, 1), minute(90 * SECOND, 2), minute(30 * SECOND, 3)].concat();
        assert!(told(&words).stalled().is_empty());
        let old: Vec<_> = words.iter().map(|(ago, watermark)| (ago + 3 * MINUTE, *watermark)).collect();
        assert_eq!(told(&old).stalled().len(), 1);
    }

    #[test]
    fn raw_prices_in_the_store_are_no_results_and_a_live_lag_is_against_the_clock() {
        let now = time::now();
        let mut board = Board::default();
        let said = |service: &str, watermark| ServiceStatus {
            service: service.into(),
            state: RunState::Running.into(),
            at: now,
            watermark: Some(watermark),
            ..ServiceStatus::default()
        };
        let feed = now - 15 * MINUTE;
        board.take(ServiceStatus { planned_lag: Some(15 * MINUTE), ..said(Service::Producer.name(), feed) });
        board.take(said("sink", feed));
        let report = board.report();
        assert_eq!((report.watermark, report.lag), (None, None), "no engine has written anything");
        board.take(ServiceStatus { results_until: Some(now - 60 * MINUTE), ..said("sink", feed) });
        let report = board.report();
        assert_eq!(report.watermark, Some(now - 60 * MINUTE));
        assert!(report.lag >= Some(60 * MINUTE) && report.lag_behind == LagBehind::Clock);
        let engine = report.stalled.iter().find(|one| one.service == "engine").unwrap();
        assert!(engine.reason.contains("no results"), "{engine:?}");
        board.take(said("engine", feed));
        assert_eq!(board.report().watermark, Some(feed));
        assert!(board.report().stalled.is_empty());
        // A replay's time is its own.
        board.take(said(Service::Producer.name(), feed + MINUTE));
        let report = board.report();
        assert_eq!((report.lag, report.lag_behind), (Some(MINUTE), LagBehind::Prices));
    }
}
