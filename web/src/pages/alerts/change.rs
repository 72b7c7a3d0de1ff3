//! The rules changed by the form: the change names the version that the page
//! showed, and what cannot be done is said on the page, with the input kept.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use control::rules::{self, Conflict, PutError};

use super::super::{message, shown};
use super::render;
use super::typed::{Refused, TypedRule};
use crate::AppState;
use crate::access;
use crate::episodes::Wanted;
use crate::error::Failure;

/// The longest form taken, in bytes.
pub(super) fn body_limit() -> DefaultBodyLimit {
    const LONGEST: usize = 16 * 1024;
    DefaultBodyLimit::max(LONGEST)
}

/// `POST /alerts/rules`
pub(super) async fn change(
    State(site): State<Arc<AppState>>,
    form: Result<Form<TypedRule>, FormRejection>,
) -> Response {
    let typed = match form {
        Ok(Form(typed)) => typed,
        Err(error) => {
            let text = "The form cannot be read. Load the page again and send it once more.";
            return message::message(&site, error.status(), "Not understood", text).await;
        }
    };
    let by = access::by();
    match make(&site, &typed, &by).await {
        Ok(None) => Redirect::to("/alerts#rules").into_response(),
        Ok(Some(refused)) => shown(&site, render(&site, Wanted::default(), Some(refused)).await).await,
        Err(failure) => message::failed(&site, &failure).await,
    }
}

/// Makes the change, or says why not.
async fn make(site: &AppState, typed: &TypedRule, by: &str) -> Result<Option<Refused>, Failure> {
    let change = match typed.change() {
        Ok(change) => change,
        Err(refused) => return Ok(Some(refused)),
    };
    let current = rules::read(&*site.log).await?;
    if typed.version != current.version.to_string() {
        return Ok(Some(overtaken(typed)));
    }
    let after = match current.apply(change) {
        Ok(after) => after,
        Err(bad) => return Ok(Some(typed.refused_change(&bad))),
    };
    if typed.adds()
        && let Err(bad) = rules::check_signals(
            &after.entries[current.entries.len()..],
            &crate::rules::signals(&site.store).await?,
        )
    {
        return Ok(Some(typed.refused_by(&bad)));
    }
    match rules::put(&*site.log, current.version, after.entries, by).await {
        Ok(_) => Ok(None),
        Err(PutError::Conflict(Conflict { .. })) => Ok(Some(overtaken(typed))),
        Err(PutError::Bad(bad)) => Ok(Some(typed.refused_by(&bad))),
        Err(PutError::Log(error)) => Err(error.into()),
    }
}

fn overtaken(typed: &TypedRule) -> Refused {
    let message = "Somebody else has changed the rules since this page was loaded, and nothing was overwritten. Below are the rules as they are now, with what you typed; send it again if it still holds.";
    Refused { status: StatusCode::CONFLICT, ..typed.refused(None, message) }
}
