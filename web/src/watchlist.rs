//! The watchlist over HTTP.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use control::watchlist::{self, Entry};

use crate::AppState;
use crate::error::Failure;
use crate::kept;

/// The longest list taken, in bytes: the longest that there may be, with room for how it is written.
const LONGEST: usize = 1 << 20;

/// `GET` and `PUT /api/v1/watchlist`
pub(crate) fn routes() -> MethodRouter<Arc<AppState>> {
    get(kept::read::<Entry>).put(put).layer(DefaultBodyLimit::max(LONGEST))
}

async fn put(
    State(site): State<Arc<AppState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    kept::put(&site, &headers, watchlist::parse(&body)).await
}
