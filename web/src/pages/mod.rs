//! The pages: each is one file here and one template, a line in [`routes`] and
//! one in the navigation ([`frame`]).

pub(crate) mod frame;
mod live;
pub(crate) mod message;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use wire::time::{self, Millis};

use crate::Site;
use crate::error::Failure;

/// Every page under its address.
pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/", get(live::page))
}

/// A page as rendered, which is never kept, or the page that says why not.
async fn shown(site: &Site, rendered: Result<(StatusCode, String), Failure>) -> Response {
    match rendered {
        Ok((status, page)) => (status, [(header::CACHE_CONTROL, "no-store")], Html(page)).into_response(),
        Err(failure) => message::failed(site, &failure).await,
    }
}

/// A time as pages write it before a script puts it into the reader's zone.
fn clock(at: Millis) -> String {
    time::rfc3339(at).replace('T', " ").replace(":00Z", " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_its_year() {
        assert_eq!(clock(1_381_505_400_000), "2013-10-11 15:30 UTC");
    }
}
