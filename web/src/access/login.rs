//! Signing in and out.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::Access;
use super::address::client;
use super::rate::later;
use crate::Site;
use crate::error::refused;

/// Passwords checked at once: each takes 19 MB.
static CHECKS: Semaphore = Semaphore::const_new(2);

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    assets: String,
    next: &'a str,
    refused: &'a str,
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Attempt {
    password: String,
    #[serde(default)]
    next: String,
}

/// `/login` and `/logout`.
pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/login", get(form).post(sign_in)).route("/logout", post(sign_out))
}

/// The cookie's name: with https, browsers take one of this name from this very host only.
pub(super) fn cookie_name(access: &Access) -> &'static str {
    if access.is_https() { "__Host-tickwire" } else { "tickwire" }
}

async fn form(State(site): State<Arc<Site>>, wanted: Result<Query<Wanted>, QueryRejection>) -> Response {
    let next = wanted.map(|Query(wanted)| wanted.next).unwrap_or_default();
    shown(&site, StatusCode::OK, local(&next), "")
}

async fn sign_in(State(site): State<Arc<Site>>, request: Request) -> Response {
    use axum::extract::FromRequest;
    let client = client(&request, &site.access.trusted_proxies);
    let attempt: Result<Form<Attempt>, FormRejection> = Form::from_request(request, &()).await;
    let attempt = match attempt {
        Ok(Form(attempt)) => attempt,
        Err(rejection) => {
            return refused(rejection.status(), "Send the form of /login: the field `password`.");
        }
    };
    if let Err(wait) = site.rates.sign_in(client) {
        return later(wait, "Too many passwords from your address");
    }
    let next = local(&attempt.next).to_owned();
    if !is_right(&site.access, attempt.password).await {
        tracing::warn!(%client, "refused a sign-in: wrong password");
        return shown(&site, StatusCode::UNAUTHORIZED, &next, "This is not the password.");
    }
    match site.sessions.begin(Instant::now()) {
        Ok(held) => {
            tracing::info!(%client, "signed in");
            (CookieJar::new().add(cookie(&site.access, held)), Redirect::to(&next)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "no randomness for a session");
            refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Signing in failed; the program's own messages say why.",
            )
        }
    }
}

/// Where there is no password, nothing that is typed is it.
async fn is_right(access: &Access, attempt: String) -> bool {
    let Some(hash) = access.password.clone() else { return false };
    let Ok(_place) = CHECKS.acquire().await else { return false };
    tokio::task::spawn_blocking(move || hash.is_of(&attempt)).await.unwrap_or(false)
}

async fn sign_out(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Some(held) = CookieJar::from_headers(&headers).get(cookie_name(&site.access)) {
        site.sessions.end(held.value());
    }
    let gone = cookie(&site.access, String::new());
    (CookieJar::from_headers(&headers).remove(gone), Redirect::to("/login")).into_response()
}

fn cookie(access: &Access, held: String) -> Cookie<'static> {
    Cookie::build((cookie_name(access), held))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(access.is_https())
        .build()
}

/// A path of ours, or `/`: a sign-in leads nowhere else.
fn local(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    if is_path && next.chars().all(|c| c.is_ascii_graphic()) { next } else { "/" }
}

fn shown(site: &Site, status: StatusCode, next: &str, refused: &str) -> Response {
    match (Login { assets: site.assets.folder(), next, refused }).render() {
        Ok(page) => (status, [(header::CACHE_CONTROL, "no-store")], Html(page)).into_response(),
        Err(error) => crate::error::Failure::from(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_our_own_paths_only() {
        assert_eq!(local("/?symbol=AAPL&sort=close"), "/?symbol=AAPL&sort=close");
        for elsewhere in [
            "",
            "https://rebind.example",
            "//rebind.example",
            "/\\rebind.example",
            "javascript:1",
            "/a\r\nb",
            "/ä",
        ] {
            assert_eq!(local(elsewhere), "/", "{elsewhere}");
        }
    }
}
