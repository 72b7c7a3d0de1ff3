//! `/livez` and `/readyz` of the page: whether it lives, and whether it can show
//! anything. Anybody may ask, so an answer is good for seconds and costs no query.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use crate::AppState;
use crate::load::Readiness;

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
