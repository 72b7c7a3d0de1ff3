//! The pages and their API: bars, volatility and news of every symbol, read
//! from the store and followed through the log.

mod access;
mod api;
mod assets;
mod cursor;
mod dead_letters;
mod episodes;
mod error;
mod escape;
mod events;
mod gaps;
mod hub;
mod item;
mod kept;
mod known;
mod load;
mod measures;
mod overview;
mod pages;
mod previews;
mod queries;
mod reactions;
mod recompute;
mod request;
mod rules;
mod security;
mod series;
mod shown;
mod sparks;
mod stalled;
mod status;
mod studies;
mod tables;
mod watchlist;
mod windows;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get};
use axum::{Router, middleware};
use control::recompute::RecomputeHandle;
use control::shutdown::{Shutdown, ShutdownToken};
use log::{LogError, SharedLog};
use query::explore::Explorer;
use query::headlines::Headlines;
use store::SharedStore;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tower_http::timeout::TimeoutLayer;

use access::{People, Rates, Sessions, Throttle, Tokens};
use assets::Assets;
use hub::Hub;
use load::Load;
use previews::Previews;
use security::Hosts;
use status::{Board, Report};
use studies::Studies;
use tables::Downloads;
use windows::Windows;

pub use access::{
    Access, ApiTokens, BadPassword, BadPeople, BadProxy, BadTokens, KnownToken, OWNER, Pace, PasswordHash,
    PeopleFile, Person, Proxies, ProxyNames, Role, SignIn, VIEWER, command_token,
};
pub use error::WebError;
pub use queries::LIMITS as QUERY_LIMITS;
pub use status::{Key, Observe, Process, ReadAgain};

/// How long open requests get to end after the wish to stop.
const GRACE: Duration = Duration::from_millis(800);

/// The longest body taken, in bytes, where a route does not say otherwise: a form.
const LONGEST_FORM: usize = 16 << 10;

/// What every request works with.
struct AppState {
    log: SharedLog,
    store: SharedStore,
    hub: Arc<Hub>,
    assets: Arc<Assets>,
    windows: Windows,
    headlines: Headlines,
    previews: Previews,
    studies: Studies,
    board: Mutex<Board>,
    explorer: Explorer,
    /// Answers to questions on their way to who asked.
    answers: Downloads,
    downloads: Downloads,
    load: Load,
    hosts: Hosts,
    process: Process,
    again: RecomputeHandle,
    access: Access,
    people: People,
    throttle: Throttle,
    sessions: Sessions,
    rates: Rates,
    tokens: Tokens,
    stop: ShutdownToken,
}

impl AppState {
    /// What the services say now.
    async fn report(&self) -> Result<Report, LogError> {
        let mut board = self.board.lock().await;
        board.refresh(self.log.as_ref()).await?;
        Ok(board.report())
    }
}

/// Serves the page and its API on `listener` until draining or stopping is
/// wished, then ends within a second, open event streams included.
///
/// # Errors
/// When the listener has no address, or other machines reach it and `access`
/// asks for no password.
pub async fn serve(
    listener: TcpListener,
    log: SharedLog,
    store: SharedStore,
    access: Access,
    stop: ShutdownToken,
) -> Result<(), WebError> {
    serve_in(listener, log, store, access, Process::default(), stop).await
}

/// [`serve`] in a process that knows and does more than the pages alone.
///
/// # Errors
/// As [`serve`].
pub async fn serve_in(
    listener: TcpListener,
    log: SharedLog,
    store: SharedStore,
    access: Access,
    process: Process,
    stop: ShutdownToken,
) -> Result<(), WebError> {
    let address = listener.local_addr().map_err(WebError::Listener)?;
    access.check(address)?;
    let assets = Arc::new(Assets::new());
    let compressing = tokio::task::spawn_blocking({
        let assets = Arc::clone(&assets);
        move || assets.compress()
    });
    let limits = limits(&access);
    let hub = Hub::new(Arc::clone(&log), &process.classes);
    let reading = tokio::spawn(Arc::clone(&hub).run());
    let headlines = Headlines::new(Arc::clone(&log), Arc::clone(&store)).map_err(WebError::Headlines)?;
    let site = Arc::new(AppState {
        explorer: process
            .explorer
            .clone()
            .unwrap_or_else(|| Explorer::new(Arc::clone(&store), queries::LIMITS)),
        answers: Downloads::new(access.pace.reader),
        downloads: Downloads::new(access.pace.reader),
        log,
        store,
        hub,
        assets,
        windows: Windows::default(),
        headlines,
        previews: Previews::default(),
        studies: Studies::default(),
        board: Mutex::default(),
        load: Load::of(limits.connections),
        hosts: Hosts::of(address.ip(), access.public_url.as_ref()),
        again: process.again(),
        process,
        sessions: Sessions::new(access.sign_in),
        rates: Rates::new(access.pace),
        people: People::of(&access),
        throttle: Throttle::new(access.pace),
        tokens: Tokens::of(&access),
        access,
        stop: stop.clone(),
    });
    let watching = tokio::spawn(access::watch(Arc::clone(&site)));
    tracing::info!(address = %address, "the page is served");

    let ended = {
        let stop = stop.clone();
        async move { stop.at_least(Shutdown::Drain).await }
    };
    let overdue = async {
        stop.at_least(Shutdown::Drain).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = inbound::serve(listener, router(site), limits, ended) => {}
        () = overdue => {}
    }
    reading.abort();
    watching.abort();
    compressing.abort();
    Ok(())
}

/// As many connections as the process has files for; a proxy that is trusted
/// brings those of many clients.
fn limits(access: &Access) -> inbound::Limits {
    let proxies = access.trusted_proxies.clone();
    let may_be_many = Arc::new(move |address: IpAddr| proxies.contain(address));
    let mut limits = inbound::Limits { may_be_many, ..inbound::Limits::of_process() };
    if let Some(most) = access.pace.connections {
        limits = inbound::Limits { may_be_many: limits.may_be_many, ..inbound::Limits::of(most) };
    }
    limits
}

fn router(site: Arc<AppState>) -> Router {
    let api = api_routes().into_iter();
    api.fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .merge(pages::routes())
        .merge(access::routes())
        .route("/events", get(events::stream))
        .route("/assets/{*path}", get(assets::serve))
        .route("/livez", get(status::alive))
        .route("/healthz", get(status::alive))
        .route("/readyz", get(status::ready))
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::method_not_allowed)
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), load::turn))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, site.access.pace.patience))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), access::guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), access::limit))
        .layer(middleware::from_fn(security::check_origin))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), security::check_host))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), access::log_refusals))
        .layer(middleware::from_fn(error::in_one_form))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), security::add_headers))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), status::observe))
        .with_state(site)
}

/// The API; each path stands in `api/openapi.json`, which a test holds.
fn api_routes() -> Vec<(&'static str, MethodRouter<Arc<AppState>>)> {
    vec![
        ("/api/v1/symbols", get(api::symbols)),
        ("/api/v1/series", get(api::series)),
        ("/api/v1/sparks", get(api::sparks)),
        ("/api/v1/gaps", get(api::gaps)),
        ("/api/v1/status", get(api::status)),
        ("/api/v1/alerts", get(episodes::api)),
        ("/api/v1/rules", rules::routes()),
        ("/api/v1/study", get(studies::api::study)),
        ("/api/v1/study.csv", get(studies::api::csv)),
        ("/api/v1/study/article", get(studies::api::article)),
        ("/api/v1/watchlist", watchlist::routes()),
        ("/api/v1/measurements", get(tables::api)),
        ("/api/v1/export/{measurement}", get(tables::export)),
        ("/api/v1/query", queries::routes()),
        ("/api/v1/dead-letters", get(dead_letters::list)),
        ("/api/v1/dead-letters.jsonl", get(dead_letters::lines)),
        ("/api/v1/dead-letters/{partition}/{offset}", get(dead_letters::one)),
        ("/api/v1/dead-letters/replay", dead_letters::routes()),
        ("/api/v1/recompute", recompute::routes()),
        ("/api/v1/openapi.json", get(api::serve)),
    ]
}
