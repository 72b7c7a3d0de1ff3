//! Episodes of alerts out of the store, and `/api/v1/alerts`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Asked, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::Alert;
use model::time::{DAY, Millis};
use model::topic::ALERTS;
use serde::{Deserialize, Serialize};
use store::{Query, SharedStore, if_defined};

use crate::AppState;
use crate::error::Failure;
use crate::overview::{each_page, objects};
use crate::request;

/// Without a `from`, episodes of so long before the newest are given.
const LATELY: Millis = 7 * DAY;
/// So many episodes are read at once.
const PAGE: usize = 1_000;
/// The most episodes that are looked through for one answer.
const MOST: usize = 200_000;
/// The most episodes of one answer.
const SHOWN: usize = 1_000;

/// Which episodes are wanted; empty fields ask for nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    pub(crate) symbol: String,
    pub(crate) rule: String,
    /// `open` or `closed`; both where it is empty.
    pub(crate) state: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) limit: String,
}

/// Episodes, newest first.
#[derive(Debug, Serialize)]
pub(crate) struct Episodes {
    pub(crate) alerts: Vec<Alert>,
    /// Whether there are more than were given.
    pub(crate) more: bool,
}

/// `GET /api/v1/alerts?symbol=S&rule=R&state=open|closed&from=T&to=T&limit=N`
pub(crate) async fn api(
    State(site): State<Arc<AppState>>,
    query: Result<Asked<Wanted>, QueryRejection>,
) -> Result<Response, Failure> {
    let Asked(wanted) = query.map_err(|error| Failure::Query(error.body_text()))?;
    let episodes = read(&site.store, &wanted).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(episodes)).into_response())
}

/// The episodes that are wanted, those that opened last first.
pub(crate) async fn read(store: &SharedStore, wanted: &Wanted) -> Result<Episodes, Failure> {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let symbol = request::optional_symbol(given(&wanted.symbol))?;
    let (from, to) = request::range(given(&wanted.from).as_deref(), given(&wanted.to).as_deref())?;
    let limit = request::limit(given(&wanted.limit).as_deref(), SHOWN)?;
    let open = match wanted.state.as_str() {
        "" => None,
        "open" => Some(true),
        "closed" => Some(false),
        _ => return Err(request::parameter("state", "must be `open` or `closed`, or left out")),
    };
    let from = match from {
        Some(from) => Some(from),
        None => newest(store).await?.map(|newest| to.unwrap_or(newest).min(newest).saturating_sub(LATELY)),
    };
    let tags = symbol.map(|symbol| ("symbol".to_owned(), symbol));
    let tags = tags.into_iter().chain(given(&wanted.rule).map(|rule| ("rule".to_owned(), rule))).collect();
    let query = Query { measurement: ALERTS.measurement(), tags, from, to, ..Query::default() };
    // Rows come by symbol and rule: the newest of all are kept while everything is read through.
    let (mut alerts, mut more) = (Vec::new(), false);
    let all = each_page(store, query, PAGE, MOST, |page| {
        let found = objects(page).into_iter();
        let found = found.filter_map(|row| serde_json::from_value::<Alert>(row.into()).ok());
        alerts.extend(found.filter(|alert| open.is_none_or(|open| open == alert.closed.is_none())));
        alerts.sort_by(|one: &Alert, other| {
            other.opened.cmp(&one.opened).then_with(|| one.episode.cmp(&other.episode))
        });
        more |= alerts.len() > limit;
        alerts.truncate(limit);
        Ok(())
    });
    more |= !all.await?;
    Ok(Episodes { alerts, more })
}

/// When the newest episode opened.
async fn newest(store: &SharedStore) -> Result<Option<Millis>, Failure> {
    let latest = objects(if_defined(store.latest(&ALERTS.measurement()).await)?);
    Ok(latest.iter().filter_map(|row| row.get("opened")?.as_i64()).max())
}
