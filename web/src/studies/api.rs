//! The event study as JSON and as a table.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{self, HeaderMap};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use study::{Comparison, Estimate, Path, Reaction, Share, tables};

use super::Studied;
use crate::AppState;
use crate::api;
use crate::error::Failure;
use crate::known;
use crate::request;

/// What may be asked.
#[derive(Deserialize)]
pub(crate) struct StudyQuery {
    symbol: Option<String>,
    id: Option<String>,
}

type Asked = Result<Query<StudyQuery>, QueryRejection>;

/// `GET /api/v1/study?symbol=S`
pub(crate) async fn study(
    State(site): State<Arc<AppState>>,
    query: Asked,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let studied = asked(&site, query).await?.0;
    api::json(whole(&studied), &headers).await
}

/// `GET /api/v1/study/article?symbol=S&id=I`
pub(crate) async fn article(
    State(site): State<Arc<AppState>>,
    query: Asked,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (studied, id) = asked(&site, query).await?;
    let problem = "is missing: name one article, as /api/v1/study lists them";
    let id = id.ok_or_else(|| request::parameter("id", problem))?;
    let problem = format!("names no article of {}", studied.study.symbol);
    let reaction = studied.reaction(&id).ok_or_else(|| request::parameter("id", problem))?;
    api::json(one(reaction), &headers).await
}

/// `GET /api/v1/study.csv?symbol=S`: the mean path.
pub(crate) async fn csv(State(site): State<Arc<AppState>>, query: Asked) -> Result<Response, Failure> {
    let studied = asked(&site, query).await?.0;
    let symbol = &studied.study.symbol;
    let table = tables::mean_paths([(symbol.as_str(), &studied.study.mean)]);
    let mut text = table.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(",");
    for row in &table.rows {
        // Numbers, and a symbol that has been checked: nothing to be quoted.
        let cells = row.iter().map(|value| match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.as_f64().map(model::number::f64_text).unwrap_or_default(),
        });
        text.push('\n');
        text.push_str(&cells.collect::<Vec<_>>().join(","));
    }
    text.push('\n');
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"event-study.csv\""),
    ];
    Ok((headers, text).into_response())
}

async fn asked(site: &AppState, query: Asked) -> Result<(Arc<Studied>, Option<String>), Failure> {
    let Query(query) = query.map_err(|error| Failure::Query(error.body_text()))?;
    let symbol = request::symbol(query.symbol)?;
    if !known::may_be_asked(site, &symbol).await? {
        return Err(Failure::Unknown(symbol));
    }
    Ok((site.studies.of(&site.store, &symbol).await?, query.id))
}

fn whole(studied: &Studied) -> Json {
    let study = &studied.study;
    let left_out: Vec<_> = study
        .left_out()
        .into_iter()
        .map(|(reason, articles)| json!({"reason": reason.reason(), "articles": articles}))
        .collect();
    let splits: Vec<_> =
        study.splits.iter().map(|split| json!({"at": split.at, "ratio": split.to_string()})).collect();
    let minutes: Vec<_> = study
        .mean
        .minutes
        .iter()
        .map(|minute| {
            json!({
                "minute": minute.minute,
                "cumulative": minute.cumulative.map(estimate),
                "abnormal_return": minute.abnormal_return.map(estimate),
                "abnormal_volume": minute.abnormal_volume.map(estimate),
            })
        })
        .collect();
    let reactions: Vec<_> = study.reactions.iter().map(|reaction| line(studied, reaction)).collect();
    json!({
        "symbol": study.symbol, "cut": studied.cut, "confidence": studied.options.confidence, "articles": study.reactions.len(),
        "used": study.mean.events, "repeated": study.repeated, "left_out": left_out, "splits": splits,
        "run_up": study.mean.run_up().map(estimate), "minutes": minutes,
        "windows": windows(&studied.comparison), "reactions": reactions,
    })
}

fn line(studied: &Studied, reaction: &Reaction) -> Json {
    let after = |minute| reaction.path.as_ref()?.minute(minute)?.cumulative;
    let article = studied.article(reaction);
    json!({
        "id": reaction.id, "event_time": reaction.at,
        "headline": article.map(|article| &article.headline), "url": article.map(|article| &article.url),
        "left_out": reaction.left_out.map(|reason| reason.reason()),
        "after_5": after(5), "after_30": after(30), "after_60": after(60),
    })
}

fn one(reaction: &Reaction) -> Json {
    let minutes = |path: &Path| -> Vec<Json> {
        let of = |minute: &study::Minute| {
            json!({
                "minute": minute.minute, "log_return": minute.log_return, "cumulative": minute.cumulative,
                "standard_error": minute.standard_error, "low": minute.band.map(|band| band.0),
                "high": minute.band.map(|band| band.1), "volume": minute.volume,
                "abnormal_return": minute.abnormal_return, "abnormal_volume": minute.abnormal_volume,
            })
        };
        path.minutes.iter().map(of).collect()
    };
    let path = reaction.path.as_ref();
    json!({
        "id": reaction.id, "symbol": reaction.symbol, "event_time": reaction.at,
        "left_out": reaction.left_out.map(|reason| reason.reason()),
        "reference_price": path.map(|path| path.reference_price),
        "reference_known": path.map(|path| path.reference_known),
        "quiet_sessions": path.map(|path| path.sessions), "minutes": path.map(minutes),
    })
}

fn estimate(estimate: Estimate) -> Json {
    json!({
        "mean": estimate.mean, "articles": estimate.count, "standard_error": estimate.standard_error,
        "low": estimate.band.map(|band| band.0), "high": estimate.band.map(|band| band.1),
    })
}

fn windows(comparison: &Comparison) -> Json {
    let share = |share: &Share| {
        json!({
            "windows": share.windows, "with_jumps": share.jumps, "share": share.share(),
            "low": share.band.map(|band| band.0), "high": share.band.map(|band| band.1),
            "sessions": share.sessions, "mean_realized": share.realized,
        })
    };
    json!({
        "with_news": share(&comparison.with_news), "without_news": share(&comparison.without_news),
        "left_out_for_splits": comparison.splits,
    })
}
