//! A dead letter on a page of its own, and the form that replays letters.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::{Frame, Moment, shown};
use super::{LETTERS, render};
use crate::dead_letters::{self, Place, Placed};
use crate::error::Failure;
use crate::{AppState, request};

/// So much of an event is shown; the download has all of it.
const SHOWN: usize = 20_000;

/// The longest form taken, in bytes.
pub(super) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(1_024)
}

/// Which letters are to be replayed: one, or all that the page lists.
#[derive(Deserialize)]
pub(super) struct Wanted {
    /// `PARTITION/OFFSET`, or `listed`.
    place: String,
}

/// `POST /status/replay`
pub(super) async fn replay(
    State(site): State<Arc<AppState>>,
    form: Result<Form<Wanted>, FormRejection>,
) -> Response {
    shown(&site, replayed(&site, form).await).await
}

async fn replayed(
    site: &AppState,
    form: Result<Form<Wanted>, FormRejection>,
) -> Result<(StatusCode, String), Failure> {
    let Form(wanted) = form.map_err(Failure::Form)?;
    let letters = match wanted.place.as_str() {
        "listed" => {
            let mut listed = dead_letters::newest(&*site.log, LETTERS).await?.0;
            for placed in listed.iter_mut().filter(|placed| placed.cut) {
                if let Some(whole) = dead_letters::at(&*site.log, placed.place).await? {
                    *placed = whole;
                }
            }
            listed
        }
        place => {
            let place: Place =
                place.parse().map_err(|problem: String| request::parameter("place", problem))?;
            let found = dead_letters::at(&*site.log, place).await?;
            vec![found.ok_or_else(|| Failure::NoLetter(place.to_string()))?]
        }
    };
    let outcome = dead_letters::replay(site, letters).await?;
    render(site, Some(outcome)).await
}

#[derive(Template)]
#[template(path = "dead_letter.html")]
struct Page {
    frame: Frame,
    placed: Placed,
    /// The event, or as much of it as is shown.
    event: String,
    is_cut: bool,
    replays: bool,
}

/// `GET /status/dead-letters/{partition}/{offset}`
pub(super) async fn page(
    State(site): State<Arc<AppState>>,
    path: Result<Path<(u32, u64)>, PathRejection>,
) -> Response {
    shown(&site, one(&site, path).await).await
}

async fn one(
    site: &AppState,
    path: Result<Path<(u32, u64)>, PathRejection>,
) -> Result<(StatusCode, String), Failure> {
    let Path((partition, offset)) = path.map_err(|error| Failure::NoLetter(error.body_text()))?;
    let place = Place { partition, offset };
    let found = dead_letters::at(&*site.log, place).await?;
    let placed = found.ok_or_else(|| Failure::NoLetter(place.to_string()))?;
    let event: String = placed.letter.event.chars().take(SHOWN).collect();
    let page = Page {
        frame: Frame::around(site, "/status").await?,
        is_cut: event.len() < placed.letter.event.len() || placed.letter.full_length.is_some(),
        event,
        replays: site.process.read_again.is_some(),
        placed,
    };
    Ok((StatusCode::OK, page.render()?))
}
