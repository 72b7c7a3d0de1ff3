//! The JSON API: everything that the page shows, for notebooks too.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use control::watchlist::EVERY_SYMBOL;
use log::LogError;
use model::service::Service;
use serde::{Deserialize, Serialize};

use crate::assets::{compress, is_taken};
use crate::cursor::{self, Cursor};
use crate::error::Failure;
use crate::measures::{self, Measure};
use crate::overview::{self, Latest};
use crate::series::{self, Wanted};
use crate::{AppState, known, request};

/// Two full trading days, from the opening before to the close after the session.
const DEFAULT_BARS: usize = 2 * 16 * 60;

/// Symbols of one answer, unless another number is asked for.
const DEFAULT_SYMBOLS: usize = 5_000;

/// The reader whose commits say what the store holds.
const SINK: &str = Service::Sink.name();

/// Answers are for now, in JSON.
pub(crate) const HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_TYPE, "application/json"),
    (header::CACHE_CONTROL, "no-store"),
    (header::VARY, "accept-encoding"),
];

/// A shorter answer is not worth compressing.
const WORTH_COMPRESSING: usize = 4 * 1024;
/// Done for each answer, so it has to be quick.
const COMPRESSION: u32 = 4;

/// Symbols with their newest rows.
#[derive(Serialize)]
struct Symbols {
    measures: Vec<Measure>,
    symbols: Vec<Latest>,
    /// Whether there are more after the last one.
    more: bool,
}

/// What `/api/v1/symbols` may be asked.
#[derive(Deserialize)]
pub(crate) struct SymbolsQuery {
    after: Option<String>,
    limit: Option<String>,
}

/// `GET /api/v1/symbols?after=S&limit=N`: by name, those after a symbol.
pub(crate) async fn symbols(
    State(site): State<Arc<AppState>>,
    query: Result<Query<SymbolsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Query(query) = query.map_err(|error| Failure::Query(error.body_text()))?;
    let limit = request::limit(query.limit.as_deref(), DEFAULT_SYMBOLS)?;
    let measures = measures::stored(&site.store).await?;
    let mut symbols = overview::read(&site.store, &site.windows).await?;
    if let Some(after) = query.after {
        symbols.retain(|latest| latest.symbol > after);
    }
    let more = symbols.len() > limit;
    symbols.truncate(limit);
    json(Symbols { measures, symbols, more }, &headers).await
}

/// `GET /api/v1/sparks`
pub(crate) async fn sparks(
    State(site): State<Arc<AppState>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    json(crate::sparks::read(&site.store).await?, &headers).await
}

/// What `/api/v1/series` may be asked.
#[derive(Deserialize)]
pub(crate) struct SeriesQuery {
    symbol: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<String>,
    compact: Option<String>,
}

/// `GET /api/v1/series?symbol=S&from=T&to=T&limit=N&compact=true`
pub(crate) async fn series(
    State(site): State<Arc<AppState>>,
    query: Result<Query<SeriesQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Query(query) = query.map_err(|error| Failure::Query(error.body_text()))?;
    let symbol = request::symbol(query.symbol)?;
    let (from, to) = request::range(query.from.as_deref(), query.to.as_deref())?;
    let limit = request::limit(query.limit.as_deref(), DEFAULT_BARS)?;
    let compact = request::flag("compact", query.compact.as_deref())?;
    // Before the store is read: what is committed later is then in the stream as well.
    let cursor = stored_up_to(&site).await?.text(site.hub.lanes());
    if !known::may_be_asked(&site, &symbol).await? {
        return Err(Failure::Unknown(symbol));
    }
    let series = series::read(&site.store, Wanted { symbol, from, to, limit, compact }, cursor).await?;
    json(series, &headers).await
}

/// What `/api/v1/gaps` may be asked.
#[derive(Deserialize)]
pub(crate) struct GapsQuery {
    symbol: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// `GET /api/v1/gaps?symbol=S&from=T&to=T`: what is known to be missing of the prices.
pub(crate) async fn gaps(
    State(site): State<Arc<AppState>>,
    query: Result<Query<GapsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Query(query) = query.map_err(|error| Failure::Query(error.body_text()))?;
    // A gap of the whole feed stands under the symbol for all of them.
    let symbol = match query.symbol {
        Some(every) if every == EVERY_SYMBOL => Some(every),
        symbol => request::optional_symbol(symbol)?,
    };
    let (from, to) = request::range(query.from.as_deref(), query.to.as_deref())?;
    json(crate::gaps::read(&site.store, symbol.as_deref(), from, to).await?, &headers).await
}

/// `GET /api/v1/status`
pub(crate) async fn status(
    State(site): State<Arc<AppState>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    json(site.report().await?, &headers).await
}

/// An answer as JSON, compressed where that is taken and worth it: off the
/// threads that serve others, because a long series takes its milliseconds.
pub(crate) async fn json(
    answer: impl Serialize + Send + 'static,
    asked: &HeaderMap,
) -> Result<Response, Failure> {
    let may_compress = is_taken(asked);
    let written = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_vec(&answer).map_err(std::io::Error::from)?;
        let compressed = match may_compress && text.len() > WORTH_COMPRESSING {
            true => Some(compress(&text, COMPRESSION)?),
            false => None,
        };
        Ok((text, compressed))
    });
    match written.await.map_err(std::io::Error::other).flatten().map_err(Failure::Answer)? {
        (_, Some(compressed)) => {
            Ok((HEADERS, [(header::CONTENT_ENCODING, "gzip")], compressed).into_response())
        }
        (text, None) => Ok((HEADERS, text).into_response()),
    }
}

/// Up to where everything in the log is in the store.
async fn stored_up_to(site: &AppState) -> Result<Cursor, LogError> {
    let committed = site.log.committed(SINK).await?;
    let extents = cursor::extents(site.log.as_ref(), site.hub.lanes()).await?;
    Ok(Cursor::after(&committed, site.hub.lanes(), &extents))
}

// The description of the API for programs that read such descriptions.

const DOCUMENT: &str = include_str!("../api/openapi.json");

/// `GET /api/v1/openapi.json`
pub(crate) async fn serve() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value as Json;

    #[test]
    fn every_path_of_the_api_is_described_and_no_other() {
        let document: Json = serde_json::from_str(super::DOCUMENT).unwrap();
        let described: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
        let served = crate::api_routes().into_iter().map(|(path, _)| path.to_owned());
        assert_eq!(served.collect::<BTreeSet<_>>(), described);
    }

    #[test]
    fn every_operation_says_what_it_is_for_and_what_its_parameters_are() {
        let document: Json = serde_json::from_str(super::DOCUMENT).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let said = |name: &str| operation[name].as_str().is_some_and(|text| !text.is_empty());
                assert!(said("summary") && said("operationId"), "{method} {path}");
                assert!(operation["responses"]["200"].is_object(), "{method} {path}");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let described = parameter["description"].is_string() && parameter["schema"].is_object();
                    assert!(described, "{method} {path}: {parameter}");
                }
            }
        }
    }
}
