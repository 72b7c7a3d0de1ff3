//! Dead letters: what did not validate, to be read, downloaded and replayed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use bytes::Bytes;
use control::replay::{NotReplayed, Replay};
use control::watchlist;
use futures::stream;
use log::{Log, LogError, Record, SharedLog};
use model::DeadLetter;
use model::topic::DEAD_LETTERS;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};

use crate::api::json;
use crate::error::{Failure, refused};
use crate::{AppState, request};

/// Where a letter stands in the log: `PARTITION/OFFSET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Place {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let parts = text.split_once('/').and_then(|(partition, offset)| {
            Some(Place { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        });
        parts.ok_or_else(|| "is no place of a dead letter: write it as 0/17".to_owned())
    }
}

/// A letter with its place.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Placed {
    #[serde(flatten)]
    pub(crate) place: Place,
    #[serde(flatten)]
    pub(crate) letter: DeadLetter,
    /// Whether the event is cut here; the letter by itself has more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cut: bool,
}

impl Placed {
    fn of(record: &Record) -> Option<Placed> {
        let place = Place { partition: record.partition, offset: record.offset };
        Some(Placed { place, letter: serde_json::from_slice(&record.value).ok()?, cut: false })
    }

    /// As it stands in a list.
    fn listed(mut self) -> Placed {
        if let Some((end, _)) = self.letter.event.char_indices().nth(LISTED_EVENT) {
            // Without the memory of the whole event.
            self.letter.event = self.letter.event[..end].to_owned();
            self.cut = true;
        }
        self
    }
}

/// So many letters are read at once; each may hold 256 KB.
pub(crate) const PAGE: usize = 8;
/// The most of an event in a list, in characters: a letter by itself has it whole.
const LISTED_EVENT: usize = 2_000;

/// The newest letters, at most `most`, and how many are kept in all. Long events
/// are cut ([`Placed::cut`]), so that a list is small whatever the letters hold.
pub(crate) async fn newest(log: &dyn Log, most: usize) -> Result<(Vec<Placed>, u64), LogError> {
    // One list is read at a time: what is read of it is not small.
    static READING: Mutex<()> = Mutex::const_new(());
    let _reading = READING.lock().await;
    let (mut letters, mut kept) = (Vec::new(), 0);
    for extent in log.extents(&DEAD_LETTERS).await? {
        kept += extent.next.saturating_sub(extent.first);
        // A marker of a transaction may follow each record, and takes an offset.
        let back = (most as u64).saturating_mul(2);
        let mut from = extent.first.max(extent.next.saturating_sub(back));
        while from < extent.next {
            let records = log.read(&DEAD_LETTERS, extent.partition, from, PAGE).await?;
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            letters.extend(records.iter().filter_map(Placed::of).map(Placed::listed));
        }
        letters.sort_by_key(|placed: &Placed| {
            std::cmp::Reverse((placed.letter.received_timestamp, placed.place))
        });
        letters.truncate(most);
    }
    Ok((letters, kept))
}

/// The letter at a place, if there is one.
pub(crate) async fn at(log: &dyn Log, place: Place) -> Result<Option<Placed>, LogError> {
    let known = log.extents(&DEAD_LETTERS).await?;
    if !known.iter().any(|extent| extent.partition == place.partition && place.offset < extent.next) {
        return Ok(None);
    }
    let records = log.read(&DEAD_LETTERS, place.partition, place.offset, 1).await?;
    Ok(records.iter().filter(|record| record.offset == place.offset).find_map(Placed::of))
}

// Dead letters that validate after all go back onto their topics: those that a
// command has read again, and those that the Status page names.

/// The longest request taken, in bytes.
const LONGEST: usize = 4 << 20;

/// `POST /api/v1/dead-letters/replay`
pub(crate) fn routes() -> MethodRouter<Arc<AppState>> {
    post(replay_read).layer(DefaultBodyLimit::max(LONGEST))
}

/// A list of letters with the events that they hold; all are appended, or none.
async fn replay_read(State(site): State<Arc<AppState>>, body: Bytes) -> Result<Response, Failure> {
    let replays: Vec<Replay> = match serde_json::from_slice(&body) {
        Ok(replays) => replays,
        Err(error) => {
            return Ok(refused(StatusCode::BAD_REQUEST, &format!("the letters cannot be read: {error}")));
        }
    };
    match control::replay::replay(&*site.log, replays).await {
        Ok(events) => Ok(Json(json!({ "events": events })).into_response()),
        Err(NotReplayed::Log(error)) => Err(error.into()),
        Err(error) => Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())),
    }
}

/// What came of letters that were to be replayed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Letters that went back …
    pub(crate) letters: usize,
    /// … and the records that they became.
    pub(crate) records: usize,
    /// The others, each with why it stays.
    pub(crate) left: Vec<(Place, String)>,
}

/// Reads letters again by the rules of today and puts back those that validate,
/// each for itself: one that does not keeps no other from it.
pub(crate) async fn replay(site: &AppState, letters: Vec<Placed>) -> Result<Outcome, Failure> {
    let watchlist = watchlist::read(&*site.log).await?;
    let mut outcome = Outcome::default();
    for Placed { place, letter, .. } in letters {
        let read = match &site.process.read_again {
            Some(read_again) => read_again(&letter, &watchlist),
            None => {
                Err(format!("this process cannot read it again: use `tickwire dead-letters replay {place}`"))
            }
        };
        let events = match read {
            Ok(events) => events,
            Err(reason) => {
                outcome.left.push((place, reason));
                continue;
            }
        };
        let one = Replay { partition: place.partition, offset: place.offset, events };
        match control::replay::replay(&*site.log, vec![one]).await {
            Ok(records) => {
                outcome.letters += 1;
                outcome.records += records;
            }
            Err(NotReplayed::Log(error)) => return Err(error.into()),
            Err(error) => outcome.left.push((place, error.to_string())),
        }
    }
    Ok(outcome)
}

// Dead letters for programs: the newest as JSON, one whole, all as a file.

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
