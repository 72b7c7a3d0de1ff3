//! What the services made of each entry: as they say themselves, and as the
//! store shows it.

use model::service::Service;
use std::collections::HashMap;

use control::watchlist::{EVERY_SYMBOL, Entry};
use model::status::{EntryState, ServiceStatus};
use model::time::Millis;
use model::topic::STOCK_PRICES;
use query::headlines::Search;
use serde_json::Value as Json;

use crate::AppState;
use crate::error::Failure;
use crate::overview::{known, objects};
use crate::pages::moment::Moment;

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
        let bars = objects(known(site.store.latest(&STOCK_PRICES.measurement()).await)?);
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
