//! The watchlist: what is watched, as data in the log.
//!
//! It is one record of a compacted topic. A change names the version that it
//! read, so that of two at the same time one is told of the other.

mod change;
mod check;
mod history;
mod kept;
mod query;
mod typed;

use serde::{Deserialize, Serialize};

use crate::kept::List;

pub use change::{BadChange, Change, NotListed, summary};
pub use check::{
    BadEntry, BadList, BadPlace, MAX_BYTES, MAX_ENTRIES, MAX_SECTION, MAX_SECTIONS, MAX_TERM, check_spelling,
    checked,
};
pub use history::{history, past};
pub use kept::{Conflict, Past, PutError, follow, put, read};
pub use query::{BadQuery, Problem, check as check_query};
pub use typed::parse;

/// One entry; it ties a symbol to a search term, or either stands alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The ticker whose bars are wanted; [`EVERY_SYMBOL`] for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// The query whose headlines are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_term: Option<String>,
    /// The sections that the headlines are limited to; empty is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<String>,
}

/// The whole list at one version.
pub type Watchlist = List<Entry>;

/// The one key of the topic.
pub const KEY: &str = "watchlist";

/// The symbol that stands for every symbol of the feed.
pub const EVERY_SYMBOL: &str = "*";

impl Watchlist {
    /// The symbols whose bars are wanted, each once, in the order of the list;
    /// [`EVERY_SYMBOL`] among them where all are.
    pub fn symbols(&self) -> Vec<&str> {
        let mut seen = std::collections::HashSet::new();
        let symbols = self.entries.iter().filter_map(|entry| entry.symbol.as_deref());
        symbols.filter(|symbol| seen.insert(*symbol)).collect()
    }
}

/// The entry as a person reads it: AAPL, `apple`, or AAPL with `apple` in business.
impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.symbol, &self.search_term) {
            (Some(symbol), Some(term)) => write!(f, "{symbol} with `{term}`")?,
            (Some(symbol), None) => f.write_str(symbol)?,
            (None, Some(term)) => write!(f, "`{term}`")?,
            (None, None) => f.write_str("an empty entry")?,
        }
        if !self.sections.is_empty() {
            write!(f, " in {}", self.sections.join(", "))?;
        }
        Ok(())
    }
}
