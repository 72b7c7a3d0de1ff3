//! The guard before every page: where there is a password, only who has signed
//! in or shows a token gets through.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use futures::StreamExt;
use subtle::ConstantTimeEq;
use url::form_urlencoded;

use super::Access;
use super::address::client;
use super::login::cookie_name;
use super::session::SignedIn;
use super::token::TokenFile;
use crate::Site;
use crate::error::{is_of_api, refused};

/// What anybody may see: the way in, and whether the program is alive.
const OPEN: [&str; 3] = ["/login", "/healthz", "/readyz"];
const OPEN_FOLDER: &str = "/assets/";

/// What a token may send although it only reads.
const QUESTIONS: [&str; 1] = ["/api/v1/query"];

/// Who asks.
enum Caller {
    /// A browser that has signed in.
    Person(SignedIn),
    /// A command of this machine's owner.
    Command,
    /// A program with a token.
    Program(String),
    /// Nobody that is known.
    Stranger,
}

/// The tokens that are accepted, with their file.
pub(crate) struct Tokens {
    file: Option<TokenFile>,
}

impl Tokens {
    pub(crate) fn of(access: &Access) -> Tokens {
        Tokens { file: access.api_tokens.as_deref().map(|path: &Path| TokenFile::new(path)) }
    }
}

/// Lets through who may, and shows others the way in.
pub(crate) async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if site.access.password.is_none() || OPEN.contains(&path) || path.starts_with(OPEN_FOLDER) {
        return next.run(request).await;
    }
    match caller(&site, request.headers()) {
        Caller::Command => next.run(request).await,
        Caller::Person(signed_in) => ends_with(signed_in, next.run(request).await),
        Caller::Program(_) if request.method().is_safe() || QUESTIONS.contains(&path) => {
            next.run(request).await
        }
        Caller::Program(name) => {
            tracing::warn!(name, path, "refused a change by an API token");
            refused(StatusCode::FORBIDDEN, "A token reads, it changes nothing: sign in, or use a command.")
        }
        Caller::Stranger => way_in(&request),
    }
}

fn caller(site: &Site, headers: &HeaderMap) -> Caller {
    if let Some(shown) = bearer(headers) {
        let command = site.access.command_token.as_ref().filter(|token| !token.is_empty());
        if command.is_some_and(|token| bool::from(token.expose().as_bytes().ct_eq(shown.as_bytes()))) {
            return Caller::Command;
        }
        let program = site.tokens.file.as_ref().and_then(|tokens| tokens.name_of(shown));
        return program.map_or(Caller::Stranger, Caller::Program);
    }
    let cookies = CookieJar::from_headers(headers);
    let held = cookies.get(cookie_name(&site.access));
    let signed_in = held.and_then(|held| site.sessions.find(held.value(), Instant::now()));
    signed_in.map_or(Caller::Stranger, Caller::Person)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// A page is found again after signing in; a program is told what it lacks.
fn way_in(request: &Request) -> Response {
    let (path, method) = (request.uri().path(), request.method());
    if is_of_api(path) || path == "/events" || !matches!(*method, Method::GET | Method::HEAD) {
        let message = "Sign in at /login, or send `Authorization: Bearer TOKEN`; `tickwire web token add NAME` makes a token.";
        let mut answer = refused(StatusCode::UNAUTHORIZED, message);
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return answer;
    }
    let wanted = request.uri().path_and_query().map_or(path, |whole| whole.as_str());
    let next: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    ([(header::CACHE_CONTROL, "no-store")], Redirect::to(&format!("/login?next={next}"))).into_response()
}

/// Cuts off what still streams when its session is over.
fn ends_with(signed_in: SignedIn, answer: Response) -> Response {
    let is_stream =
        answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    if !is_stream {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let body = body.into_data_stream().take_until(Box::pin(signed_in.over()));
    Response::from_parts(parts, Body::from_stream(body))
}

/// Logs what was refused: who, what and why, and nothing that they sent.
pub(crate) async fn log_refusals(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let client = client(&request, &site.access.trusted_proxies);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let host = request.headers().get(header::HOST).cloned();
    let answer = next.run(request).await;
    let status = answer.status();
    let is_attempt = matches!(status.as_u16(), 401 | 403 | 408 | 413 | 421 | 429 | 431)
        || (matches!(status.as_u16(), 400 | 405 | 415 | 422) && !method.is_safe());
    if is_attempt {
        tracing::warn!(%client, %method, path, ?host, status = status.as_u16(), "refused a request");
    }
    answer
}
