//! Dead letters that validate after all go back onto their topics: those that a
//! command has read again, and those that the Status page names.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use control::replay::{NotReplayed, Replay};
use control::watchlist;
use serde_json::json;

use super::{Place, Placed};
use crate::AppState;
use crate::error::{Failure, refused};

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
