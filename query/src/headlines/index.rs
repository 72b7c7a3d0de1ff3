//! The full-text index over headlines: an SQLite database with FTS5 in an unnamed temporary
//! file.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use model::Article;
use model::time::Millis;
use rusqlite::{Connection, OptionalExtension, named_params, params};

use crate::headlines::Expression;

/// Text is folded to lower case and accents are removed. Prefixes of two and three letters have
/// an index of their own, because a search field sends these first.
const SCHEMA: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE articles (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, headline TEXT NOT NULL, url TEXT NOT NULL,
        section_id TEXT, section_name TEXT, published INTEGER NOT NULL, received INTEGER NOT NULL
    );
    CREATE INDEX articles_by_time ON articles (published, number);
    CREATE INDEX articles_by_section ON articles (section_id, section_name);
    CREATE TABLE mentions (
        article INTEGER NOT NULL, symbol TEXT NOT NULL, term TEXT NOT NULL,
        PRIMARY KEY (article, symbol, term)
    ) WITHOUT ROWID;
    CREATE INDEX mentions_by_symbol ON mentions (symbol, article);
    CREATE VIRTUAL TABLE words USING fts5(
        headline, symbols, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
";

/// The conditions of a search. One constant text with parameters: no input becomes SQL.
macro_rules! matching {
    () => {
        "FROM articles WHERE
            (:wanted IS NULL OR number IN (SELECT rowid FROM words WHERE words MATCH :wanted))
            AND (:unwanted IS NULL OR number NOT IN (SELECT rowid FROM words WHERE words MATCH :unwanted))
            AND (:symbol IS NULL OR number IN (SELECT article FROM mentions WHERE symbol = :symbol))
            AND (:term IS NULL OR number IN (SELECT article FROM mentions WHERE term = :term))
            AND (:section IS NULL OR section_id = :section)
            AND (:from IS NULL OR published >= :from)
            AND (:to IS NULL OR published < :to)"
    };
}
const COUNT: &str = concat!("SELECT count(*) ", matching!());
const LIST: &str = concat!(
    "SELECT number, id, headline, url, section_id, section_name, published ",
    matching!(),
    " AND (:published IS NULL OR (published, number) < (:published, :number))
     ORDER BY published DESC, number DESC LIMIT :limit"
);

/// The conditions of a search; an article must meet all that are given.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Words (matched by prefix), `"phrases"` and `-exclusions`.
    pub text: String,
    /// The article was found for this symbol.
    pub symbol: Option<String>,
    /// The article was found by this search term of the watchlist.
    pub term: Option<String>,
    /// The section's id.
    pub section: Option<String>,
    /// First publication at or after this, epoch milliseconds.
    pub from: Option<Millis>,
    /// First publication before this, epoch milliseconds.
    pub to: Option<Millis>,
    /// Articles that follow this place in the order of results, which is newest first.
    pub after: Option<Place>,
    /// The page size: at most this many articles.
    pub limit: usize,
}

/// The position after which the next page of results begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When the page's last article was first published, epoch milliseconds.
    pub published: Millis,
    /// The article's number in this index. A rebuilt index may number articles differently.
    pub number: i64,
}

/// A page of results.
#[derive(Debug, Default)]
pub struct Found {
    /// The articles, newest first.
    pub articles: Vec<Listed>,
    /// The number of articles on all pages.
    pub total: u64,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Place>,
}

/// An article, listed once even if several entries of the watchlist found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The id that the source gave it.
    pub id: String,
    /// Plain text. It is untrusted input and must be escaped for display.
    pub headline: String,
    /// The address of the article.
    pub url: String,
    /// The section's id.
    pub section_id: Option<String>,
    /// The section's display name.
    pub section_name: Option<String>,
    /// When it was first published, epoch milliseconds.
    pub published: Millis,
    /// The symbols that it was found for, sorted.
    pub symbols: Vec<String>,
    /// The search terms that found it, sorted.
    pub terms: Vec<String>,
}

/// A section with its number of articles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The section's id.
    pub id: String,
    /// The section's display name.
    pub name: String,
    /// The number of articles in the section.
    pub articles: u64,
}

pub(crate) struct Index {
    connection: Connection,
}

impl Index {
    /// Creates an empty index.
    pub(crate) fn open() -> rusqlite::Result<Index> {
        // An empty name makes SQLite use a temporary file, which stays in memory while it is
        // small.
        let connection = Connection::open("")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Index { connection })
    }

    /// Adds versions of articles. Adding a version twice has no further effect.
    pub(crate) fn add(&mut self, articles: &[Article]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for article in articles {
            put(&transaction, article)?;
        }
        transaction.commit()
    }

    /// Runs `question` for at most `limit`, then interrupts SQLite, which fails with
    /// `SQLITE_INTERRUPT`.
    pub(crate) fn with_time_limit<T>(
        &self,
        limit: Duration,
        question: impl FnOnce(&Index) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        /// An interrupt between two statements has no effect, so it is repeated.
        const AGAIN: Duration = Duration::from_millis(20);
        let handle = self.connection.get_interrupt_handle();
        let (answered, waits) = channel::<()>();
        // The scope joins the interrupting thread, so that no later query is interrupted.
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut patience = limit;
                while let Err(RecvTimeoutError::Timeout) = waits.recv_timeout(patience) {
                    handle.interrupt();
                    patience = AGAIN;
                }
            });
            let answer = question(self);
            drop(answered);
            answer
        })
    }

    pub(crate) fn search(&self, search: &Search) -> rusqlite::Result<Found> {
        let Expression { wanted, unwanted } = Expression::of(&search.text);
        let total: i64 = self.connection.prepare_cached(COUNT)?.query_row(
            named_params! {
                ":wanted": wanted, ":unwanted": unwanted, ":symbol": search.symbol, ":term": search.term,
                ":section": search.section, ":from": search.from, ":to": search.to,
            },
            |row| row.get(0),
        )?;
        let mut list = self.connection.prepare_cached(LIST)?;
        // One more row than the page size shows whether there is another page.
        let limit = i64::try_from(search.limit).unwrap_or(i64::MAX - 1) + 1;
        let rows = list.query_map(
            named_params! {
                ":wanted": wanted, ":unwanted": unwanted, ":symbol": search.symbol, ":term": search.term,
                ":section": search.section, ":from": search.from, ":to": search.to,
                ":published": search.after.map(|place| place.published),
                ":number": search.after.map(|place| place.number), ":limit": limit,
            },
            |row| {
                let listed = Listed {
                    id: row.get(1)?,
                    headline: row.get(2)?,
                    url: row.get(3)?,
                    section_id: row.get(4)?,
                    section_name: row.get(5)?,
                    published: row.get(6)?,
                    symbols: Vec::new(),
                    terms: Vec::new(),
                };
                Ok((row.get::<_, i64>(0)?, listed))
            },
        )?;
        let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let more = rows.len() > search.limit;
        rows.truncate(search.limit);
        let last = rows.last().map(|(number, listed)| Place { published: listed.published, number: *number });
        for (number, listed) in &mut rows {
            (listed.symbols, listed.terms) = self.mentions(*number)?;
        }
        Ok(Found {
            articles: rows.into_iter().map(|(_, listed)| listed).collect(),
            total: u64::try_from(total).unwrap_or(0),
            next: last.filter(|_| more),
        })
    }

    pub(crate) fn sections(&self) -> rusqlite::Result<Vec<Section>> {
        let mut found = self.connection.prepare_cached(
            "SELECT section_id, max(coalesce(section_name, section_id)), count(*) FROM articles
             WHERE section_id IS NOT NULL GROUP BY section_id ORDER BY 3 DESC, 1",
        )?;
        let section = |row: &rusqlite::Row<'_>| {
            let articles = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
            Ok(Section { id: row.get(0)?, name: row.get(1)?, articles })
        };
        found.query_map([], section)?.collect()
    }

    pub(crate) fn symbols(&self) -> rusqlite::Result<Vec<String>> {
        let mut found = self
            .connection
            .prepare_cached("SELECT DISTINCT symbol FROM mentions WHERE symbol <> '' ORDER BY symbol")?;
        found.query_map([], |row| row.get(0))?.collect()
    }

    /// The symbols and the search terms of an article.
    fn mentions(&self, number: i64) -> rusqlite::Result<(Vec<String>, Vec<String>)> {
        let mut found =
            self.connection.prepare_cached("SELECT symbol, term FROM mentions WHERE article = ?1")?;
        let rows = found.query_map([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (mut symbols, mut terms): (Vec<String>, Vec<String>) =
            rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().unzip();
        for names in [&mut symbols, &mut terms] {
            names.retain(|name| !name.is_empty());
            names.sort_unstable();
            names.dedup();
        }
        Ok((symbols, terms))
    }
}

/// The version that was received last replaces earlier ones; the publication time is the
/// earliest of all versions.
fn put(index: &Connection, article: &Article) -> rusqlite::Result<()> {
    let held: Option<(i64, i64)> = index
        .prepare_cached("SELECT number, received FROM articles WHERE id = ?1")?
        .query_row([&article.id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let number = match held {
        None => {
            index
                .prepare_cached(
                    "INSERT INTO articles (id, headline, url, section_id, section_name, published, received)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    article.id,
                    article.headline,
                    article.url,
                    article.section_id,
                    article.section_name,
                    article.published_timestamp,
                    article.received_timestamp,
                ])?;
            index.last_insert_rowid()
        }
        Some((number, received)) => {
            if article.received_timestamp >= received {
                index
                    .prepare_cached(
                        "UPDATE articles SET headline = ?2, url = ?3, section_id = ?4, section_name = ?5,
                         published = min(published, ?6), received = ?7 WHERE number = ?1",
                    )?
                    .execute(params![
                        number,
                        article.headline,
                        article.url,
                        article.section_id,
                        article.section_name,
                        article.published_timestamp,
                        article.received_timestamp,
                    ])?;
            }
            number
        }
    };
    index
        .prepare_cached("INSERT OR IGNORE INTO mentions (article, symbol, term) VALUES (?1, ?2, ?3)")?
        .execute(params![number, article.symbol.as_deref().unwrap_or(""), article.search_term])?;
    index
        .prepare_cached(
            "INSERT OR REPLACE INTO words (rowid, headline, symbols)
             SELECT number, headline, coalesce((SELECT group_concat(symbol, ' ') FROM mentions
             WHERE article = number), '') FROM articles WHERE number = ?1",
        )?
        .execute([number])?;
    Ok(())
}
