//! Dead letters that validate after all: the command reads them again, the
//! owner of the log, which this is, puts them back.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use serde_json::json;
use wire::dead_letter::{self, NotReplayed, Replay};

use crate::Site;
use crate::error::Failure;

/// The longest request taken, in bytes.
const LONGEST: usize = 4 << 20;

/// `POST /api/v1/dead-letters/replay`
pub(crate) fn routes() -> MethodRouter<Arc<Site>> {
    post(replay).layer(DefaultBodyLimit::max(LONGEST))
}

/// A list of letters with the events that they hold; all are appended, or none.
async fn replay(State(site): State<Arc<Site>>, body: Bytes) -> Result<Response, Failure> {
    let replays: Vec<Replay> = match serde_json::from_slice(&body) {
        Ok(replays) => replays,
        Err(error) => {
            return Ok(refused(StatusCode::BAD_REQUEST, &format!("the letters cannot be read: {error}")));
        }
    };
    match dead_letter::replay(&*site.log, replays).await {
        Ok(events) => Ok(Json(json!({ "events": events })).into_response()),
        Err(NotReplayed::Log(error)) => Err(error.into()),
        Err(error) => Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())),
    }
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message } }))).into_response()
}
