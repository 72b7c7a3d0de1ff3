//! The three answers, over HTTP.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State as Held;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use model::time;

use crate::health::told::Snapshot;
use crate::health::{Health, locked, process};

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
        signs.meters.text(&[snapshot.registry(), process::registry()])
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
