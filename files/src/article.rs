//! Converts rows into articles.

use model::schema::ColumnType::{Text, Time};
use model::{Article, Source};

use crate::columns::{FromRow, Known};
use crate::value::Row;

const ID: usize = 0;
const HEADLINE: usize = 1;
const URL: usize = 2;
const PUBLISHED: usize = 3;
const SYMBOL: usize = 4;
const SEARCH_TERM: usize = 5;
const KIND: usize = 6;
const SECTION_ID: usize = 7;
const SECTION_NAME: usize = 8;
const PILLAR: usize = 9;
const UPDATED: usize = 10;
const RECEIVED: usize = 11;

impl FromRow for Article {
    const COLUMNS: &'static [Known] = &[
        Known::required(&["id"], Text),
        Known::required(&["headline"], Text),
        Known::required(&["url"], Text),
        Known::required(&["published_timestamp", "published_ms"], Time),
        Known::optional(&["symbol", "ticker"], Text),
        Known::optional(&["search_term"], Text),
        Known::optional(&["kind"], Text),
        Known::optional(&["section_id"], Text),
        Known::optional(&["section_name"], Text),
        Known::optional(&["pillar"], Text),
        Known::optional(&["updated_timestamp"], Time),
        Known::optional(&["received_timestamp"], Time),
    ];
    const LINE_BREAKS: bool = true;

    fn from_row(row: &Row<'_>) -> Result<Article, String> {
        let text = |column| row.needed(column, row.text(column)?);
        let published = row.needed(PUBLISHED, row.time(PUBLISHED)?)?;
        let article = Article {
            id: text(ID)?,
            symbol: row.symbol(SYMBOL)?,
            search_term: row.or_left_out(row.text(SEARCH_TERM)).flatten().unwrap_or_default(),
            headline: text(HEADLINE)?,
            url: text(URL)?,
            kind: row.words(KIND),
            section_id: row.words(SECTION_ID),
            section_name: row.words(SECTION_NAME),
            pillar: row.words(PILLAR),
            published_timestamp: published,
            updated_timestamp: row.time(UPDATED)?,
            source: Source::Replay,
            received_timestamp: row.time(RECEIVED)?.unwrap_or(published),
            complete_until: 0,
            position: None,
        };
        article.check().map_err(|bad| bad.to_string())?;
        Ok(article)
    }

    fn missing(found: &dyn Fn(usize) -> bool) -> Vec<String> {
        let mut missing: Vec<_> = [ID, HEADLINE, URL, PUBLISHED]
            .into_iter()
            .filter(|&column| !found(column))
            .map(|column| Self::COLUMNS[column].ours())
            .collect();
        if !found(SYMBOL) && !found(SEARCH_TERM) {
            missing.push("symbol or search_term".into());
        }
        missing
    }
}
