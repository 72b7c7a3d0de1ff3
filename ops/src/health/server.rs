//! The HTTP server of `/livez`, `/readyz` and `/metrics`, and the checks behind `/readyz`.

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

use crate::health::lag::{self, Extents, NextOffsets};
use crate::health::meters::registry;
use crate::health::snapshot::Snapshot;
use crate::health::{Health, State, locked};

/// The content type of `/metrics`.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The running server; dropping it stops the server.
pub struct Answering {
    /// The address that it listens on.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Health {
    /// Serves at `listen`: `/livez` (and `/healthz`, its former name) always answers 200;
    /// `/readyz` answers 200 while data flows, otherwise 503 with the reasons; `/metrics`
    /// answers in the OpenMetrics format. The answers contain no secrets, but are meant for
    /// operators only: restrict access to the address.
    ///
    /// # Errors
    /// When the address cannot be bound.
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
        tracing::info!(%address, "Health and metrics are served.");
        Ok(Answering { address, task })
    }

    /// All metrics with their current values.
    pub(crate) async fn metrics_text(&self) -> String {
        let (inner, readiness) = (&self.0, self.readiness().await);
        let states: Vec<_> =
            locked(&inner.states).iter().map(|(service, state)| (*service, state.clone())).collect();
        let snapshot = Snapshot {
            now: time::now(),
            states,
            said: locked(&inner.said).clone(),
            needs: readiness.needs.iter().map(|(name, problem)| (*name, problem.is_none())).collect(),
            behind: inner.readers.behind(&readiness.extents),
            disk: self.disk(),
        };
        inner.meters.text(&[snapshot.registry(), registry()])
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
    ([(header::CONTENT_TYPE, OPEN_METRICS)], health.metrics_text().await)
}

// Readiness: every service works, stands by or is done, the dependencies answer, the consumers
// progress, and a live feed delivers bars while the market is open.

/// How far a live feed's event time may be behind the planned lag, in ms, before it counts as
/// delivering nothing. Filling a gap from history takes less.
const OVERDUE: Millis = 15 * MINUTE;
/// Services that wait for a server of a third party and delay nothing else. They do not affect
/// readiness; alarms report them.
const EXTERNAL: [Service; 2] = [Service::NewsWatcher, Service::Webhook];

impl Health {
    /// One line for each service; `Err` if the process is not ready.
    pub(crate) async fn ready(&self) -> Result<String, String> {
        let (services, mut well) = self.services();
        let mut lines = services;
        let readiness = self.readiness().await;
        let unavailable = readiness.needs.iter().filter_map(|(_, reason)| reason.clone());
        let stuck = self.0.readers.stuck(&readiness.extents, Instant::now(), &EXTERNAL.map(Service::name));
        for problem in unavailable.chain(stuck).chain(self.status_problems(time::now())) {
            well = false;
            lines.push(problem);
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

    /// The problems that the services' statuses report and that keep data from flowing.
    pub(crate) fn status_problems(&self, now: Millis) -> Vec<String> {
        let said = locked(&self.0.said);
        said.values()
            .filter_map(|status| Some(format!("{}: {}", status.service, problem(status, now)?)))
            .collect()
    }
}

fn problem(status: &ServiceStatus, now: Millis) -> Option<String> {
    if EXTERNAL.iter().any(|other| status.is_of(*other)) {
        return None;
    }
    if !status.is_of(Service::Producer) {
        return status.state.run().is_in_trouble().then(|| status.state.to_string());
    }
    // Only a live feed has a planned lag, so the end of a replay is not a problem; outside
    // trading hours a feed is silent.
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

// The check of the dependencies: at most once every few seconds however many clients ask, and
// with a timeout.

/// How long a result is reused.
const FRESH: Duration = Duration::from_secs(2);
/// The timeout of the log and of the store.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// The dependencies that must answer for the process to be ready.
#[derive(Clone, Default)]
pub(crate) struct Needs {
    pub(crate) log: Option<SharedLog>,
    pub(crate) store: Option<SharedStore>,
}

/// The result of a check.
#[derive(Clone, Default)]
pub(crate) struct Readiness {
    /// The name of each dependency, with the reason if it does not answer.
    pub(crate) needs: Vec<(&'static str, Option<String>)>,
    /// The extents of the topics that are read.
    pub(crate) extents: Extents,
    /// The topics checked, and whether log and store were needed: a result for other values is
    /// not reused.
    asked: (BTreeSet<Topic>, [bool; 2]),
}

/// The last result and its time.
#[derive(Default)]
pub(crate) struct Probe(Mutex<Option<(Instant, Readiness)>>);

impl Probe {
    /// The result of a check now or a few seconds ago. Concurrent callers share one check.
    pub(crate) async fn check(
        &self,
        needs: Needs,
        topics: BTreeSet<Topic>,
        next_offsets: &NextOffsets,
    ) -> Readiness {
        let mut last = self.0.lock().await;
        let asked = (topics, [needs.log.is_some(), needs.store.is_some()]);
        if let Some((at, readiness)) = &*last
            && at.elapsed() < FRESH
            && readiness.asked == asked
        {
            return readiness.clone();
        }
        let readiness = probe(needs, asked, next_offsets).await;
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }
}

async fn probe(needs: Needs, asked: (BTreeSet<Topic>, [bool; 2]), next_offsets: &NextOffsets) -> Readiness {
    let log = async {
        let Some(log) = &needs.log else { return (None, Extents::new()) };
        let answer = with_timeout("the log", async { log.health().await.map_err(|e| e.to_string()) }).await;
        if answer.is_some() {
            return (Some(("log", answer)), Extents::new());
        }
        let held = tokio::time::timeout(ANSWERS_WITHIN, lag::extents(log, &asked.0, next_offsets)).await;
        // If the extents cannot be read, the lag is unknown and left out.
        (Some(("log", None)), held.ok().and_then(Result::ok).unwrap_or_default())
    };
    let store = async {
        let store = needs.store.as_ref()?;
        let answer =
            with_timeout("the store", async { store.health().await.map_err(|e| e.to_string()) }).await;
        Some(("store", answer))
    };
    let ((log, extents), store) = tokio::join!(log, store);
    Readiness { needs: log.into_iter().chain(store).collect(), extents, asked }
}

async fn with_timeout(what: &str, asked: impl Future<Output = Result<(), String>>) -> Option<String> {
    match tokio::time::timeout(ANSWERS_WITHIN, asked).await {
        Ok(Ok(())) => None,
        Ok(Err(reason)) => Some(reason),
        Err(_) => Some(format!("{what} does not answer within {} s", ANSWERS_WITHIN.as_secs())),
    }
}
