//! The guard before every page: where there is a password, only who has signed
//! in, shows a token or is named by a trusted proxy gets through, and who only
//! reads changes nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

use super::address::{client, peer};
use super::login::cookie_name;
use super::people::{Role, is_name};
use super::session::SignedIn;
use super::token::TokenFile;
use super::{Access, ProxyNames};
use crate::error::{is_of_api, refused};
use crate::pages::message;
use crate::{AppState, security};

/// What anybody may see: the way in, and whether the program is alive.
const OPEN: [&str; 4] = ["/login", "/livez", "/healthz", "/readyz"];
const OPEN_FOLDER: &str = "/assets/";

/// What may be sent by who only reads: it changes nothing.
const QUESTIONS: [&str; 1] = ["/api/v1/query"];
/// What everybody may send who has signed in.
const SIGN_OUT: &str = "/logout";

/// How often the files of names, passwords and tokens are looked at for what still
/// streams; a new request looks at them by itself.
const LOOKS: Duration = Duration::from_secs(1);

/// Who asks, for what histories say and pages offer.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The name, as a history has it.
    pub(crate) name: String,
    /// What may be done.
    pub(crate) role: Role,
    /// Whether it is somebody who signed in here, and may sign out.
    pub(crate) signs_out: bool,
}

/// What an answer that streams stands on, and ends with.
enum Standing {
    /// A sign-in.
    Session(SignedIn),
    /// A token, as it is shown.
    Token(String),
    /// That nobody is asked who it is.
    Open,
    /// Nothing that ends here: the program itself, or the proxy.
    Given,
}

tokio::task_local! {
    /// Who asks for what is being worked on.
    static CALLER: Caller;
}

/// Who asks for what is being worked on; nobody where nothing is guarded, as at the sign-in.
pub(crate) fn caller() -> Option<Caller> {
    CALLER.try_with(Clone::clone).ok()
}

/// Who asks, as a history has it.
pub(crate) fn by() -> String {
    // Every change passes the guard, which knows who it is.
    caller().map_or_else(|| "web".to_owned(), |caller| caller.name)
}

/// The tokens that are accepted, with their file.
pub(crate) struct Tokens {
    file: Option<TokenFile>,
    /// How often names, passwords and tokens have changed.
    changes: tokio::sync::watch::Sender<u64>,
}

impl Tokens {
    pub(crate) fn of(access: &Access) -> Tokens {
        let file = access.api_tokens.as_deref().map(|path: &Path| TokenFile::new(path));
        Tokens { file, changes: tokio::sync::watch::Sender::new(0) }
    }

    fn name_of(&self, shown: &str) -> Option<String> {
        self.file.as_ref().and_then(|tokens| tokens.name_of(shown))
    }
}

/// Ends what stands on a password or token that has changed or gone, as long as it runs.
pub(crate) async fn watch(site: Arc<AppState>) {
    let changes = || site.people.changes() + site.tokens.file.as_ref().map_or(0, TokenFile::changes);
    let mut known = changes();
    loop {
        tokio::time::sleep(LOOKS).await;
        let now = changes();
        if now == known {
            continue;
        }
        known = now;
        let holds = |name: &str, stamp: &_| site.people.find(name).is_some_and(|one| one.stamp() == *stamp);
        site.sessions.keep(holds);
        site.tokens.changes.send_replace(now);
    }
}

/// Lets through who may, and shows others the way in.
pub(crate) async fn guard(State(site): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if OPEN.contains(&path) || path.starts_with(OPEN_FOLDER) {
        return next.run(request).await;
    }
    let Some((caller, standing)) = known(&site, &request) else { return way_in(&request) };
    let reads = request.method().is_safe() || QUESTIONS.contains(&path) || path == SIGN_OUT;
    if caller.role == Role::Viewer && !reads {
        tracing::warn!(name = caller.name, path, "refused a change by somebody who only reads");
        let path = path.to_owned();
        return CALLER.scope(caller, only_reads(&site, &path, &standing)).await;
    }
    let answer = CALLER.scope(caller, next.run(request)).await;
    ends_with(&site, standing, answer)
}

/// Why who only reads changes nothing.
async fn only_reads(site: &Arc<AppState>, path: &str, standing: &Standing) -> Response {
    if let Standing::Token(_) = standing {
        let text = "A token reads, it changes nothing: sign in, or use a command.";
        return refused(StatusCode::FORBIDDEN, text);
    }
    let text = "You only read here: this changes something, and takes an owner's password.";
    match is_of_api(path) {
        true => refused(StatusCode::FORBIDDEN, text),
        false => message(site, StatusCode::FORBIDDEN, "Not allowed", text).await,
    }
}

/// Who asks, and what that stands on.
fn known(site: &AppState, request: &Request) -> Option<(Caller, Standing)> {
    let headers = request.headers();
    let owner = |name: &str| Caller { name: name.into(), role: Role::Owner, signs_out: false };
    if !site.people.are_asked() {
        return Some((owner(security::who(headers)), Standing::Open));
    }
    if let Some(shown) = bearer(headers) {
        let command = site.access.command_token.as_ref().filter(|token| !token.is_empty());
        if command.is_some_and(|token| bool::from(token.expose().as_bytes().ct_eq(shown.as_bytes()))) {
            return Some((owner("command"), Standing::Given));
        }
        let name = format!("api:{}", site.tokens.name_of(shown)?);
        let caller = Caller { name, role: Role::Viewer, signs_out: false };
        return Some((caller, Standing::Token(shown.to_owned())));
    }
    if let Some(names) = &site.access.proxy_names
        && site.access.trusted_proxies.contain(peer(request))
        && headers.contains_key(&names.header)
    {
        return Some((said_by_proxy(headers, names)?, Standing::Given));
    }
    let cookies = CookieJar::from_headers(headers);
    let held = cookies.get(cookie_name(&site.access))?;
    let signed_in = site.sessions.find(held.value(), Instant::now())?;
    let person = site.people.find(&signed_in.name).filter(|person| signed_in.stands_on(&person.stamp()))?;
    let caller = Caller { name: person.name, role: person.role, signs_out: true };
    Some((caller, Standing::Session(signed_in)))
}

/// Whom a trusted proxy names: once, and with a name that can be one.
fn said_by_proxy(headers: &HeaderMap, names: &ProxyNames) -> Option<Caller> {
    let mut said = headers.get_all(&names.header).iter();
    let name = said.next()?.to_str().ok()?.trim();
    if said.next().is_some() || !is_name(name) {
        tracing::warn!(header = %names.header, "A proxy names nobody that can be: letters, digits and - _ . @ + are taken, at most 64.");
        return None;
    }
    let owns = names.owners.iter().any(|owner| owner == name);
    let role = if owns { Role::Owner } else { Role::Viewer };
    Some(Caller { name: name.to_owned(), role, signs_out: false })
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

/// Cuts off what still streams when what it stands on is over.
fn ends_with(site: &Arc<AppState>, standing: Standing, answer: Response) -> Response {
    let is_stream =
        answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    if !is_stream {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let over = over(Arc::clone(site), standing);
    let body = body.into_data_stream().take_until(Box::pin(over));
    Response::from_parts(parts, Body::from_stream(body))
}

/// Waits until that is over on which an answer stands.
async fn over(site: Arc<AppState>, standing: Standing) {
    let mut changes = site.tokens.changes.subscribe();
    let holds = || match &standing {
        Standing::Token(shown) => site.tokens.name_of(shown).is_some(),
        Standing::Open => !site.people.are_asked(),
        Standing::Session(_) | Standing::Given => true,
    };
    let changed = async {
        while holds() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    match &standing {
        Standing::Session(signed_in) => signed_in.clone().over().await,
        Standing::Given => std::future::pending().await,
        Standing::Token(_) | Standing::Open => changed.await,
    }
}

/// Logs what was refused: who, what and why, and nothing that they sent.
pub(crate) async fn log_refusals(
    State(site): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Response {
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
