//! Kept lists over HTTP: pages and commands change them here, each naming the
//! version that it read.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::kept::{self, Kept, List, PutError};
use serde_json::json;

use crate::AppState;
use crate::access;
use crate::error::{Failure, refused};

/// `GET`: the list with its version.
pub(crate) async fn read<E: Kept>(State(site): State<Arc<AppState>>) -> Result<Response, Failure> {
    Ok(listed(&kept::read::<E>(&*site.log).await?))
}

/// `PUT` with `If-Match: VERSION` and the whole list, as `GET` gives it or only its entries.
pub(crate) async fn put<E: Kept>(
    site: &AppState,
    headers: &HeaderMap,
    typed: Result<Vec<E>, E::Bad>,
) -> Result<Response, Failure> {
    let Some(version) = version_read(headers) else {
        let message = "name the version that the change was made from, as in `If-Match: \"3\"`: GET gives it as ETag and as `version`";
        return Ok(refused(StatusCode::PRECONDITION_REQUIRED, message));
    };
    let entries = match typed {
        Ok(entries) => entries,
        Err(bad) => return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, &bad.to_string())),
    };
    let by = access::by();
    match kept::put(&*site.log, version, entries, &by).await {
        Ok(list) => {
            tracing::info!(
                list = E::KEY,
                version = list.version,
                entries = list.entries.len(),
                by,
                "a list was put"
            );
            Ok(listed(&list))
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

fn listed<E: Kept>(list: &List<E>) -> Response {
    (StatusCode::OK, fresh(list), Json(list)).into_response()
}

fn fresh<E>(list: &List<E>) -> [(header::HeaderName, String); 2] {
    [(header::CACHE_CONTROL, "no-store".into()), (header::ETAG, format!("\"{}\"", list.version))]
}
