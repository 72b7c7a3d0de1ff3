//! The alert rules over HTTP, and the signals that they can watch.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use control::rules::{self, Rule};
use model::schema::ColumnType;
use store::{SharedStore, StoreError};

use crate::AppState;
use crate::error::Failure;
use crate::kept;

/// The measurement of the job whose columns are the signals.
const SIGNALS: &str = "signals";

/// The longest list taken, in bytes: the longest that there may be, with room for how it is written.
const LONGEST: usize = 1 << 21;

/// `GET` and `PUT /api/v1/rules`
pub(crate) fn routes() -> MethodRouter<Arc<AppState>> {
    get(kept::read::<Rule>).put(put).layer(DefaultBodyLimit::max(LONGEST))
}

async fn put(
    State(site): State<Arc<AppState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let known = signals(&site.store).await?;
    let typed = rules::parse(&body).and_then(|rules| {
        rules::check_signals(&rules, &known)?;
        Ok(rules)
    });
    kept::put(&site, &headers, typed).await
}

/// What rules can watch: the numbers of the job `signals`; none before it has run.
pub(crate) async fn signals(store: &SharedStore) -> Result<Vec<String>, StoreError> {
    let found = store.measurements().await?.into_iter().find(|measurement| measurement.name == SIGNALS);
    let columns = found.map(|measurement| measurement.columns).unwrap_or_default();
    let numbers =
        columns.into_iter().filter(|column| matches!(column.kind, ColumnType::Float | ColumnType::Int));
    Ok(numbers.map(|column| column.name).collect())
}
