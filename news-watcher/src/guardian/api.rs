//! Calls to the Content API, and what is searched for: the entries of the watchlist, each
//! query once.

use std::collections::BTreeMap;
use std::time::Duration;

use control::preview::Question;
use control::watchlist::Watchlist;
use model::time::{self, Millis, SECOND};
use net::{HttpFailure, Secret, redact, retry_after};
use reqwest::header::DATE;
use url::Url;

use super::GuardianConfig;
use super::answer::{self, CallError, Page};
use crate::NewsError;

/// A longer answer is not read: a page of fifty results has a tenth of this.
const LONGEST_ANSWER: usize = 8 << 20;

/// The API and the key to it. Its errors hold neither address nor key.
#[derive(Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    base: Url,
    key: Secret,
    timeout: Duration,
}

impl Api {
    pub(crate) fn new(config: &GuardianConfig) -> Result<Api, NewsError> {
        let base = Url::parse(&config.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| NewsError::GuardianAddress(redact(&config.url, &[&config.api_key])))?;
        let client = net::http()?;
        Ok(Api { client, base, key: config.api_key.clone(), timeout: config.timeout })
    }

    /// Asks for one page.
    pub(crate) async fn search(self, query: Query, request: Request) -> Result<Page, CallError> {
        let url = query.url(&self.base, self.key.expose(), &request);
        let answer = tokio::time::timeout(self.timeout, self.exchange(url)).await;
        let late = || trouble(format!("no answer within {} s", self.timeout.as_secs_f64()));
        let redacted = |said: String| redact(&said, &[&self.key]);
        answer.unwrap_or_else(|_| Err(late())).map_err(|error| match error {
            CallError::Key(said) => CallError::Key(redacted(said)),
            CallError::Search(said) => CallError::Search(redacted(said)),
            CallError::Trouble { said, wait } => CallError::Trouble { said: redacted(said), wait },
            other => other,
        })
    }

    async fn exchange(&self, url: Url) -> Result<Page, CallError> {
        let failed = |error| trouble(HttpFailure::from(error).to_string());
        let response = self.client.get(url).send().await.map_err(failed)?;
        let (status, wait) = (response.status().as_u16(), retry_after(response.headers()));
        let date = response.headers().get(DATE).and_then(|date| http_date(date.to_str().ok()?));
        let body = net::body(response, LONGEST_ANSWER).await;
        let body = body.map_err(|error| trouble(error.to_string()))?;
        if status == 200 {
            return answer::page(&body, date);
        }
        Err(match answer::refusal(status, &body) {
            CallError::TooMany(_) => CallError::TooMany(wait),
            CallError::Trouble { said, .. } => CallError::Trouble { said, wait },
            other => other,
        })
    }
}

fn trouble(said: String) -> CallError {
    CallError::Trouble { said, wait: None }
}

fn http_date(text: &str) -> Option<Millis> {
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some(date.timestamp_millis()).filter(|&at| at > 0 && at < time::DAY * 84_000)
}

/// Results asked for on a page: the most that is documented.
pub(super) const PAGE_SIZE: usize = 50;

/// A search: a term within sections. Entries that differ only in their symbol share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Query {
    /// Free text with `AND`, `OR`, `NOT`, parentheses and "exact phrases".
    pub(crate) term: String,
    /// The sections; none is all.
    pub(crate) sections: Vec<String>,
}

/// What one page of a search is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Modified at this time or later.
    pub(crate) from: Millis,
    /// Modified at this time or earlier.
    pub(crate) to: Option<Millis>,
    /// From 1.
    pub(crate) page: u64,
}

/// The queries of a watchlist, each with the symbols of its entries.
pub(crate) fn queries(list: &Watchlist, default: &[String]) -> BTreeMap<Query, Vec<Option<String>>> {
    let mut queries: BTreeMap<Query, Vec<Option<String>>> = BTreeMap::new();
    for entry in &list.entries {
        if let Some(query) = query(entry, default) {
            let symbols = queries.entry(query).or_default();
            if !symbols.contains(&entry.symbol) {
                symbols.push(entry.symbol.clone());
            }
        }
    }
    queries
}

/// The query of one entry, if it has a term.
pub(crate) fn query(entry: &control::watchlist::Entry, default: &[String]) -> Option<Query> {
    let term = entry.search_term.as_deref().map(str::trim).filter(|term| !term.is_empty())?;
    let mut sections = if entry.sections.is_empty() { default.to_vec() } else { entry.sections.clone() };
    sections.sort();
    sections.dedup();
    Some(Query { term: term.to_owned(), sections })
}

impl Query {
    /// What a preview asks for: what an entry of its term and sections would.
    pub(crate) fn of_preview(question: &Question, default: &[String]) -> Query {
        let sections = if question.sections.is_empty() { default } else { &question.sections };
        Query { term: question.search_term.trim().to_owned(), sections: sections.to_vec() }
    }

    /// The address of one page; it holds the key.
    pub(crate) fn url(&self, base: &Url, key: &str, request: &Request) -> Url {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("search");
        }
        let mut pairs = url.query_pairs_mut();
        pairs.append_pair("q", &self.term);
        if !self.sections.is_empty() {
            pairs.append_pair("section", &self.sections.join("|"));
        }
        pairs
            .append_pair("use-date", "last-modified")
            .append_pair("order-date", "last-modified")
            .append_pair("order-by", "newest")
            .append_pair("from-date", &time::rfc3339(request.from.div_euclid(SECOND) * SECOND));
        if let Some(to) = request.to {
            pairs.append_pair("to-date", &time::rfc3339((to + SECOND - 1).div_euclid(SECOND) * SECOND));
        }
        pairs
            .append_pair("page", &request.page.to_string())
            .append_pair("page-size", &PAGE_SIZE.to_string())
            .append_pair("show-fields", "headline,lastModified,firstPublicationDate")
            .append_pair("api-key", key);
        drop(pairs);
        url
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.term)?;
        if !self.sections.is_empty() {
            write!(f, " in {}", self.sections.join(", "))?;
        }
        Ok(())
    }
}
