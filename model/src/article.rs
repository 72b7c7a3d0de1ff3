//! News articles, and what makes one bad.

use serde::{Deserialize, Serialize};

use crate::source::Source;
use crate::symbol::{self, BadSymbol};
use crate::time::{self, Millis};

/// One article that matched one watchlist entry, as it stands on `news-articles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Article {
    /// The source's own identity, stable over edits.
    pub id: String,
    /// The symbol of the entry that it matched, if the entry has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// The search term that found it.
    pub search_term: String,
    /// Plain text; hostile input to whoever shows it.
    pub headline: String,
    /// Where it can be read.
    pub url: String,
    /// article, liveblog, gallery …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Section, as an identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_id: Option<String>,
    /// Section, as a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// News, Opinion, Sport …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pillar: Option<String>,
    /// Publication as first seen, then fixed: its event time.
    pub published_timestamp: Millis,
    /// Last modification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_timestamp: Option<Millis>,
    /// Where the article came from.
    pub source: Source,
    /// When it was first seen here; orders the versions of an article.
    pub received_timestamp: Millis,
    /// As on a bar: the watermark of the topic.
    pub complete_until: Millis,
    /// In a replay: how many rows of the file have been taken, this one included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

/// Why an article goes to the dead letters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadArticle {
    /// The symbol is none.
    #[error(transparent)]
    Symbol(#[from] BadSymbol),
    /// A text that must be there is empty.
    #[error("the {0} is empty")]
    Missing(&'static str),
    /// A text that is too long to be what it claims.
    #[error("the {field} has {length} bytes, at most {limit} are taken")]
    TooLong {
        /// Which text.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The longest taken.
        limit: usize,
    },
    /// Not a web address: anything else could be script.
    #[error("the address `{0}` does not start with http:// or https://")]
    Address(String),
    /// Seconds in the place of milliseconds.
    #[error("the publication {0} is a time in seconds: times are epoch milliseconds, a thousand times that")]
    Seconds(Millis),
    /// A time that no article can have.
    #[error("the publication {0} is no time in epoch milliseconds")]
    Time(Millis),
    /// Another time that cannot be one.
    #[error("{0} {1} is no time in epoch milliseconds")]
    OtherTime(&'static str, Millis),
}

/// The longest identity and search term, in bytes.
const LONGEST_ID: usize = 1_024;
/// The longest headline and address, in bytes.
pub const LONGEST_HEADLINE: usize = 4_096;
/// The longest kind, section and pillar, in bytes: they are single words or names.
pub const LONGEST_NAME: usize = 512;

impl Article {
    /// Checks an article from outside.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), BadArticle> {
        if let Some(symbol) = &self.symbol {
            symbol::check(symbol)?;
        }
        for (field, text, limit) in [
            ("id", &self.id, LONGEST_ID),
            ("headline", &self.headline, LONGEST_HEADLINE),
            ("url", &self.url, LONGEST_HEADLINE),
        ] {
            if text.trim().is_empty() {
                return Err(BadArticle::Missing(field));
            }
            no_longer_than(limit, field, text)?;
        }
        no_longer_than(LONGEST_ID, "search term", &self.search_term)?;
        for (field, text) in [
            ("kind", &self.kind),
            ("section id", &self.section_id),
            ("section name", &self.section_name),
            ("pillar", &self.pillar),
        ] {
            no_longer_than(LONGEST_NAME, field, text.as_deref().unwrap_or_default())?;
        }
        if self.symbol.is_none() && self.search_term.trim().is_empty() {
            return Err(BadArticle::Missing("symbol and the search term"));
        }
        if !(self.url.starts_with("https://") || self.url.starts_with("http://")) {
            return Err(BadArticle::Address(self.url.chars().take(80).collect()));
        }
        if time::reads_as_seconds(self.published_timestamp) {
            return Err(BadArticle::Seconds(self.published_timestamp));
        }
        if !(0..time::LATEST).contains(&self.published_timestamp) {
            return Err(BadArticle::Time(self.published_timestamp));
        }
        let others = [
            ("received_timestamp", Some(self.received_timestamp)),
            ("updated_timestamp", self.updated_timestamp),
        ];
        for (field, at) in others {
            if let Some(at) = at.filter(|at| !time::is_believable(*at)) {
                return Err(BadArticle::OtherTime(field, at));
            }
        }
        Ok(())
    }

    /// Whether this is a heartbeat and not an article.
    pub fn is_heartbeat(&self) -> bool {
        self.source == Source::Clock
    }

    /// The key on the topic: the symbol, else the search term.
    pub fn key(&self) -> &str {
        self.symbol.as_deref().unwrap_or(&self.search_term)
    }
}

fn no_longer_than(limit: usize, field: &'static str, text: &str) -> Result<(), BadArticle> {
    match text.len() {
        length if length > limit => Err(BadArticle::TooLong { field, length, limit }),
        _ => Ok(()),
    }
}

/// Nanoseconds in a millisecond.
const NANOS: u64 = 1_000_000;

/// 0 to 999,999 nanoseconds from an article's identity, the same for ever, which tell
/// points of one millisecond apart: FNV-1a, 64 bits.
pub fn offset_of(id: &str) -> i64 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash % NANOS) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlines_of_one_second_are_kept_apart_by_their_identities() {
        let offsets: std::collections::BTreeSet<_> =
            (0..100).map(|n| offset_of(&format!("business/2013/oct/04/{n}"))).collect();
        assert_eq!(offsets.len(), 100);
        assert!(offsets.iter().all(|offset| (0..1_000_000).contains(offset)));
        // Published for the hash: FNV-1a of "a".
        assert_eq!(offset_of("a"), (0xaf63_dc4c_8601_ec8c_u64 % 1_000_000) as i64);
    }

    fn good() -> Article {
        Article {
            id: "business/2013/oct/04/results".into(),
            symbol: Some("IBM".into()),
            search_term: "IBM".into(),
            headline: "Results are out".into(),
            url: "https://example.org/results".into(),
            kind: None,
            section_id: None,
            section_name: None,
            pillar: None,
            published_timestamp: 1_380_873_960_000,
            updated_timestamp: None,
            source: Source::Replay,
            received_timestamp: 1_380_873_960_000,
            complete_until: 1_380_873_960_000,
            position: None,
        }
    }

    #[test]
    fn articles_that_are_none_are_refused_with_the_reason() {
        assert_eq!(good().check(), Ok(()));
        for (article, said) in [
            (Article { id: " ".into(), ..good() }, "the id is empty"),
            (Article { url: "javascript:alert(1)".into(), ..good() }, "does not start with http"),
            (Article { symbol: Some("~clock1".into()), ..good() }, "heartbeats"),
            (Article { headline: "x".repeat(5_000), ..good() }, "at most 4096"),
            (Article { published_timestamp: -1, ..good() }, "no time"),
            (Article { updated_timestamp: Some(i64::MAX), ..good() }, "updated_timestamp"),
            (Article { received_timestamp: i64::MIN, ..good() }, "received_timestamp"),
            (Article { section_name: Some("x".repeat(600)), ..good() }, "the section name has 600 bytes"),
            (Article { search_term: "x".repeat(2_000), ..good() }, "the search term has 2000 bytes"),
            (Article { symbol: None, search_term: String::new(), ..good() }, "search term is empty"),
        ] {
            let error = article.check().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
