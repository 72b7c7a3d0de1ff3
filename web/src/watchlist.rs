//! The watchlist over HTTP: the page's form and the commands change it here,
//! each naming the version that it read.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use serde_json::json;
use wire::watchlist::{self, PutError, Watchlist};

use crate::Site;
use crate::error::Failure;
use crate::security;

/// The longest list taken, in bytes: the longest that there may be, with room for how it is written.
const LONGEST: usize = 1 << 20;

/// `GET` and `PUT /api/v1/watchlist`
pub(crate) fn routes() -> MethodRouter<Arc<Site>> {
    get(read).put(put).layer(DefaultBodyLimit::max(LONGEST))
}

async fn read(State(site): State<Arc<Site>>) -> Result<Response, Failure> {
    Ok(listed(StatusCode::OK, &watchlist::read(&*site.log).await?))
}

/// `PUT` with `If-Match: VERSION` and the whole list, as `GET` gives it or only its entries.
async fn put(State(site): State<Arc<Site>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let Some(version) = version_read(&headers) else {
        let message = "name the version that the change was made from, as in `If-Match: \"3\"`: GET gives it as ETag and as `version`";
        return Ok(refused(StatusCode::PRECONDITION_REQUIRED, message));
    };
    let entries = match watchlist::parse(&body) {
        Ok(entries) => entries,
        Err(bad) => return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, &bad.to_string())),
    };
    let by = security::who(&headers);
    match watchlist::put(&*site.log, version, entries, by).await {
        Ok(list) => {
            tracing::info!(version = list.version, entries = list.entries.len(), by, "the watchlist was put");
            Ok(listed(StatusCode::OK, &list))
        }
        Err(PutError::Bad(bad)) => Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, &bad.to_string())),
        Err(PutError::Log(error)) => Err(error.into()),
        Err(PutError::Conflict(conflict)) => {
            let body = json!({ "error": { "message": conflict.to_string() }, "current": conflict.current });
            Ok((StatusCode::PRECONDITION_FAILED, fresh(&conflict.current), Json(body)).into_response())
        }
    }
}

/// The version in `If-Match`, with or without the quotes of an entity tag.
fn version_read(headers: &HeaderMap) -> Option<u64> {
    let tag = headers.get(header::IF_MATCH)?.to_str().ok()?.trim();
    let bare = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    bare.parse().ok()
}

fn listed(status: StatusCode, list: &Watchlist) -> Response {
    (status, fresh(list), Json(list)).into_response()
}

fn fresh(list: &Watchlist) -> [(header::HeaderName, String); 2] {
    [(header::CACHE_CONTROL, "no-store".into()), (header::ETAG, format!("\"{}\"", list.version))]
}

/// An answer that says why not.
fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message } }))).into_response()
}
