//! The three answers, over HTTP.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State as Held;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Vitals, locked};

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

impl Vitals {
    /// Answers at `listen`: `/healthz` while the process lives, `/readyz` when it
    /// is well, else with the reason and status 503, and `/metrics`. Nothing that is
    /// told is secret, but it is meant for operators: let no stranger reach it.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub async fn answer(&self, listen: SocketAddr) -> std::io::Result<Answering> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/healthz", get(async || "alive\n"))
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
        let signs = &self.0;
        if let Some(log) = self.needs().log {
            signs.meters.behind(signs.readers.behind(&log).await);
        }
        locked(&signs.said).values().for_each(|status| signs.meters.said(status));
        locked(&signs.states).iter().for_each(|(service, state)| signs.meters.state(service, state));
        signs.meters.text()
    }
}

async fn ready(Held(vitals): Held<Vitals>) -> (StatusCode, String) {
    match vitals.ready().await {
        Ok(text) => (StatusCode::OK, text),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
    }
}

async fn metrics(Held(vitals): Held<Vitals>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], vitals.numbers().await)
}
