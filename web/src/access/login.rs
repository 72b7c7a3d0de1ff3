//! Signing in and out.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::Deserialize;

use super::Access;
use super::address::client;
use super::people::Person;
use super::throttle::{TopicPartition, device, known_device, later};
use crate::AppState;
use crate::error::refused;

/// How long a browser is known after a sign-in, in seconds: a year.
const DEVICE_KNOWN: u64 = 365 * 24 * 3_600;

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    assets: String,
    next: &'a str,
    /// Whether names are asked for: there are others than the owner.
    named: bool,
    name: &'a str,
    refused: &'a str,
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Attempt {
    /// The owner's where it is empty.
    #[serde(default)]
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// `/login` and `/logout`.
pub(crate) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/login", get(form).post(sign_in)).route("/logout", post(sign_out))
}

/// The cookie's name: with https, browsers take one of this name from this very host only.
pub(super) fn cookie_name(access: &Access) -> &'static str {
    if access.is_https() { "__Host-tickwire" } else { "tickwire" }
}

async fn form(State(site): State<Arc<AppState>>, wanted: Result<Query<Wanted>, QueryRejection>) -> Response {
    let next = wanted.map(|Query(wanted)| wanted.next).unwrap_or_default();
    shown(&site, StatusCode::OK, local(&next), "", "")
}

async fn sign_in(State(site): State<Arc<AppState>>, request: Request) -> Response {
    use axum::extract::FromRequest;
    let client = client(&request, &site.access.trusted_proxies);
    let cookies = CookieJar::from_headers(request.headers());
    let attempt: Result<Form<Attempt>, FormRejection> = Form::from_request(request, &()).await;
    let attempt = match attempt {
        Ok(Form(attempt)) => attempt,
        Err(rejection) => {
            return refused(rejection.status(), "Send the form of /login: the fields `name` and `password`.");
        }
    };
    let next = local(&attempt.next).to_owned();
    let name = attempt.name.trim().to_owned();
    let person = site.people.find(&name);
    let held = cookies.get(device_name(&site.access)).map(Cookie::value);
    let known = person.as_ref().zip(held).and_then(|(person, held)| known_device(person, held));
    let lane = known.map_or_else(|| TopicPartition::of_client(client, &name), TopicPartition::Device);
    match site.throttle.enter(&lane, Instant::now()) {
        Ok(at) => tokio::time::sleep_until(at.into()).await,
        Err(wait) => return later(wait, "Too many passwords for this name from your address"),
    }
    let Some(person) = right(&site, &lane, person, attempt.password).await else {
        tracing::warn!(%client, "refused a sign-in: wrong name or password");
        let text = match site.people.have_names() {
            true => "This is not the name and its password.",
            false => "This is not the password.",
        };
        return shown(&site, StatusCode::UNAUTHORIZED, &next, &name, text);
    };
    site.throttle.right(&lane);
    let held = site.sessions.begin(&person.name, person.stamp(), Instant::now());
    match held.and_then(|held| Ok((held, device(&person)?))) {
        Ok((held, device)) => {
            tracing::info!(%client, name = person.name, role = person.role.as_str(), "signed in");
            let set = [session_cookie(&site.access, held).to_string(), device_cookie(&site.access, device)];
            let set = set.map(|cookie| (header::SET_COOKIE, cookie));
            (AppendHeaders(set), Redirect::to(&next)).into_response()
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

/// The person, if the password is right. A name that there is not takes as long.
async fn right(
    site: &AppState,
    lane: &TopicPartition,
    person: Option<Person>,
    attempt: String,
) -> Option<Person> {
    let _place = site.throttle.place(lane).await?;
    let checked = tokio::task::spawn_blocking(move || match person {
        Some(person) => person.hash.is_of(&attempt).then_some(person),
        None => {
            let _ = Person::nobody()?.is_of(&attempt);
            None
        }
    });
    checked.await.ok().flatten()
}

async fn sign_out(State(site): State<Arc<AppState>>, headers: HeaderMap) -> Response {
    if let Some(held) = CookieJar::from_headers(&headers).get(cookie_name(&site.access)) {
        site.sessions.end(held.value());
    }
    let gone = session_cookie(&site.access, String::new());
    (CookieJar::from_headers(&headers).remove(gone), Redirect::to("/login")).into_response()
}

/// What tells a browser that somebody has signed in with before; it opens nothing.
fn device_cookie(access: &Access, held: String) -> String {
    let cookie = Cookie::build((device_name(access), held)).path("/login").http_only(true);
    let cookie = cookie.same_site(SameSite::Strict).secure(access.is_https()).build();
    format!("{cookie}; Max-Age={DEVICE_KNOWN}")
}

fn device_name(access: &Access) -> &'static str {
    if access.is_https() { "__Secure-tickwire-device" } else { "tickwire-device" }
}

fn session_cookie(access: &Access, held: String) -> Cookie<'static> {
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

fn shown(site: &AppState, status: StatusCode, next: &str, name: &str, refused: &str) -> Response {
    let named = site.people.have_names();
    match (Login { assets: site.assets.folder(), next, named, name, refused }).render() {
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
