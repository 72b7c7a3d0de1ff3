//! The pages and their API: bars, volatility and news of every symbol, read
//! from the store and followed through the log.

mod api;
mod assets;
mod cursor;
mod dead_letters;
mod error;
mod events;
mod gaps;
mod gzip;
mod hub;
mod item;
mod known;
mod measures;
mod overview;
mod pages;
mod previews;
mod reactions;
mod recompute;
mod request;
mod security;
mod series;
mod stalled;
mod status;
mod studies;
mod watchlist;
mod windows;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use axum::serve::ListenerExt;
use store::SharedStore;
use tokio::net::TcpListener;
use wire::again::{self, Again};
use wire::log::SharedLog;
use wire::stop::{Stop, Wish};

pub use error::WebError;

use assets::Assets;
use headlines::Headlines;
use hub::Hub;
use previews::Previews;
use security::Hosts;
use studies::Studies;
use windows::Windows;

/// How long open requests get to end after the wish to stop.
const GRACE: Duration = Duration::from_millis(800);

/// What every request works with.
struct Site {
    log: SharedLog,
    store: SharedStore,
    hub: Arc<Hub>,
    assets: Arc<Assets>,
    windows: Windows,
    headlines: Headlines,
    previews: Previews,
    studies: Studies,
    hosts: Hosts,
    again: Again,
    stop: Stop,
}

/// Serves the page and its API on `listener` until draining or stopping is
/// wished, then ends within a second, open event streams included.
///
/// # Errors
/// When the listener has no address or fails for good.
pub async fn serve(
    listener: TcpListener,
    log: SharedLog,
    store: SharedStore,
    stop: Stop,
) -> Result<(), WebError> {
    serve_asking(listener, log, store, again::channel().0, stop).await
}

/// [`serve`] in the process of a sink, which `again` asks to compute results again.
///
/// # Errors
/// As [`serve`].
pub async fn serve_asking(
    listener: TcpListener,
    log: SharedLog,
    store: SharedStore,
    again: Again,
    stop: Stop,
) -> Result<(), WebError> {
    let address = listener.local_addr().map_err(WebError::Listener)?;
    let assets = Arc::new(Assets::new());
    let compressing = tokio::task::spawn_blocking({
        let assets = Arc::clone(&assets);
        move || assets.compress()
    });
    let hub = Hub::new(Arc::clone(&log));
    let reading = tokio::spawn(Arc::clone(&hub).run());
    let (windows, hosts) = (Windows::default(), Hosts::of(address.ip()));
    let headlines = Headlines::new(Arc::clone(&log), Arc::clone(&store)).map_err(WebError::Headlines)?;
    let (previews, studies) = (Previews::default(), Studies::default());
    let site = Arc::new(Site {
        log,
        store,
        hub,
        assets,
        windows,
        headlines,
        previews,
        studies,
        hosts,
        again,
        stop: stop.clone(),
    });
    tracing::info!(address = %address, "the page is served");

    // Events are small and should not wait for each other.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection sends with delay");
        }
    });
    let ended = {
        let stop = stop.clone();
        async move { stop.at_least(Wish::Drain).await }
    };
    let overdue = async {
        stop.at_least(Wish::Drain).await;
        tokio::time::sleep(GRACE).await;
    };
    let outcome = tokio::select! {
        outcome = axum::serve(listener, router(site)).with_graceful_shutdown(ended).into_future() => outcome,
        () = overdue => Ok(()),
    };
    reading.abort();
    compressing.abort();
    outcome.map_err(WebError::Serving)
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .merge(pages::routes())
        .route("/api/v1/symbols", get(api::symbols))
        .route("/api/v1/series", get(api::series))
        .route("/api/v1/gaps", get(api::gaps))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/study", get(studies::api::study))
        .route("/api/v1/study.csv", get(studies::api::csv))
        .route("/api/v1/study/article", get(studies::api::article))
        .route("/api/v1/watchlist", watchlist::routes())
        .route("/api/v1/dead-letters/replay", dead_letters::routes())
        .route("/api/v1/recompute", recompute::routes())
        .route("/events", get(events::stream))
        .route("/assets/{*path}", get(assets::serve))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .fallback(pages::message::not_found)
        .method_not_allowed_fallback(pages::message::method_not_allowed)
        .layer(middleware::from_fn(security::check_origin))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), security::check_host))
        .layer(middleware::from_fn(security::add_headers))
        .with_state(site)
}

async fn alive() -> &'static str {
    "alive\n"
}

/// Ready once both the log and the store answer.
async fn ready(State(site): State<Arc<Site>>) -> (StatusCode, &'static str) {
    let log = site.log.topics().await.map(drop).map_err(|error| error.to_string());
    let store = site.store.measurements().await.map(drop).map_err(|error| error.to_string());
    match log.and(store) {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the log or the store does not answer\n")
        }
    }
}
