//! The news page: every stored headline, found by words, symbol, section and
//! time, each with how its price reacted.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::time::{self, DAY, Millis};
use query::headlines::{Listed, Place, Search, Section};
use serde::Deserialize;
use url::form_urlencoded;

use super::{Frame, Moment, shown};
use crate::error::Failure;
use crate::reactions::{self, Reaction};
use crate::{AppState, request};

/// Articles on a page.
const SHOWN: usize = 50;
/// The most symbols and sections to choose from; others are named in the address.
const MOST_CHOICES: usize = 2_000;
/// A longer text is cut: nobody types it.
const LONGEST_TEXT: usize = 400;

/// What the page may be asked; what makes no sense is told beside its field.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
    symbol: String,
    section: String,
    /// The first day, in UTC.
    from: String,
    /// The last day, in UTC.
    to: String,
    /// Where the page before ended.
    after: String,
}

#[derive(Template)]
#[template(path = "news.html")]
struct News {
    frame: Frame,
    asked: Asked,
    /// What is wrong with a day.
    problem: String,
    articles: Vec<(Listed, Vec<Reaction>)>,
    total: u64,
    /// Whether there is any article at all.
    any: bool,
    symbols: Vec<String>,
    sections: Vec<Section>,
    /// The address of the next page.
    older: Option<String>,
}

impl News {
    fn is_narrowed(&self) -> bool {
        let Asked { q, symbol, section, from, to, after: _ } = &self.asked;
        [q, symbol, section, from, to].iter().any(|text| !text.is_empty())
    }
}

/// `GET /news`
pub(super) async fn page(
    State(site): State<Arc<AppState>>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Response {
    shown(&site, render(&site, query).await).await
}

async fn render(
    site: &AppState,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<(StatusCode, String), Failure> {
    let Query(asked) = query.map_err(|error| Failure::Query(error.body_text()))?;
    let (search, problem) = match asked.search() {
        Ok(search) => (search, String::new()),
        Err(problem) => (Search { text: asked.text(), limit: SHOWN, ..Search::default() }, problem),
    };
    let found = site.headlines.search(search).await?;
    let mut articles = Vec::with_capacity(found.articles.len());
    for article in found.articles {
        let reactions = reactions::of(&site.store, &article).await?;
        articles.push((article, reactions));
    }
    let status = if problem.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut sections = site.headlines.sections().await?;
    let mut symbols = site.headlines.symbols().await?;
    sections.truncate(MOST_CHOICES);
    symbols.truncate(MOST_CHOICES);
    let page = News {
        frame: Frame::around(site, "/news").await?,
        older: found.next.map(|place| asked.after(place)),
        any: found.total > 0 || !symbols.is_empty() || !sections.is_empty(),
        asked,
        problem,
        articles,
        total: found.total,
        symbols,
        sections,
    };
    Ok((status, page.render()?))
}

impl Asked {
    fn text(&self) -> String {
        self.q.chars().take(LONGEST_TEXT).collect()
    }

    fn search(&self) -> Result<Search, String> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let (from, to) = (day("from", &self.from)?, day("to", &self.to)?);
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            return Err("The last day lies before the first.".into());
        }
        Ok(Search {
            text: self.text(),
            symbol: some(&self.symbol),
            term: None,
            section: some(&self.section),
            from,
            to: to.map(|to| to + DAY),
            after: self.place(),
            limit: SHOWN,
        })
    }

    /// Where the page before ended; a place that is none begins anew.
    fn place(&self) -> Option<Place> {
        let (published, number) = self.after.split_once('.')?;
        let published = request::bounded("after", published.parse().ok()?).ok()?;
        Some(Place { published, number: number.parse().ok()? })
    }

    /// The address of what comes after a place.
    fn after(&self, place: Place) -> String {
        let Asked { q, symbol, section, from, to, after: _ } = self;
        let mut address = form_urlencoded::Serializer::for_suffix(String::from("/news?"), "/news?".len());
        address.append_pair("after", &format!("{}.{}", place.published, place.number));
        for (name, text) in [("q", q), ("symbol", symbol), ("section", section), ("from", from), ("to", to)] {
            if !text.is_empty() {
                address.append_pair(name, text);
            }
        }
        address.finish()
    }
}

/// The first instant of a day.
fn day(name: &str, typed: &str) -> Result<Option<Millis>, String> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let at = time::parse(typed).ok().filter(|_| typed.len() == 10);
    let at = at.ok_or_else(|| format!("`{name}` is no day: write it as 2026-03-02."))?;
    Ok(Some(at))
}
