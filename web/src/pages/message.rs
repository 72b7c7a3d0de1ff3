//! The pages that say why there is nothing to see, and lead back.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};

use super::frame::Frame;
use crate::AppState;
use crate::error::{Failure, Told, is_of_api, refused};

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
}

/// Whatever is not there.
pub(crate) async fn not_found(State(site): State<Arc<AppState>>, uri: Uri) -> Response {
    let text = "There is nothing under this address.";
    if is_of_api(uri.path()) {
        let message = format!(
            "{text} There is /api/v1/symbols, /api/v1/series, /api/v1/status, /api/v1/alerts, /api/v1/rules and /api/v1/watchlist."
        );
        return refused(StatusCode::NOT_FOUND, &message);
    }
    message(&site, StatusCode::NOT_FOUND, "Not found", text).await
}

/// A method that a path does not take.
pub(crate) async fn method_not_allowed(
    State(site): State<Arc<AppState>>,
    method: Method,
    uri: Uri,
) -> Response {
    if is_of_api(uri.path()) {
        let message = format!("{method} is not taken here: /api/v1/openapi.json says what is.");
        return refused(StatusCode::METHOD_NOT_ALLOWED, &message);
    }
    let text = format!("{method} is not taken here: what is shown is read with GET.");
    message(&site, StatusCode::METHOD_NOT_ALLOWED, "Not allowed", &text).await
}

/// Why a page was not shown.
pub(crate) async fn failed(site: &AppState, failure: &Failure) -> Response {
    let Told { status, message: text } = failure.tell();
    let title = if status.is_client_error() { "Not understood" } else { "Something failed" };
    message(site, status, title, &text).await
}

/// A page of a title and a sentence.
pub(crate) async fn message(site: &AppState, status: StatusCode, title: &str, text: &str) -> Response {
    let frame = Frame::around(site, "").await.unwrap_or_else(|error| {
        tracing::warn!(%error, "a message is shown without notices");
        Frame::without_notices(site)
    });
    match (Message { frame, title, text }).render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a message could not be rendered");
            (status, text.to_owned()).into_response()
        }
    }
}
