//! Full-text search over headlines. The index is built from the store once and then follows the
//! log.
//!
//! It is kept in a temporary file and discarded with the process: store and log stay the only
//! lasting copies of an article.

mod index;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use log::time_bounds::LaneTimes;
use log::{Extent, LogError, Record, SharedLog};
use model::Article;
use model::service::Service;
use model::time::Millis;
use model::topic::NEWS_ARTICLES;
use serde_json::{Map, Value as Json};
use store::{Query, Rows, SharedStore, StoreError};
use tokio::sync::Mutex;

use index::Index;

pub use index::{Found, Listed, Place, Search, Section};

/// How many rows of the store or records of the log are read at once.
const PAGE: usize = 2_000;
/// How long a search may take. The index runs one search at a time, so a long one delays the
/// others.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);
/// The consumer whose committed offsets show what the store contains.
const SINK: &str = Service::Sink.name();

/// Why headlines could not be searched.
#[derive(Debug, thiserror::Error)]
pub enum HeadlinesError {
    /// The index failed.
    #[error(
        "the index of headlines failed: {0}. It is kept in a temporary file: check that there is disk space for it"
    )]
    Index(#[from] rusqlite::Error),
    /// The store, from which the index is built, failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log, which the index follows, failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A search exceeded its time limit.
    #[error(
        "the search was ended after {} s: search for longer words, for one symbol or for fewer days",
        limit.as_secs()
    )]
    TooSlow {
        /// The time limit.
        limit: Duration,
    },
    /// The process is shutting down.
    #[error("the program is shutting down")]
    Ending,
}

/// The index with the log and the store that fill it.
pub struct Headlines {
    log: SharedLog,
    store: SharedStore,
    index: Arc<Lock<Index>>,
    longest_search: Duration,
    /// `None` until the store has been read.
    place: Mutex<Option<Followed>>,
}

/// How far the log has been read.
#[derive(Default)]
struct Followed {
    /// The next offset of each partition.
    next: BTreeMap<u32, u64>,
    /// The plausible times of each partition, by the same rule as in the sink: an article dated
    /// in the far future, which the store rejects, would otherwise be listed first for ever.
    times: BTreeMap<u32, LaneTimes>,
}

impl Headlines {
    /// Creates an empty index; the first search, or [`Headlines::refresh`], fills it.
    ///
    /// # Errors
    /// When the temporary file cannot be created.
    pub fn new(log: SharedLog, store: SharedStore) -> Result<Headlines, HeadlinesError> {
        let index = Arc::new(Lock::new(Index::open()?));
        Ok(Headlines { log, store, index, longest_search: LONGEST_SEARCH, place: Mutex::default() })
    }

    /// Searches all articles that the store and the log hold at this moment.
    ///
    /// # Errors
    /// When the store, the log or the index fails, or the search exceeds its time limit. The
    /// text that is searched for cannot cause a failure of the index.
    pub async fn search(&self, search: Search) -> Result<Found, HeadlinesError> {
        self.refresh().await?;
        self.ask(move |index| index.search(&search)).await
    }

    /// Every section that has articles, the one with the most articles first.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn sections(&self) -> Result<Vec<Section>, HeadlinesError> {
        self.ask(|index| index.sections()).await
    }

    /// Every symbol for which an article was found, sorted.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn symbols(&self) -> Result<Vec<String>, HeadlinesError> {
        self.ask(|index| index.symbols()).await
    }

    /// Adds what the log has received since the last call.
    ///
    /// # Errors
    /// When the store, the log or the index fails.
    pub async fn refresh(&self) -> Result<(), HeadlinesError> {
        let mut place = self.place.lock().await;
        let extents = self.log.extents(&NEWS_ARTICLES).await?;
        // If retention removed records that were not read yet, the index is rebuilt from the
        // store.
        let reaches_back = |place: &Followed| {
            extents
                .iter()
                .all(|extent| place.next.get(&extent.partition).copied().unwrap_or(0) >= extent.first)
        };
        if !place.as_ref().is_some_and(reaches_back) {
            *place = Some(Followed { next: self.rebuild().await?, times: BTreeMap::new() });
        }
        let Followed { next: place, times: lanes } = place.get_or_insert_default();
        for extent in extents {
            let next = place.entry(extent.partition).or_insert(extent.first);
            *next = (*next).max(extent.first);
            while *next < extent.next {
                let records = self.log.read(&NEWS_ARTICLES, extent.partition, *next, PAGE).await?;
                let Some(last) = records.last() else { break };
                let after = last.offset + 1;
                let lane = match lanes.entry(extent.partition) {
                    Entry::Occupied(lane) => lane.into_mut(),
                    Entry::Vacant(unknown) => {
                        let before = Extent { next: *next, ..extent };
                        let lane = LaneTimes::before(self.log.as_ref(), &NEWS_ARTICLES, before, times);
                        unknown.insert(lane.await?)
                    }
                };
                let articles = records.iter().filter_map(|record| of_record(record, lane)).collect();
                self.add(articles).await?;
                *next = after;
            }
        }
        Ok(())
    }

    /// Reads the whole store; returns the offsets at which the log continues.
    async fn rebuild(&self) -> Result<BTreeMap<u32, u64>, HeadlinesError> {
        // Taken before the store is read: what the sink commits later is read again from the
        // log.
        let committed = self.log.committed(SINK).await?;
        let of_news = committed.into_iter().filter(|position| position.topic == NEWS_ARTICLES);
        let place = of_news.map(|position| (position.partition, position.offset)).collect();
        let mut query =
            Query { measurement: NEWS_ARTICLES.measurement(), limit: Some(PAGE), ..Query::default() };
        loop {
            let rows = match self.store.read(&query).await {
                Err(StoreError::Unknown { .. }) => break,
                rows => rows?,
            };
            self.add(of_rows(&rows)).await?;
            if rows.rows.len() < PAGE || rows.last_key.is_none() {
                break;
            }
            query.after = rows.last_key;
        }
        Ok(place)
    }

    async fn add(&self, articles: Vec<Article>) -> Result<(), HeadlinesError> {
        if articles.is_empty() {
            return Ok(());
        }
        self.with(move |index| index.add(&articles)).await
    }

    /// Runs a query on the index within [`LONGEST_SEARCH`].
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Index) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, HeadlinesError> {
        let limit = self.longest_search;
        match self.with(move |index| index.with_time_limit(limit, question)).await {
            Err(HeadlinesError::Index(error))
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
            {
                Err(HeadlinesError::TooSlow { limit })
            }
            answer => answer,
        }
    }

    /// Runs `work` on the index on a thread for blocking work.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Index) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, HeadlinesError> {
        let index = Arc::clone(&self.index);
        let worked = tokio::task::spawn_blocking(move || {
            work(&mut index.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Ok(worked.await.map_err(|_| HeadlinesError::Ending)??)
    }
}

// The text of a search as FTS5 expressions. Every word of the text is quoted, so that none of
// it is interpreted as FTS5 syntax.

/// The maximum number of words and phrases; further ones are ignored.
const MOST_WORDS: usize = 24;
/// The maximum number of characters; further ones are ignored.
const LONGEST: usize = 400;

/// Two FTS5 expressions; `None` where the text contains nothing of that kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expression {
    /// What an article must match.
    pub(crate) wanted: Option<String>,
    /// What an article must not match.
    pub(crate) unwanted: Option<String>,
}

impl Expression {
    /// Parses `rate cuts "interest rate" -football`: every word (as a prefix) and every phrase
    /// must match, and what follows a minus must not.
    pub(crate) fn of(text: &str) -> Expression {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for piece in pieces(text).into_iter().take(MOST_WORDS) {
            if piece.excluded { unwanted.push(piece.quoted()) } else { wanted.push(piece.quoted()) }
        }
        let joined = |pieces: Vec<String>, by: &str| (!pieces.is_empty()).then(|| pieces.join(by));
        Expression { wanted: joined(wanted, " AND "), unwanted: joined(unwanted, " OR ") }
    }
}

struct Piece {
    text: String,
    phrase: bool,
    excluded: bool,
}

impl Piece {
    /// As an FTS5 string, in which only the quotation mark is special; [`pieces`] leaves none.
    fn quoted(&self) -> String {
        format!("\"{}\"{}", self.text, if self.phrase { "" } else { "*" })
    }
}

/// Splits the text into words and phrases; a phrase without a closing quotation mark extends to
/// the end.
fn pieces(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest: &str = &text.chars().take(LONGEST).collect::<String>();
    loop {
        rest = rest.trim_start_matches(is_between);
        if rest.is_empty() {
            return found;
        }
        let excluded = rest.starts_with('-');
        rest = rest.trim_start_matches('-');
        let phrase = rest.starts_with('"');
        let body = if phrase { &rest[1..] } else { rest };
        let end = match phrase {
            true => body.find('"'),
            false => body.find(|character| character == '"' || is_between(character)),
        };
        let (piece, after) = body.split_at(end.unwrap_or(body.len()));
        rest = if phrase { after.trim_start_matches('"') } else { after };
        let text: String = piece.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if text.chars().any(char::is_alphanumeric) {
            found.push(Piece { text, phrase, excluded });
        }
    }
}

fn is_between(character: char) -> bool {
    character.is_whitespace() || character.is_control()
}

/// The article of a record; `None` for a heartbeat, an invalid record or an implausible time.
fn of_record(record: &Record, lane: &mut LaneTimes) -> Option<Article> {
    let article: Article = serde_json::from_slice(&record.value).ok()?;
    if !lane.believes(record, times_of(&article)) {
        return None;
    }
    (!article.is_heartbeat() && article.check().is_ok()).then_some(article)
}

/// The watermark of a record and its event time.
fn times(record: &Record) -> Option<[Millis; 2]> {
    serde_json::from_slice(&record.value).ok().as_ref().map(times_of)
}

fn times_of(article: &Article) -> [Millis; 2] {
    [article.complete_until, article.published_timestamp]
}

/// The articles of stored rows.
pub(crate) fn of_rows(rows: &Rows) -> Vec<Article> {
    let article = |row: &Vec<model::schema::Value>| {
        let columns = rows.columns.iter().zip(row);
        let mut fields: Map<String, Json> =
            columns.map(|(column, value)| (column.name.clone(), value.to_json())).collect();
        // The store keeps no watermark; 0 states nothing.
        fields.insert("complete_until".into(), 0.into());
        if fields.get("search_term").is_none_or(Json::is_null) {
            fields.insert("search_term".into(), "".into());
        }
        serde_json::from_value::<Article>(Json::Object(fields)).ok()
    };
    rows.rows.iter().filter_map(article).collect()
}

#[cfg(test)]
mod expression_tests {
    use super::*;

    #[test]
    fn words_phrases_and_exclusions_are_told_apart() {
        let read = Expression::of("rate  cuts \"interest rate\" -football -\"world cup\"");
        assert_eq!(read.wanted.as_deref(), Some("\"rate\"* AND \"cuts\"* AND \"interest rate\""));
        assert_eq!(read.unwanted.as_deref(), Some("\"football\"* OR \"world cup\""));
    }

    #[test]
    fn what_has_no_letter_asks_for_nothing() {
        for text in ["", "   ", "\"\"", "-", "* ( ) ^ :", "\"!!\" -*", "\u{0}"] {
            assert_eq!(Expression::of(text), Expression::default(), "{text:?}");
        }
    }

    #[test]
    fn the_syntax_of_the_index_is_only_words() {
        let read = Expression::of("AND symbols:x NEAR(a b) \"open");
        let wanted = "\"AND\"* AND \"symbols:x\"* AND \"NEAR(a\"* AND \"b)\"* AND \"open\"";
        assert_eq!(read.wanted.as_deref(), Some(wanted));
    }
}
