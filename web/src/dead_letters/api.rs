//! Dead letters for programs: the newest as JSON, one whole, all as a file.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use log::{LogError, SharedLog};
use model::topic::DEAD_LETTERS;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{PAGE, Place, Placed, at, newest};
use crate::AppState;
use crate::api::json;
use crate::error::Failure;
use crate::request;

/// So many letters, unless another number is asked for.
const USUAL: usize = 100;
/// The most letters of one answer; the file has all.
const MOST: usize = 200;

/// The most files of all letters that are read at once.
const AT_ONCE: usize = 2;

/// What may be asked.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    limit: Option<String>,
}

#[derive(Serialize)]
struct Letters {
    /// How many are kept.
    kept: u64,
    /// The newest, newest first.
    letters: Vec<Placed>,
}

/// `GET /api/v1/dead-letters?limit=N`: the newest.
pub(crate) async fn list(
    State(site): State<Arc<AppState>>,
    query: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Query(wanted) = query.map_err(|error| Failure::Query(error.body_text()))?;
    let limit = request::limit(wanted.limit.as_deref(), USUAL)?;
    let (letters, kept) = newest(&*site.log, limit.min(MOST)).await?;
    json(Letters { kept, letters }, &headers).await
}

/// `GET /api/v1/dead-letters/{partition}/{offset}`: one, whole.
pub(crate) async fn one(
    State(site): State<Arc<AppState>>,
    path: Result<Path<(u32, u64)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Path((partition, offset)) = path.map_err(|error| Failure::NoLetter(error.body_text()))?;
    let place = Place { partition, offset };
    let placed = at(&*site.log, place).await?.ok_or_else(|| Failure::NoLetter(place.to_string()))?;
    json(placed, &headers).await
}

/// `GET /api/v1/dead-letters.jsonl`: all, one a line, oldest first in each partition.
pub(crate) async fn lines(State(site): State<Arc<AppState>>) -> Result<Response, Failure> {
    static READING: Semaphore = Semaphore::const_new(AT_ONCE);
    let place = READING.try_acquire().map_err(|_| Failure::Busy(AT_ONCE))?;
    let extents = site.log.extents(&DEAD_LETTERS).await?;
    let spans: Vec<_> = extents.iter().map(|extent| (extent.partition, extent.first, extent.next)).collect();
    let pages = stream::try_unfold((place, Arc::clone(&site.log), spans), async |(place, log, spans)| {
        let page = page(log, spans).await?;
        Ok::<_, LogError>(page.map(|(lines, (log, spans))| (lines, (place, log, spans))))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"dead-letters.jsonl\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

type Spans = Vec<(u32, u64, u64)>;

/// The next lines, and what is left after them.
async fn page(log: SharedLog, mut spans: Spans) -> Result<Option<(Bytes, (SharedLog, Spans))>, LogError> {
    while let Some((partition, from, until)) = spans.pop() {
        if from >= until {
            continue;
        }
        let records = log.read(&DEAD_LETTERS, partition, from, PAGE).await?;
        let Some(last) = records.last() else { continue };
        spans.push((partition, last.offset + 1, until));
        let mut lines = String::new();
        for placed in records.iter().filter(|record| record.offset < until).filter_map(Placed::of) {
            // Text and numbers: they can be written.
            lines.push_str(&serde_json::to_string(&placed).unwrap_or_default());
            lines.push('\n');
        }
        return Ok(Some((Bytes::from(lines), (log, spans))));
    }
    Ok(None)
}
