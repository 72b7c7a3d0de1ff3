//! The pages: each is one file here and one template, a line in [`routes`] and
//! one in the navigation ([`frame`]).

mod alerts;
mod explore;
pub(crate) mod frame;
mod live;
pub(crate) mod message;
pub(crate) mod moment;
mod news;
mod status;
mod study;
mod watchlist;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::AppState;
use crate::error::Failure;

/// Every page under its address.
pub(crate) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/", get(live::page))
        .route("/news", get(news::page))
        .route("/watchlist", watchlist::routes())
        .route("/study", get(study::page))
        .route("/explore", get(explore::page))
        .merge(alerts::routes())
        .merge(status::routes())
}

/// A page as rendered, which is never kept, or the page that says why not.
async fn shown(site: &AppState, rendered: Result<(StatusCode, String), Failure>) -> Response {
    match rendered {
        Ok((status, page)) => (status, [(header::CACHE_CONTROL, "no-store")], Html(page)).into_response(),
        Err(failure) => message::failed(site, &failure).await,
    }
}
