//! Full-text search over headlines: an index of its own beside whatever store
//! there is, built from the store once and kept up from the log.
//!
//! It lives in a temporary file that goes with the process. Nothing is lost with
//! it, and it cannot contradict the store for longer than a run.

mod index;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use log::time_bounds::LaneTimes;
use log::{LogError, Record, SharedLog};
use model::Article;
use model::service::Service;
use model::time::Millis;
use model::topic::NEWS_ARTICLES;
use serde_json::{Map, Value as Json};
use store::{Query, Rows, SharedStore, StoreError};
use tokio::sync::Mutex;

use index::Index;

pub use index::{Found, Listed, Place, Search, Section};

/// Rows of the store, and records of the log, taken in at once.
const PAGE: usize = 2_000;
/// How long a search may take. The index answers one at a time, so that a longer one
/// would keep others waiting.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);
/// The reader whose commits say what the store holds.
const SINK: &str = Service::Sink.name();

/// Why headlines could not be searched.
#[derive(Debug, thiserror::Error)]
pub enum HeadlinesError {
    /// The index itself.
    #[error(
        "the index of headlines failed: {0}. It lies in a temporary file: check that there is room for one"
    )]
    Index(#[from] rusqlite::Error),
    /// The store, from which it is built.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log, from which it is kept up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A search took longer than it may.
    #[error(
        "the search was ended after {} s: search for longer words, for one symbol or for fewer days",
        limit.as_secs()
    )]
    TooSlow {
        /// How long it may take.
        limit: Duration,
    },
    /// The program ends.
    #[error("the program ends")]
    Ending,
}

/// The index with what it is fed from.
pub struct Headlines {
    log: SharedLog,
    store: SharedStore,
    index: Arc<Lock<Index>>,
    longest_search: Duration,
    /// None before the store has been read.
    place: Mutex<Option<Followed>>,
}

/// How far the log has been taken in.
#[derive(Default)]
struct Followed {
    /// The next offset of each partition.
    next: BTreeMap<u32, u64>,
    /// What is believed of times there, by the rule of the sink: an article of the far
    /// future, which the store does not take, would else stand before all others.
    times: BTreeMap<u32, LaneTimes>,
}

impl Headlines {
    /// An empty index; the first search, or [`Headlines::refresh`], fills it.
    ///
    /// # Errors
    /// When there is no room for a temporary file.
    pub fn new(log: SharedLog, store: SharedStore) -> Result<Headlines, HeadlinesError> {
        let index = Arc::new(Lock::new(Index::open()?));
        Ok(Headlines { log, store, index, longest_search: LONGEST_SEARCH, place: Mutex::default() })
    }

    /// Looks for articles among everything that the store and the log hold now.
    ///
    /// # Errors
    /// When the store, the log or the index fails, which no text that is searched for
    /// can make it, or the search takes too long.
    pub async fn search(&self, search: Search) -> Result<Found, HeadlinesError> {
        self.refresh().await?;
        self.ask(move |index| index.search(&search)).await
    }

    /// Every section that an article is of, the most frequent first.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn sections(&self) -> Result<Vec<Section>, HeadlinesError> {
        self.ask(|index| index.sections()).await
    }

    /// Every symbol that an article was found for, by name.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn symbols(&self) -> Result<Vec<String>, HeadlinesError> {
        self.ask(|index| index.symbols()).await
    }

    /// Takes in what has come since the last look.
    ///
    /// # Errors
    /// When the store, the log or the index fails.
    pub async fn refresh(&self) -> Result<(), HeadlinesError> {
        let mut place = self.place.lock().await;
        let extents = self.log.extents(&NEWS_ARTICLES).await?;
        // What the log has forgotten in the meantime, the store still knows.
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
                        let (log, from) = (self.log.as_ref(), *next);
                        let before = LaneTimes::before(log, &NEWS_ARTICLES, extent.partition, from, times);
                        unknown.insert(before.await?)
                    }
                };
                let articles = records.iter().filter_map(|record| of_record(record, lane)).collect();
                self.take(articles).await?;
                *next = after;
            }
        }
        Ok(())
    }

    /// Reads the whole store; returns where the log goes on from there.
    async fn rebuild(&self) -> Result<BTreeMap<u32, u64>, HeadlinesError> {
        // Before the store is read: what is committed later is in the log as well.
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
            self.take(of_rows(&rows)).await?;
            if rows.rows.len() < PAGE || rows.last_key.is_none() {
                break;
            }
            query.after = rows.last_key;
        }
        Ok(place)
    }

    async fn take(&self, articles: Vec<Article>) -> Result<(), HeadlinesError> {
        if articles.is_empty() {
            return Ok(());
        }
        self.with(move |index| index.take(&articles)).await
    }

    /// Asks the index, for as long as a search may take.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Index) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, HeadlinesError> {
        let limit = self.longest_search;
        match self.with(move |index| index.within(limit, question)).await {
            Err(HeadlinesError::Index(error))
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
            {
                Err(HeadlinesError::TooSlow { limit })
            }
            answer => answer,
        }
    }

    /// Works on the index where nobody waits for a thread.
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

// What a person types, as FTS5 takes it. Whatever is typed is words to look
// for: nothing of it is ever read as FTS5's own syntax.

/// So many words are looked for; the rest is left out.
const MOST_WORDS: usize = 24;
/// So many characters are read.
const LONGEST: usize = 400;

/// Two expressions of FTS5; none where nothing is asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expression {
    /// What all must match.
    pub(crate) wanted: Option<String>,
    /// What none may match.
    pub(crate) unwanted: Option<String>,
}

impl Expression {
    /// Reads `rate cuts "interest rate" -football`: every word (by its
    /// beginning) and every phrase must be there, and nothing after a minus.
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
    /// As a string of FTS5, in which only the quote has a meaning, and no text has one.
    fn quoted(&self) -> String {
        format!("\"{}\"{}", self.text, if self.phrase { "" } else { "*" })
    }
}

/// Words and phrases; a phrase that is never closed goes to the end.
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

// Articles out of records of the log and rows of the store.

/// The article of a record; none of a heartbeat, and of what does not validate or has a
/// time that is not believed.
fn of_record(record: &Record, lane: &mut LaneTimes) -> Option<Article> {
    let article: Article = serde_json::from_slice(&record.value).ok()?;
    if !lane.believes(record, times_of(&article)) {
        return None;
    }
    (!article.is_heartbeat() && article.check().is_ok()).then_some(article)
}

/// What a record states, and its event time.
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
        // The store keeps no watermark: a row says nothing of what is complete.
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
