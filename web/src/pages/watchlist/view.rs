//! The watchlist page as it is rendered.

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use control::watchlist::{self, EVERY_SYMBOL, Entry, Past};
use model::service::Service;
use model::status::{EntryState, QuotaState, ServiceStatus};
use model::time::Millis;
use query::headlines::Search;
use serde_json::Value as Json;

use super::form::{Problems, Typed};
use crate::error::Failure;
use crate::overview::latest_bars;
use crate::pages::{Frame, Moment};
use crate::{AppState, previews};

/// Entries on a page: what each became is looked up.
const SHOWN: usize = 200;
/// Changes shown of the history.
const HISTORY: usize = 15;

/// What the page is to show beside the list.
#[derive(Default)]
pub(super) struct State {
    pub(super) typed: Typed,
    pub(super) problems: Problems,
    /// Somebody else has changed the list since the page was read.
    pub(super) conflict: bool,
    /// Whether the headlines of the term that was typed are to be shown.
    pub(super) preview: bool,
    /// The entry to be edited.
    pub(super) edit: Option<usize>,
    /// The version that a change has just led to.
    pub(super) done: Option<u64>,
    /// The place of the first entry shown.
    pub(super) from: usize,
}

/// What the template is given.
#[derive(Template)]
#[template(path = "watchlist.html")]
pub(super) struct View {
    frame: Frame,
    version: u64,
    total: usize,
    rows: Vec<Row>,
    /// The place of the first entry of the page before and after this one.
    before: Option<usize>,
    after: Option<usize>,
    past: Vec<Past>,
    quota: Option<QuotaState>,
    typed: Typed,
    problems: Problems,
    conflict: bool,
    done: Option<String>,
    preview: Option<previews::Shown>,
}

impl View {
    pub(super) async fn render(
        site: &AppState,
        status: StatusCode,
        state: State,
    ) -> Result<(StatusCode, String), Failure> {
        let frame = Frame::around(site, "/watchlist").await?;
        let list = watchlist::read(&*site.log).await?;
        let past = watchlist::history(&*site.log, HISTORY).await?;
        let services = &frame.report.services;
        let preview = match state.preview {
            true => {
                let entry = state.typed.entry();
                let term = entry.search_term.unwrap_or_default();
                Some(site.previews.of(site, services, &term, &entry.sections).await?)
            }
            false => None,
        };
        let known = Known::look_up(site, services).await?;
        let first = state.from.clamp(1, list.entries.len().max(1));
        let mut rows = Vec::new();
        for (place, entry) in (1..).zip(&list.entries).skip(first - 1).take(SHOWN) {
            rows.push(known.row(site, place, entry).await?);
        }
        let edited = state.edit.and_then(|place| Some((place, list.entries.get(place.checked_sub(1)?)?)));
        let page = View {
            version: list.version,
            total: list.entries.len(),
            before: (first > 1).then(|| first.saturating_sub(SHOWN).max(1)),
            after: (first - 1 + SHOWN < list.entries.len()).then_some(first + SHOWN),
            rows,
            quota: services.iter().find_map(|service| service.quota),
            typed: edited.map_or(state.typed, |(place, entry)| Typed::of(place, entry)),
            problems: state.problems,
            conflict: state.conflict,
            done: state.done.and_then(|version| said(&past, version)),
            past,
            preview,
            frame,
        };
        Ok((status, page.render()?))
    }

    fn calls_left(&self) -> u64 {
        self.quota.map_or(0, |quota| quota.per_day.saturating_sub(quota.used_today))
    }

    fn is_editing(&self) -> bool {
        !self.typed.place.is_empty()
    }

    /// Whether this is the entry in the form.
    fn is_edited(&self, row: &Row) -> bool {
        self.typed.place == row.place.to_string()
    }
}

/// What a change was, for who has just made it.
fn said(past: &[Past], version: u64) -> Option<String> {
    past.iter().find(|past| past.version == version).map(|past| past.summary.clone())
}

// What the services made of each entry: as they say themselves, and as the
// store shows it.

/// One entry of the list with what became of it.
pub(super) struct Row {
    /// Counted from 1.
    pub(super) place: usize,
    pub(super) symbol: String,
    pub(super) term: String,
    pub(super) sections: String,
    /// What each service says, a line each.
    pub(super) said: Vec<Said>,
    /// Whether it is the symbol of a single company, with a chart to look at.
    pub(super) charted: bool,
}

/// A line about an entry.
pub(super) struct Said {
    /// `Prices` or `News`.
    pub(super) of: &'static str,
    pub(super) state: String,
    pub(super) bad: bool,
    /// Times with what each is: `last bar`.
    pub(super) times: Vec<(&'static str, Moment)>,
}

/// What is known of all entries, looked up once.
pub(super) struct Known<'a> {
    prices: HashMap<&'a str, &'a EntryState>,
    news: HashMap<(Option<&'a str>, &'a str), &'a EntryState>,
    last_bars: HashMap<String, Millis>,
    /// Whether the sources go by the list at all: a replay and a simulation bring what they have.
    live_prices: bool,
    live_news: bool,
}

impl<'a> Known<'a> {
    pub(super) async fn look_up(
        site: &AppState,
        services: &'a [ServiceStatus],
    ) -> Result<Known<'a>, Failure> {
        let service = |service: Service| services.iter().find(|status| status.is_of(service));
        let entries = |of: Service| service(of).map(|status| status.entries.as_slice()).unwrap_or_default();
        let (prices, news) = (entries(Service::Producer), entries(Service::NewsWatcher));
        let bars = latest_bars(&site.store).await?;
        let last_bar = |row: &serde_json::Map<String, Json>| {
            Some((row.get("symbol")?.as_str()?.to_owned(), row.get("start_timestamp")?.as_i64()?))
        };
        let of_symbol = |state: &'a EntryState| Some((state.symbol.as_deref()?, state));
        let of_term =
            |state: &'a EntryState| Some(((state.symbol.as_deref(), state.search_term.as_deref()?), state));
        Ok(Known {
            live_prices: !prices.is_empty()
                || service(Service::Producer).is_some_and(|status| status.planned_lag.is_some()),
            live_news: service(Service::NewsWatcher).is_some_and(|status| status.quota.is_some()),
            prices: prices.iter().filter_map(of_symbol).collect(),
            news: news.iter().filter_map(of_term).collect(),
            last_bars: bars.iter().filter_map(last_bar).collect(),
        })
    }

    pub(super) async fn row(&self, site: &AppState, place: usize, entry: &Entry) -> Result<Row, Failure> {
        let mut said = Vec::new();
        if let Some(symbol) = &entry.symbol {
            said.push(self.prices_of(symbol));
        }
        if let Some(term) = &entry.search_term {
            said.push(self.news_of(site, entry, term).await?);
        }
        let charted = entry.symbol.as_deref().is_some_and(|symbol| self.last_bars.contains_key(symbol));
        Ok(Row {
            place,
            symbol: entry.symbol.clone().unwrap_or_default(),
            term: entry.search_term.clone().unwrap_or_default(),
            sections: entry.sections.join(", "),
            said,
            charted,
        })
    }

    fn prices_of(&self, symbol: &str) -> Said {
        let last_bar = match symbol {
            EVERY_SYMBOL => self.last_bars.values().max(),
            symbol => self.last_bars.get(symbol),
        };
        let mut times: Vec<(&'static str, Moment)> =
            last_bar.map(|&at| ("last bar", Moment(at))).into_iter().collect();
        let entry = self.prices.get(symbol);
        times.extend(entry.and_then(|entry| entry.since).map(|at| ("since", Moment(at))));
        let state = match entry {
            Some(entry) => entry.state.clone(),
            None if self.live_prices => "not subscribed yet".into(),
            None if last_bar.is_some() => "bars come in".into(),
            None => "no bar yet".into(),
        };
        let bad = !self.live_prices && last_bar.is_none() || entry.is_some_and(|entry| entry.failing);
        Said { of: "Prices", state, bad, times }
    }

    async fn news_of(&self, site: &AppState, entry: &Entry, term: &str) -> Result<Said, Failure> {
        let search = Search {
            term: Some(term.to_owned()),
            symbol: entry.symbol.clone(),
            limit: 1,
            ..Search::default()
        };
        let last = site.headlines.search(search).await?.articles.pop();
        let mut times: Vec<(&'static str, Moment)> =
            last.iter().map(|article| ("last article", Moment(article.published))).collect();
        let searched = self.news.get(&(entry.symbol.as_deref(), term));
        times.extend(searched.and_then(|state| state.last_asked).map(|at| ("asked", Moment(at))));
        times.extend(searched.and_then(|state| state.next_asked).map(|at| ("next poll", Moment(at))));
        let state = match searched {
            Some(state) => state.state.clone(),
            None if self.live_news => "not asked yet".into(),
            None if last.is_some() => "headlines found".into(),
            None => "no headline yet".into(),
        };
        let bad = searched.is_some_and(|state| state.failing);
        Ok(Said { of: "News", state, bad, times })
    }
}
