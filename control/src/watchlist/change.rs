//! Changes of the watchlist, and what they come to in words.

use std::collections::HashMap;

use super::check::{BadList, checked};
use super::{Entry, Watchlist};

/// What is to be different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// One more entry, at the end.
    Add(Entry),
    /// Without the entries of this symbol, of this search term, or of both.
    Remove {
        /// The symbol; any where left out.
        symbol: Option<String>,
        /// The search term; any where left out.
        search_term: Option<String>,
    },
    /// Another list.
    Set(Vec<Entry>),
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChange {
    /// The list would be a bad one.
    #[error(transparent)]
    List(#[from] BadList),
    /// Nothing to remove.
    #[error(transparent)]
    NotListed(#[from] NotListed),
}

/// No entry is as the one that is to be removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no entry is {wanted}; `tickwire watch list` shows what there is")]
pub struct NotListed {
    wanted: Entry,
}

impl Watchlist {
    /// The list after a change, one version on.
    ///
    /// # Errors
    /// When the list would be a bad one, or there is nothing to remove.
    pub fn apply(&self, change: Change) -> Result<Watchlist, BadChange> {
        let entries = match change {
            Change::Set(entries) => entries,
            Change::Add(entry) => self.entries.iter().cloned().chain([entry]).collect(),
            Change::Remove { symbol, search_term } => self.without(symbol, search_term)?,
        };
        Ok(Watchlist { version: self.version.saturating_add(1), entries: checked(entries)? })
    }

    fn without(&self, symbol: Option<String>, search_term: Option<String>) -> Result<Vec<Entry>, NotListed> {
        let is_meant = |entry: &&Entry| {
            let of_symbol = symbol.is_none() || entry.symbol == symbol;
            let of_term = search_term.is_none() || entry.search_term == search_term;
            of_symbol && of_term && (symbol.is_some() || search_term.is_some())
        };
        let left: Vec<_> = self.entries.iter().filter(|entry| !is_meant(entry)).cloned().collect();
        if left.len() == self.entries.len() {
            return Err(NotListed { wanted: Entry { symbol, search_term, sections: Vec::new() } });
        }
        Ok(left)
    }
}

/// So many entries are named in a summary; the rest is counted.
const NAMED: usize = 5;

/// What is different in `new`, for a person: `added MSFT; removed AAPL`.
pub fn summary(old: &[Entry], new: &[Entry]) -> String {
    let index = |entries: &[Entry]| -> HashMap<(Option<String>, Option<String>), Vec<String>> {
        let identity = |entry: &Entry| (entry.symbol.clone(), entry.search_term.clone());
        entries.iter().map(|entry| (identity(entry), entry.sections.clone())).collect()
    };
    let (before, after) = (index(old), index(new));
    let of = |entry: &Entry| (entry.symbol.clone(), entry.search_term.clone());
    let added: Vec<_> = new.iter().filter(|entry| !before.contains_key(&of(entry))).collect();
    let removed: Vec<_> = old.iter().filter(|entry| !after.contains_key(&of(entry))).collect();
    let changed: Vec<_> = new
        .iter()
        .filter(|entry| before.get(&of(entry)).is_some_and(|sections| *sections != entry.sections))
        .collect();
    let parts: Vec<_> = [("added", added), ("removed", removed), ("changed the sections of", changed)]
        .into_iter()
        .filter(|(_, entries)| !entries.is_empty())
        .map(|(what, entries)| format!("{what} {}", name(&entries)))
        .collect();
    match (parts.is_empty(), old == new) {
        (false, _) => parts.join("; "),
        (true, true) => "changed nothing".into(),
        (true, false) => "changed the order".into(),
    }
}

fn name(entries: &[&Entry]) -> String {
    let mut names: Vec<_> = entries.iter().take(NAMED).map(ToString::to_string).collect();
    if entries.len() > NAMED {
        names.push(format!("{} more", entries.len() - NAMED));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchlist::BadEntry;

    fn entry(symbol: &str, term: &str) -> Entry {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Entry { symbol: some(symbol), search_term: some(term), sections: Vec::new() }
    }

    fn list() -> Watchlist {
        Watchlist {
            version: 4,
            entries: vec![entry("AAPL", ""), entry("AAPL", "apple"), entry("", "rates"), entry("IBM", "")],
        }
    }

    #[test]
    fn an_entry_is_added_once_and_at_the_end() {
        let after = list().apply(Change::Add(entry("MSFT", ""))).unwrap();
        assert_eq!((after.version, after.entries.last()), (5, Some(&entry("MSFT", ""))));
        let error = after.apply(Change::Add(entry("MSFT", ""))).unwrap_err();
        let BadChange::List(BadList::Entries(bad)) = &error else { panic!("{error}") };
        assert_eq!((bad[0].place, &bad[0].problem), (6, &BadEntry::Repeats(5)));
    }

    #[test]
    fn entries_are_removed_by_symbol_by_term_or_by_both() {
        let removed = |symbol: Option<&str>, term: Option<&str>| {
            let change = Change::Remove { symbol: symbol.map(Into::into), search_term: term.map(Into::into) };
            list().apply(change).map(|after| after.entries.len())
        };
        assert_eq!(removed(Some("AAPL"), None), Ok(2));
        assert_eq!(removed(Some("AAPL"), Some("apple")), Ok(3));
        assert_eq!(removed(None, Some("rates")), Ok(3));
        let error = removed(Some("aapl"), None).unwrap_err().to_string();
        assert!(error.contains("no entry is aapl") && error.contains("watch list"), "{error}");
        assert!(removed(None, None).is_err());
    }

    #[test]
    fn a_summary_names_what_is_different() {
        let old = list().entries;
        let mut new = old.clone();
        new.remove(3);
        new.push(entry("MSFT", "microsoft"));
        new[2].sections.push("business".into());
        assert_eq!(
            summary(&old, &new),
            "added MSFT with `microsoft`; removed IBM; changed the sections of `rates` in business"
        );
        let many: Vec<_> = (0..9).map(|i| entry(&format!("S{i}"), "")).collect();
        assert_eq!(summary(&[], &many), "added S0, S1, S2, S3, S4, 4 more");
        assert_eq!(summary(&old, &old), "changed nothing");
        let turned: Vec<_> = old.iter().rev().cloned().collect();
        assert_eq!(summary(&old, &turned), "changed the order");
    }
}
