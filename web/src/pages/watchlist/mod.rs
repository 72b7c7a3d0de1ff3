//! The watchlist page: what is watched, changed by plain forms that work
//! without any script.

mod form;
mod view;

use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get};
use control::watchlist::{self, PutError, Watchlist};
use serde::Deserialize;

use super::{failed, message, shown};
use crate::error::Failure;
use crate::{AppState, access};
use form::{Deed, Problems, Typed};
use view::{State as Shown, View};

/// The longest form taken, in bytes.
const LONGEST: usize = 16 << 10;
/// So far back a version can be gone back to.
const PAST: usize = 100;

/// `GET` and `POST /watchlist`
pub(super) fn routes() -> MethodRouter<Arc<AppState>> {
    get(page).post(change).layer(DefaultBodyLimit::max(LONGEST))
}

/// What the page may be asked.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// The place of the entry that is to be edited.
    edit: String,
    /// The version that a change has just led to.
    done: String,
    /// The first entry shown, where there are many.
    from: String,
}

async fn page(State(site): State<Arc<AppState>>, Query(asked): Query<Asked>) -> Response {
    let state = Shown { from: asked.from.parse().unwrap_or(1), ..Shown::default() };
    let state = match (asked.done.parse(), asked.edit.parse()) {
        (Ok(version), _) => Shown { done: Some(version), ..state },
        (_, Ok(place)) => Shown { edit: Some(place), ..state },
        _ => state,
    };
    shown(&site, View::render(&site, StatusCode::OK, state).await).await
}

async fn change(State(site): State<Arc<AppState>>, form: Result<Form<Typed>, FormRejection>) -> Response {
    let typed = match form {
        Ok(Form(typed)) => typed,
        Err(rejection) => {
            let status = rejection.status();
            let text = match status {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    "The form is longer than 16 KB. Paste in parts, or use `tickwire watch set FILE`.".into()
                }
                _ => format!("The form cannot be read: {}", rejection.body_text()),
            };
            return message(&site, status, "Not understood", &text).await;
        }
    };
    let by = access::by();
    match changed(&site, typed, &by).await {
        Ok(Outcome::Done(list)) => {
            Redirect::to(&format!("/watchlist?done={}#entries", list.version)).into_response()
        }
        Ok(Outcome::ShownAgain(status, state)) => {
            shown(&site, View::render(&site, status, *state).await).await
        }
        Err(failure) => failed(&site, &failure).await,
    }
}

/// What became of a form.
enum Outcome {
    /// The list as it is now.
    Done(Watchlist),
    /// Shown again, with what was typed and what is to be said.
    ShownAgain(StatusCode, Box<Shown>),
}

async fn changed(site: &AppState, typed: Typed, by: &str) -> Result<Outcome, Failure> {
    let again = |status, state| Ok(Outcome::ShownAgain(status, Box::new(state)));
    let list = watchlist::read(&*site.log).await?;
    let Some(deed) = typed.deed() else {
        let problems = Problems::of_form("The form does not say what is to be done.");
        return again(StatusCode::BAD_REQUEST, Shown { typed, problems, ..Shown::default() });
    };
    if matches!(deed, Deed::Preview | Deed::Check) {
        let problems = typed.problems(&list);
        let (status, preview) = match problems.is_empty() {
            true => (StatusCode::OK, deed == Deed::Preview),
            false => (StatusCode::UNPROCESSABLE_ENTITY, false),
        };
        return again(status, Shown { typed, problems, preview, ..Shown::default() });
    }
    if typed.version() != Some(list.version) {
        return again(StatusCode::CONFLICT, Shown { typed, conflict: true, ..Shown::default() });
    }
    let past = match deed {
        Deed::Restore(version) => watchlist::past(&*site.log, version, PAST).await?,
        _ => None,
    };
    let entries = match typed.entries(deed, &list, past.as_slice()) {
        Ok(entries) => entries,
        Err(problems) => {
            return again(StatusCode::UNPROCESSABLE_ENTITY, Shown { typed, problems, ..Shown::default() });
        }
    };
    match watchlist::put(&*site.log, list.version, entries, by).await {
        Ok(list) => {
            tracing::info!(
                version = list.version,
                entries = list.entries.len(),
                by,
                "the watchlist was changed"
            );
            Ok(Outcome::Done(list))
        }
        Err(PutError::Conflict(_)) => {
            again(StatusCode::CONFLICT, Shown { typed, conflict: true, ..Shown::default() })
        }
        Err(PutError::Bad(bad)) => {
            let problems = Problems::of_form(&bad.to_string());
            again(StatusCode::UNPROCESSABLE_ENTITY, Shown { typed, problems, ..Shown::default() })
        }
        Err(PutError::Log(error)) => Err(error.into()),
    }
}
