//! What can go wrong, for the caller of [`crate::serve`] and for whoever asked:
//! the whole of it goes to the log of the program, a way on goes to the asker.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use log::LogError;
use query::explore::ExploreError;
use serde_json::json;
use store::{NoSuchRecord, StoreError};

/// Why the page could not be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The listener has no address.
    #[error("the listener of the page has no address: {0}. Start again, or name another one with --listen")]
    Listener(std::io::Error),
    /// The index of headlines could not be made.
    #[error(transparent)]
    Headlines(query::headlines::HeadlinesError),
    /// Other machines reach the page, and nothing asks who they are.
    #[error(
        "{address} is reached by other machines, and there is no password: set one with `tickwire web set-password`, or listen at 127.0.0.1 (--listen, web.listen)"
    )]
    Unguarded {
        /// The address.
        address: SocketAddr,
    },
    /// A proxy makes the page public, and nothing asks who they are.
    #[error(
        "web.public_url is {url}, which other machines reach, and there is no password: set one with `tickwire web set-password`, or let the proxy say who it is (web.proxy_user_header)"
    )]
    Public {
        /// The address that browsers know.
        url: url::Url,
    },
}

/// Why one request was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A parameter that is missing or makes no sense.
    #[error("`{name}` {problem}")]
    Parameter { name: &'static str, problem: String },
    /// A symbol that neither the store nor the watchlist has.
    #[error(
        "nothing is known of `{0}`: no bar, no headline, and it is not on the watchlist. /api/v1/symbols lists the symbols that are known"
    )]
    Unknown(String),
    /// The query string as a whole cannot be read.
    #[error("the query cannot be read: {0}")]
    Query(String),
    /// The form cannot be read.
    #[error("the form cannot be read: {0}")]
    Form(axum::extract::rejection::FormRejection),
    /// A measurement that is not stored.
    #[error(
        "there is no measurement `{name}`; {}",
        if known.is_empty() { "nothing is stored yet".to_owned() } else { format!("there are: {}", known.join(", ")) }
    )]
    NoMeasurement { name: String, known: Vec<String> },
    /// A dead letter that is not there.
    #[error("there is no dead letter at {0}: /status lists those that there are")]
    NoLetter(String),
    /// Too many downloads at once.
    #[error("{0} files are being downloaded already: try again once one of them has ended")]
    Busy(usize),
    /// Too many event streams.
    #[error("too many pages are open: close some, or try again in a while")]
    Crowded,
    /// There is no room for an answer.
    #[error(
        "there is no room for the answer while it is read: {0}. Ask for fewer rows, or make room in the folder for temporary files"
    )]
    NoRoom(std::io::Error),
    /// A query that gave no answer.
    #[error(transparent)]
    Question(#[from] ExploreError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds is no bar or article.
    #[error(transparent)]
    Record(#[from] NoSuchRecord),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Headlines could not be searched.
    #[error(transparent)]
    Headlines(#[from] query::headlines::HeadlinesError),
    /// An answer could not be written as JSON.
    #[error("an answer could not be written: {0}")]
    Answer(std::io::Error),
    /// A page could not be rendered.
    #[error("a page could not be rendered: {0}")]
    Render(#[from] askama::Error),
}

/// How a failure is put to whoever asked.
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Failure {
    /// Logs what is ours to mend, and says what the asker may know.
    pub(crate) fn tell(&self) -> Told {
        match self {
            Failure::Parameter { .. } | Failure::Query(_) => {
                Told { status: StatusCode::BAD_REQUEST, message: self.to_string() }
            }
            Failure::Unknown(_) | Failure::NoMeasurement { .. } | Failure::NoLetter(_) => {
                Told { status: StatusCode::NOT_FOUND, message: self.to_string() }
            }
            Failure::Form(error) => Told { status: error.status(), message: self.to_string() },
            Failure::Busy(_) | Failure::Crowded => {
                Told { status: StatusCode::SERVICE_UNAVAILABLE, message: self.to_string() }
            }
            Failure::Headlines(query::headlines::HeadlinesError::TooSlow { .. }) => {
                Told { status: StatusCode::UNPROCESSABLE_ENTITY, message: self.to_string() }
            }
            Failure::NoRoom(error) => {
                tracing::warn!(%error, "no room for an answer");
                Told { status: StatusCode::INSUFFICIENT_STORAGE, message: self.to_string() }
            }
            Failure::Question(error) if !is_ours(error) => {
                Told { status: status_of(error), message: self.to_string() }
            }
            Failure::Question(_)
            | Failure::Store(_)
            | Failure::Record(_)
            | Failure::Log(_)
            | Failure::Headlines(_)
            | Failure::Answer(_)
            | Failure::Render(_) => {
                static FAILURES: AtomicU64 = AtomicU64::new(1);
                let reference = FAILURES.fetch_add(1, Ordering::Relaxed);
                tracing::error!(reference, error = %self, "a request failed");
                let message = format!(
                    "This could not be read just now. Try again; if it stays, the program's own messages say why under reference={reference}."
                );
                Told { status: StatusCode::INTERNAL_SERVER_ERROR, message }
            }
        }
    }
}

/// Whether a query failed by no fault of whoever asked it.
fn is_ours(error: &ExploreError) -> bool {
    matches!(error, ExploreError::Store(_) | ExploreError::Crashed)
}

fn status_of(error: &ExploreError) -> StatusCode {
    match error {
        ExploreError::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        ExploreError::TooSlow { .. }
        | ExploreError::TooLarge { .. }
        | ExploreError::TooWide { .. }
        | ExploreError::TooDeep => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// An answer that says why not, as JSON.
pub(crate) fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message } }))).into_response()
}

/// The same for whoever asked: JSON under `/api/`, and a line of text elsewhere.
pub(crate) fn refused_at(path: &str, status: StatusCode, message: &str) -> Response {
    match is_of_api(path) {
        true => refused(status, message),
        false => (status, format!("{message}\n")).into_response(),
    }
}

/// So much of a refusal's text is kept.
const LONGEST_WORDS: usize = 4 << 10;
/// After so many seconds who was refused for want of room may try again.
const TRY_AGAIN: u16 = 5;

/// Gives refusals that come from elsewhere than our handlers, such as of a body that is too
/// long or of a request that takes too long, the form of all others: JSON under `/api/`,
/// and with 503 the time after which another try makes sense.
pub(crate) async fn in_one_form(request: Request, next: Next) -> Response {
    let of_api = is_of_api(request.uri().path());
    let mut answer = next.run(request).await;
    let status = answer.status();
    if status == StatusCode::SERVICE_UNAVAILABLE && !answer.headers().contains_key(header::RETRY_AFTER) {
        answer.headers_mut().insert(header::RETRY_AFTER, TRY_AGAIN.into());
    }
    let is_json = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("application/json")));
    if !of_api || is_json || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let words = axum::body::to_bytes(body, LONGEST_WORDS).await.unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "the body of the request is longer than is taken here: send less",
        StatusCode::REQUEST_TIMEOUT => "the request took too long: ask for less, or try again in a while",
        _ if words.trim().is_empty() => status.canonical_reason().unwrap_or("the request was refused"),
        _ => words.trim(),
    };
    let mut told = refused(status, message);
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            told.headers_mut().append(name, value.clone());
        }
    }
    told
}

/// Whether who asks for this path reads JSON.
pub(crate) fn is_of_api(path: &str) -> bool {
    path.starts_with("/api/")
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let told = self.tell();
        let parameter = match self {
            Failure::Parameter { name, .. } => Some(name),
            Failure::Unknown(_) => Some("symbol"),
            Failure::Question(_) => Some("sql"),
            _ => None,
        };
        (told.status, Json(json!({ "error": { "message": told.message, "parameter": parameter } })))
            .into_response()
    }
}
