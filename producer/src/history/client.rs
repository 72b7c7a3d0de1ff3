//! The client of the history: pages, quota, and what to do about each refusal.

use std::time::Duration;

use model::time::{MINUTE, Millis};
use net::{HttpFailure, RetryPolicy, redact, retry_after};
use reqwest::{Client, StatusCode, Url};

use super::answer::{self, MOST_RESULTS, Page};
use super::quota::Quota;
use crate::ProducerError;
use crate::sources::PolygonConfig;
use feed::{SharedClock, millis};

/// Attempts at one page before it is given up.
const TRIES: u32 = 8;
const RETRIES: RetryPolicy =
    RetryPolicy::new(Duration::from_secs(1), Duration::from_secs(30)).with_tries(TRIES);
/// The longest answer that is read, in bytes: a page of the most results has a quarter of it.
const LONGEST_ANSWER: usize = 32 << 20;
/// Pages in a row that bring no later bar than those before before the walk over them
/// is given up: a server that names the same page as the next leads nowhere.
const MOST_IDLE: u32 = 5;

/// Minute bars of one symbol whose starts lie in `from..to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) symbol: String,
    pub(crate) from: Millis,
    pub(crate) to: Millis,
}

/// Why a page cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HistoryFailure {
    /// The key has no access to any of it.
    #[error("the key gives no access to history: {0}")]
    NoAccess(String),
    /// This will not be served, however often it is asked for.
    #[error("the history refuses: {0}")]
    Refused(String),
    /// After many attempts.
    #[error("the history does not answer: {0}")]
    Unavailable(String),
}

pub(crate) struct HistoryClient {
    http: Client,
    base: Url,
    config: PolygonConfig,
    quota: Quota,
    clock: SharedClock,
}

/// What one attempt came to.
enum Attempt {
    Page(Page),
    /// Worth another one.
    Retry(String),
    /// The quota of the minute is used up.
    OverQuota,
    Failed(HistoryFailure),
}

impl HistoryClient {
    pub(crate) fn new(config: PolygonConfig, clock: SharedClock) -> Result<HistoryClient, ProducerError> {
        let address = |why| ProducerError::Address(config.rest_url.clone(), "history", why);
        let base = Url::parse(&config.rest_url).map_err(|_| address("write https://api.massive.com"))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(address("it must start with https://"));
        }
        let quota = Quota::new(clock.clone(), config.calls_per_minute);
        Ok(HistoryClient { http: net::http()?, base, config, quota, clock })
    }

    /// The pages of a stretch, each when it is asked for.
    pub(crate) fn pages<'a>(&'a self, stretch: &'a Stretch) -> Pages<'a> {
        Pages { client: self, stretch, next: Next::First, latest: None, idle: 0 }
    }

    async fn first_page(&self, stretch: &Stretch) -> Result<Page, HistoryFailure> {
        let mut url = self.base.clone();
        let (from, to) = (stretch.from.to_string(), (stretch.to - 1).to_string());
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            path.extend(["v2", "aggs", "ticker", &stretch.symbol, "range", "1", "minute", &from, &to]);
        }
        // Live bars are not adjusted for later splits, so neither is what stands beside them.
        url.query_pairs_mut().extend_pairs([
            ("adjusted", "false"),
            ("sort", "asc"),
            ("limit", &MOST_RESULTS.to_string()),
        ]);
        self.page(url, stretch).await
    }

    /// The page that another one named as its next.
    async fn page_at(&self, next: &str, stretch: &Stretch) -> Result<Page, HistoryFailure> {
        let next = Url::parse(next).or_else(|_| self.base.join(next));
        let next =
            next.map_err(|_| HistoryFailure::Refused("it names a next page that is no address".into()))?;
        // Whatever host the answer names, the key goes only where it was set to go.
        let mut url = self.base.clone();
        url.set_path(next.path());
        url.set_query(next.query());
        self.page(url, stretch).await
    }

    async fn page(&self, url: Url, stretch: &Stretch) -> Result<Page, HistoryFailure> {
        let mut waits = RETRIES.waits();
        let mut over_quota = 0;
        loop {
            self.quota.take().await;
            match self.attempt(url.clone(), stretch).await {
                Attempt::Page(page) => return Ok(page),
                Attempt::Failed(failure) => return Err(failure),
                Attempt::OverQuota if over_quota < TRIES => over_quota += 1,
                Attempt::OverQuota => {
                    let said = "its quota is used up by something else, minute after minute";
                    return Err(HistoryFailure::Unavailable(said.into()));
                }
                Attempt::Retry(reason) => {
                    let Some(wait) = waits.after(None) else {
                        return Err(HistoryFailure::Unavailable(reason));
                    };
                    tracing::debug!(reason, "The history is asked again.");
                    self.clock.sleep_until(self.clock.now() + millis(wait)).await;
                }
            }
        }
    }

    async fn attempt(&self, url: Url, stretch: &Stretch) -> Attempt {
        let key = self.config.api_key.expose();
        // What the feed brings from now on is newer than the answer.
        let asked = self.clock.now();
        let response = match self.http.get(url).bearer_auth(key).send().await {
            Ok(response) => response,
            Err(error) => return Attempt::Retry(HttpFailure::from(error).to_string()),
        };
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let wait = retry_after(response.headers()).map_or(MINUTE, millis);
            self.quota.close_until(self.clock.now() + wait);
            return Attempt::OverQuota;
        }
        let body = match net::body(response, LONGEST_ANSWER).await {
            Ok(body) => body,
            Err(error) => return Attempt::Retry(error.to_string()),
        };
        if status.is_success() {
            return match answer::page(&body, &stretch.symbol, asked) {
                Ok(page) => Attempt::Page(within(page, stretch)),
                Err(reason) => Attempt::Retry(reason),
            };
        }
        let said = redact(&answer::explanation(&body), &[&self.config.api_key]);
        match status.as_u16() {
            401 => Attempt::Failed(HistoryFailure::NoAccess(said)),
            403 if said.contains("entitled") || said.contains("API Key") || said.contains("API key") => {
                Attempt::Failed(HistoryFailure::NoAccess(said))
            }
            408 | 413 | 499 | 500.. => Attempt::Retry(format!("status {status}: {said}")),
            _ => Attempt::Failed(HistoryFailure::Refused(format!("status {status}: {said}"))),
        }
    }
}

/// The page without bars that were not asked for.
fn within(mut page: Page, stretch: &Stretch) -> Page {
    let all = page.bars.len();
    page.bars.retain(|bar| (stretch.from..stretch.to).contains(&bar.start_timestamp));
    page.unasked = (all - page.bars.len()) as u64;
    page
}

/// A walk over the pages of a stretch.
pub(crate) struct Pages<'a> {
    client: &'a HistoryClient,
    stretch: &'a Stretch,
    next: Next,
    /// The last start of a bar so far.
    latest: Option<Millis>,
    /// Pages in a row without a later one.
    idle: u32,
}

enum Next {
    First,
    At(String),
    None,
}

impl Pages<'_> {
    /// The next page, if there is one.
    ///
    /// # Errors
    /// When it cannot be had, or the pages lead nowhere.
    pub(crate) async fn next(&mut self) -> Result<Option<Page>, HistoryFailure> {
        let mut page = match std::mem::replace(&mut self.next, Next::None) {
            Next::First => self.client.first_page(self.stretch).await?,
            Next::At(next) => self.client.page_at(&next, self.stretch).await?,
            Next::None => return Ok(None),
        };
        let latest = page.bars.iter().map(|bar| bar.start_timestamp).max().max(self.latest);
        self.idle = if latest > self.latest { 0 } else { self.idle + 1 };
        self.latest = latest;
        if let Some(next) = page.next.take() {
            if self.idle >= MOST_IDLE {
                let said = format!("{MOST_IDLE} pages in a row bring nothing new, and name another one");
                return Err(HistoryFailure::Refused(said));
            }
            self.next = Next::At(next);
        }
        Ok(Some(page))
    }
}
