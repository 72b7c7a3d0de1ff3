//! The event study page: what a symbol's price did around its news.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::AssetClass;
use model::time::Millis;
use serde::Deserialize;
use store::Measurement;
use study::report::{MINUTES, words};
use study::{Reaction, Share};

use super::{Frame, clock, shown};
use crate::error::Failure;
use crate::studies::{MOST_BARS, Studied};
use crate::{AppState, known, request};

/// So many articles are listed, the newest first; the API has them all.
const LISTED: usize = 100;
/// The most symbols to choose from; others are named in the address.
const MOST_CHOICES: usize = 2_000;

#[derive(Template)]
#[template(path = "study.html")]
struct Page {
    frame: Frame,
    plotly: String,
    symbol: String,
    /// The symbols to choose from.
    symbols: Vec<String>,
    about: String,
    notes: Vec<String>,
    used: usize,
    minutes: Vec<[String; 5]>,
    shares: Vec<[String; 5]>,
    articles: Vec<Line>,
    more: usize,
}

/// An article in the list.
struct Line {
    headline: String,
    url: String,
    at: Millis,
    reactions: [String; 3],
    left_out: &'static str,
}

impl Line {
    fn time(&self) -> String {
        clock(self.at)
    }
}

/// What the page may be asked.
#[derive(Deserialize)]
pub(super) struct StudyQuery {
    symbol: Option<String>,
}

/// `GET /study?symbol=S`
pub(super) async fn page(
    State(site): State<Arc<AppState>>,
    query: Result<Query<StudyQuery>, QueryRejection>,
) -> Response {
    shown(&site, render(&site, query).await).await
}

async fn render(
    site: &AppState,
    query: Result<Query<StudyQuery>, QueryRejection>,
) -> Result<(StatusCode, String), Failure> {
    let Query(query) = query.map_err(|error| Failure::Query(error.body_text()))?;
    let asked = request::optional_symbol(query.symbol)?;
    if let Some(asked) = &asked
        && !known::may_be_asked(site, asked).await?
    {
        return Err(Failure::Unknown(asked.clone()));
    }
    let in_the_news = symbols(site, &Measurement::articles().name).await?;
    let mut traded = BTreeSet::new();
    for class in AssetClass::ALL {
        traded.extend(symbols(site, &class.raw_table()).await?);
    }
    let first = in_the_news.intersection(&traded).next().or(traded.first()).cloned();
    let symbol = asked.or(first).unwrap_or_default();
    let studied = site.studies.of(&site.store, &symbol).await?;
    let page = Page {
        frame: Frame::around(site, "/study").await?,
        plotly: site.assets.plotly(),
        symbols: traded.union(&in_the_news).take(MOST_CHOICES).cloned().collect(),
        about: words::articles(&studied.study),
        notes: notes(&studied),
        used: studied.study.mean.events,
        minutes: minutes(&studied),
        shares: shares(&studied),
        articles: articles(&studied),
        more: studied.study.reactions.len().saturating_sub(LISTED),
        symbol,
    };
    Ok((StatusCode::OK, page.render()?))
}

async fn symbols(site: &AppState, measurement: &str) -> Result<BTreeSet<String>, Failure> {
    let rows = store::if_defined(site.store.latest(measurement).await)?;
    let column = rows.columns.iter().position(|column| column.name == "symbol");
    let names = rows.rows.iter().filter_map(|row| row.get(column?)?.as_str());
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn notes(studied: &Studied) -> Vec<String> {
    let run_up = words::run_up(studied.study.mean.run_up());
    let cut = studied.cut.map(|first| {
        format!(
            "Studied are the newest {MOST_BARS} bars and articles at most, from {}: `tickwire backtest` studies all.",
            clock(first)
        )
    });
    words::splits(&studied.study).into_iter().chain(run_up).chain(cut).collect()
}

/// Minute, mean, band, volume and articles.
fn minutes(studied: &Studied) -> Vec<[String; 5]> {
    let rows = MINUTES.iter().filter_map(|&minute| studied.study.mean.minute(minute)).filter_map(|minute| {
        let cumulative = minute.cumulative?;
        Some([
            minute.minute.to_string(),
            words::mean(Some(cumulative)),
            words::band(Some(cumulative)),
            words::times(minute.abnormal_volume),
            cumulative.count.to_string(),
        ])
    });
    rows.collect()
}

/// News, windows, share with jumps, its band and the mean volatility.
fn shares(studied: &Studied) -> Vec<[String; 5]> {
    let row = |news: &str, share: &Share| {
        let percent = |value: f64| format!("{:.1}", 100.0 * value);
        Some([
            news.to_owned(),
            share.windows.to_string(),
            percent(share.share()?),
            share.band.map_or("–".into(), |(low, high)| format!("{} to {}", percent(low), percent(high))),
            share.realized.map_or("–".into(), |mean| format!("{:.3}", 100.0 * mean)),
        ])
    };
    let compared = &studied.comparison;
    let rows = [row("With news", &compared.with_news), row("Without news", &compared.without_news)];
    rows.into_iter().flatten().collect()
}

fn articles(studied: &Studied) -> Vec<Line> {
    let line = |reaction: &Reaction| {
        let article = studied.article(reaction);
        let after = |minute| reaction.path.as_ref()?.minute(minute)?.cumulative;
        Line {
            headline: article.map_or(&reaction.id, |article| &article.headline).clone(),
            url: article.map(|article| article.url.clone()).unwrap_or_default(),
            at: reaction.at,
            reactions: [5, 30, 60].map(|minute| after(minute).map_or("–".into(), words::percent)),
            left_out: reaction.left_out.map_or("", study::LeftOut::reason),
        }
    };
    studied.study.reactions.iter().rev().take(LISTED).map(line).collect()
}
