//! Results computed again from what is stored: the command asks, the sink in
//! this process does it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use control::recompute::NotRecomputed;
use model::time::Millis;
use serde::Deserialize;
use serde_json::json;

use crate::AppState;
use crate::error::refused;
use crate::request;

/// The longest request taken, in bytes.
const LONGEST: usize = 1_024;

/// `POST /api/v1/recompute`
pub(crate) fn routes() -> MethodRouter<Arc<AppState>> {
    post(recompute).layer(DefaultBodyLimit::max(LONGEST))
}

/// Which points: those whose time lies in [`from`, `to`).
#[derive(Deserialize)]
struct Span {
    from: Millis,
    to: Millis,
}

/// Answers once the rows are stored, with their number.
async fn recompute(State(site): State<Arc<AppState>>, body: Bytes) -> Response {
    let span: Span = match serde_json::from_slice(&body) {
        Ok(span) => span,
        Err(error) => {
            let message = format!("write {{\"from\": T, \"to\": T}} with epoch milliseconds: {error}");
            return refused(StatusCode::BAD_REQUEST, &message);
        }
    };
    let bounds = request::bounded("from", span.from).and_then(|_| request::bounded("to", span.to));
    if let Err(failure) = bounds {
        return failure.into_response();
    }
    match site.again.compute(span.from, span.to).await {
        Ok(rows) => Json(json!({ "rows": rows })).into_response(),
        Err(error @ NotRecomputed::NoSink) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        Err(error @ NotRecomputed::Failed(_)) => {
            refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
    }
}
