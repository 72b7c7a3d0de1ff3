//! The three answers, over HTTP.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State as Held;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use log::SharedLog;
use model::Topic;
use model::service::Service;
use model::status::ServiceStatus;
use model::time::{self, MINUTE, Millis};
use store::SharedStore;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::health::lag::{self, Extents, Places};
use crate::health::meters::registry;
use crate::health::told::Snapshot;
use crate::health::{Health, State, locked};

/// The form in which numbers are told.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers as long as it is kept.
pub struct Answering {
    /// Where.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Health {
    /// Answers at `listen`: `/livez` (and `/healthz`, its older name) while the process
    /// lives, whatever becomes of the servers that it needs; `/readyz` while data flows,
    /// else with the reason and status 503; and `/metrics`. Nothing that is told is
    /// secret, but it is meant for operators: let no stranger reach it.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub async fn answer(&self, listen: SocketAddr) -> std::io::Result<Answering> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/livez", get(alive))
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self.clone());
        let task = tokio::spawn(async move {
            inbound::serve(listener, router, inbound::Limits::few(), std::future::pending()).await;
        });
        tracing::info!(%address, "Health and metrics are told.");
        Ok(Answering { address, task })
    }

    /// All numbers, as they are now.
    pub(crate) async fn numbers(&self) -> String {
        let (signs, found) = (&self.0, self.found().await);
        let states: Vec<_> =
            locked(&signs.states).iter().map(|(service, state)| (*service, state.clone())).collect();
        let snapshot = Snapshot {
            now: time::now(),
            states,
            said: locked(&signs.said).clone(),
            needs: found.needs.iter().map(|(name, trouble)| (*name, trouble.is_none())).collect(),
            behind: signs.readers.behind(&found.extents),
            disk: self.disk(),
        };
        signs.meters.text(&[snapshot.registry(), registry()])
    }
}

async fn alive() -> &'static str {
    "alive\n"
}

async fn ready(Held(health): Held<Health>) -> (StatusCode, String) {
    match health.ready().await {
        Ok(text) => (StatusCode::OK, text),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
    }
}

async fn metrics(Held(health): Held<Health>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], health.numbers().await)
}

// Whether the process is ready, which means that data flows: every service works,
// stands by or is done, what they need answers, their consumers move, and a live feed
// brings bars while the market trades.

/// A live feed whose event time is so much further behind the clock than planned brings
/// nothing; filling a hole from history takes less.
const OVERDUE: Millis = 15 * MINUTE;
/// Services that wait for servers of others and hold nobody up by it: alarms tell of them.
const OF_OTHERS: [Service; 2] = [Service::NewsWatcher, Service::Webhook];

impl Health {
    /// A line a service, and whether all is well.
    pub(crate) async fn ready(&self) -> Result<String, String> {
        let (services, mut well) = self.services();
        let mut lines = services;
        let found = self.found().await;
        let away = found.needs.iter().filter_map(|(_, reason)| reason.clone());
        let stuck = self.0.readers.stuck(&found.extents, Instant::now(), &OF_OTHERS.map(Service::name));
        for trouble in away.chain(stuck).chain(self.troubles_told(time::now())) {
            well = false;
            lines.push(trouble);
        }
        let text = lines.join("\n") + "\n";
        if well { Ok(format!("ready\n{text}")) } else { Err(format!("not ready\n{text}")) }
    }

    fn services(&self) -> (Vec<String>, bool) {
        let states = locked(&self.0.states);
        let line = |(service, state): (&&'static str, &State)| match state {
            State::Starting => format!("{service}: starting"),
            State::Working => format!("{service}: working"),
            State::StandingBy => format!("{service}: standing by, another instance works"),
            State::Done => format!("{service}: done, its replay is over"),
            State::Failed(reason) => format!("{service}: {reason}"),
        };
        let is_well = |state: &State| matches!(state, State::Working | State::StandingBy | State::Done);
        let well = states.values().all(is_well);
        (states.iter().map(line).collect(), well && !states.is_empty())
    }

    /// What the services of this process say themselves that keeps data from flowing.
    pub(crate) fn troubles_told(&self, now: Millis) -> Vec<String> {
        let said = locked(&self.0.said);
        said.values()
            .filter_map(|status| Some(format!("{}: {}", status.service, trouble(status, now)?)))
            .collect()
    }
}

fn trouble(status: &ServiceStatus, now: Millis) -> Option<String> {
    if OF_OTHERS.iter().any(|other| status.is_of(*other)) {
        return None;
    }
    if !status.is_of(Service::Producer) {
        return status.state.run().is_in_trouble().then(|| status.state.to_string());
    }
    // Of a replay the end of its file is no trouble; a feed is silent while nobody trades.
    let planned = status.planned_lag?;
    if !status.trades_at(now - planned) {
        return None;
    }
    if !status.is_at_work() {
        return Some(status.state.to_string());
    }
    let overdue = now - status.watermark? - planned;
    (overdue > OVERDUE).then(|| format!("event time is {} min later than planned", overdue / MINUTE))
}

// Whether what the services need answers, and what the log holds for them: asked at
// most once in some seconds, however many ask, and never for long.

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(2);
/// How long the log and the store may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// What must answer for the process to be ready.
#[derive(Clone, Default)]
pub(crate) struct Needs {
    pub(crate) log: Option<SharedLog>,
    pub(crate) store: Option<SharedStore>,
}

/// What was found.
#[derive(Clone, Default)]
pub(crate) struct Found {
    /// Of each that is needed, its name and the reason where it does not answer.
    pub(crate) needs: Vec<(&'static str, Option<String>)>,
    /// What the log holds of the topics that are read.
    pub(crate) extents: Extents,
    /// The topics that were asked about, and which of log and store were needed.
    asked: (BTreeSet<Topic>, [bool; 2]),
}

/// The last answer.
#[derive(Default)]
pub(crate) struct Probe(Mutex<Option<(Instant, Found)>>);

impl Probe {
    /// What is found now, or was some seconds ago. One asks at a time.
    pub(crate) async fn look(&self, needs: Needs, topics: BTreeSet<Topic>, places: &Places) -> Found {
        let mut last = self.0.lock().await;
        let asked = (topics, [needs.log.is_some(), needs.store.is_some()]);
        if let Some((at, found)) = &*last
            && at.elapsed() < FRESH
            && found.asked == asked
        {
            return found.clone();
        }
        let found = ask(needs, asked, places).await;
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

async fn ask(needs: Needs, asked: (BTreeSet<Topic>, [bool; 2]), places: &Places) -> Found {
    let log = async {
        let Some(log) = &needs.log else { return (None, Extents::new()) };
        let answer = in_time("the log", async { log.health().await.map_err(|e| e.to_string()) }).await;
        if answer.is_some() {
            return (Some(("log", answer)), Extents::new());
        }
        let held = tokio::time::timeout(ANSWERS_WITHIN, lag::extents(log, &asked.0, places)).await;
        // A topic that cannot be asked about has no lag that is known.
        (Some(("log", None)), held.ok().and_then(Result::ok).unwrap_or_default())
    };
    let store = async {
        let store = needs.store.as_ref()?;
        let answer = in_time("the store", async { store.health().await.map_err(|e| e.to_string()) }).await;
        Some(("store", answer))
    };
    let ((log, extents), store) = tokio::join!(log, store);
    Found { needs: log.into_iter().chain(store).collect(), extents, asked }
}

async fn in_time(what: &str, asked: impl Future<Output = Result<(), String>>) -> Option<String> {
    match tokio::time::timeout(ANSWERS_WITHIN, asked).await {
        Ok(Ok(())) => None,
        Ok(Err(reason)) => Some(reason),
        Err(_) => Some(format!("{what} does not answer within {} s", ANSWERS_WITHIN.as_secs())),
    }
}
