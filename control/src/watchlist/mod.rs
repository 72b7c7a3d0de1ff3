//! The watchlist: the symbols and search terms to watch, stored in the log.
//!
//! It is a versioned list (see [`kept`]): the list with its entries, its history, and the
//! changes that can be made to it with their summaries.

mod check;
mod query;

use std::collections::HashMap;

use log::{Log, LogError, SharedLog};
use model::topic::{Topic, WATCHLIST, WATCHLIST_HISTORY};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::foreign::MAX_VERSION;
use crate::kept::{self, Kept, List};

pub use check::{
    BadEntry, BadList, BadPlace, MAX_BYTES, MAX_ENTRIES, MAX_SECTION, MAX_SECTIONS, MAX_TERM, check_spelling,
    checked,
};
pub use query::{BadQuery, Problem, check as check_query, parse};

/// One entry: a symbol, a search term, or a search term for the news of a symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The symbol whose bars are wanted; [`EVERY_SYMBOL`] for all symbols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// The query whose headlines are wanted, in the Guardian's syntax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_term: Option<String>,
    /// The sections of the Guardian to which the headlines are limited; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<String>,
}

/// The watchlist at one version.
pub type Watchlist = List<Entry>;

/// The single key of the topic.
pub const KEY: &str = "watchlist";

/// The symbol that means every symbol of the feed.
pub const EVERY_SYMBOL: &str = "*";

impl Watchlist {
    /// The symbols whose bars are wanted, without duplicates, in the order of the list. May
    /// contain [`EVERY_SYMBOL`].
    pub fn symbols(&self) -> Vec<&str> {
        let mut seen = std::collections::HashSet::new();
        let symbols = self.entries.iter().filter_map(|entry| entry.symbol.as_deref());
        symbols.filter(|symbol| seen.insert(*symbol)).collect()
    }
}

/// Formats the entry for a person: AAPL, `apple`, or AAPL with `apple` in business.
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

/// One version of the list in `watchlist-history`.
pub type Past = kept::Past<Entry>;
/// The list was changed since the version that the change was made from.
pub type Conflict = kept::Conflict<Entry>;
/// Why a list was not written.
pub type PutError = kept::PutError<Entry>;

impl Kept for Entry {
    const TOPIC: Topic = WATCHLIST;
    const HISTORY: Topic = WATCHLIST_HISTORY;
    const KEY: &'static str = KEY;
    const NAME: &'static str = "the watchlist";
    type Bad = BadList;

    fn parse(json: &[u8]) -> Result<Vec<Entry>, BadList> {
        parse(json)
    }

    fn checked(entries: Vec<Entry>) -> Result<Vec<Entry>, BadList> {
        checked(entries)
    }

    fn check_new(old: &[Entry], new: &[Entry]) -> Result<(), BadList> {
        check_spelling(old, new)
    }

    fn summary(old: &[Entry], new: &[Entry]) -> String {
        summary(old, new)
    }
}

/// The current list; empty at version 0 if it was never changed.
///
/// # Errors
/// If the log cannot be read.
pub async fn read(log: &dyn Log) -> Result<Watchlist, LogError> {
    kept::read(log).await
}

/// Replaces the list of version `read`; see [`kept::put`].
///
/// # Errors
/// If the list is invalid or was changed since, or if the log fails.
pub async fn put(log: &dyn Log, read: u64, entries: Vec<Entry>, by: &str) -> Result<Watchlist, PutError> {
    kept::put(log, read, entries, by).await
}

/// Follows the current list; see [`kept::follow`].
///
/// # Errors
/// If the log cannot be read at the start.
pub async fn follow(log: SharedLog) -> Result<watch::Receiver<Watchlist>, LogError> {
    kept::follow(log).await
}

/// How many versions are read at once; each holds the whole list, up to a megabyte.
const AT_ONCE: usize = 4;

/// The last `count` versions, newest first, without their entries: what was changed, by whom
/// and when.
///
/// # Errors
/// If the log cannot be read.
pub async fn history(log: &dyn Log, count: usize) -> Result<Vec<Past>, LogError> {
    let mut past: Vec<Past> = Vec::new();
    each(log, count, |version| past.push(Past { entries: Vec::new(), ..version })).await?;
    past.sort_by_key(|past| std::cmp::Reverse(past.version));
    past.dedup_by_key(|past| past.version);
    past.truncate(count);
    Ok(past)
}

/// Version `version` with its entries, if it is among the last `count` versions.
///
/// # Errors
/// If the log cannot be read.
pub async fn past(log: &dyn Log, version: u64, count: usize) -> Result<Option<Past>, LogError> {
    let mut found = None;
    let is_it = |past: Past| {
        if past.version == version {
            found = Some(past);
        }
    };
    each(log, count, is_it).await?;
    Ok(found)
}

/// Passes at least the last `count` versions to `take`, in no particular order.
async fn each(log: &dyn Log, count: usize, mut take: impl FnMut(Past)) -> Result<(), LogError> {
    for extent in log.extents(&WATCHLIST_HISTORY).await? {
        // The last `count` versions are among the last `count` records of each partition. A
        // transaction marker, which takes an offset, may follow each record.
        let back = (count as u64).saturating_mul(2);
        let mut from = extent.first.max(extent.next.saturating_sub(back));
        while from < extent.next {
            let records = log.read(&WATCHLIST_HISTORY, extent.partition, from, AT_ONCE).await?;
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            records
                .iter()
                .filter_map(|record| serde_json::from_slice::<Past>(&record.value).ok())
                .filter(|past| past.version <= MAX_VERSION)
                .for_each(&mut take);
        }
    }
    Ok(())
}

/// A change of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds an entry at the end.
    Add(Entry),
    /// Removes the entries with this symbol, with this search term, or with both.
    Remove {
        /// The symbol; `None` matches any.
        symbol: Option<String>,
        /// The search term; `None` matches any.
        search_term: Option<String>,
    },
    /// Replaces the whole list.
    Set(Vec<Entry>),
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChange {
    /// The resulting list would be invalid.
    #[error(transparent)]
    List(#[from] BadList),
    /// No entry matches the removal.
    #[error(transparent)]
    NotListed(#[from] NotListed),
}

/// No entry matches the one that is to be removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no entry matches {wanted}; `tickwire watch list` shows the entries")]
pub struct NotListed {
    wanted: Entry,
}

impl Watchlist {
    /// The list after a change, with the next version.
    ///
    /// # Errors
    /// If the resulting list is invalid, or no entry matches a removal.
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

/// How many entries a summary names; the others are counted.
const NAMED: usize = 5;

/// Summarizes the differences for a person: `added MSFT; removed AAPL`.
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
    use log::{Append, EmbeddedLog};
    use std::sync::Arc;
    use std::time::Duration;

    fn log() -> (tempfile::TempDir, Arc<EmbeddedLog>) {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 3).unwrap());
        (folder, log)
    }

    fn symbol(symbol: &str) -> Entry {
        Entry { symbol: Some(symbol.into()), ..Entry::default() }
    }

    /// How long a follower may take in a test on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_list_is_put_from_the_version_that_was_read() {
        let (_folder, log) = log();
        assert_eq!(read(&*log).await.unwrap(), Watchlist::default());
        let list = put(&*log, 0, vec![symbol("AAPL")], "test").await.unwrap();
        assert_eq!((list.version, read(&*log).await.unwrap()), (1, list));
        let conflict = put(&*log, 0, vec![symbol("MSFT")], "test").await.unwrap_err();
        let PutError::Conflict(Conflict { read: 0, current }) = &conflict else { panic!("{conflict}") };
        assert_eq!(current.entries, [symbol("AAPL")]);
        assert!(conflict.to_string().contains("it is at version 1"), "{conflict}");
    }

    #[tokio::test]
    async fn a_symbol_as_it_is_written_elsewhere_is_not_put() {
        let (_folder, log) = log();
        let PutError::Bad(bad) = put(&*log, 0, vec![symbol("aapl")], "test").await.unwrap_err() else {
            panic!("put for another reason")
        };
        assert!(bad.to_string().contains("write AAPL"), "{bad}");
        assert_eq!(read(&*log).await.unwrap().version, 0);
    }

    #[tokio::test]
    async fn of_changes_made_at_once_from_one_version_one_is_taken() {
        let (_folder, log) = log();
        let puts = (0..8).map(|i| {
            let log = log.clone();
            tokio::spawn(async move { put(&*log, 0, vec![symbol(&format!("S{i}"))], "test").await.is_ok() })
        });
        let mut taken = 0;
        for put in puts.collect::<Vec<_>>() {
            taken += usize::from(put.await.unwrap());
        }
        assert_eq!((taken, read(&*log).await.unwrap().version), (1, 1));
    }

    #[tokio::test]
    async fn the_history_keeps_every_version_with_its_summary() {
        let (_folder, log) = log();
        put(&*log, 0, vec![symbol("AAPL")], "one").await.unwrap();
        put(&*log, 1, vec![symbol("MSFT")], "two").await.unwrap();
        assert_eq!(put(&*log, 2, vec![symbol("MSFT")], "three").await.unwrap().version, 2);
        let mut past: Vec<Past> = Vec::new();
        for extent in log.extents(&WATCHLIST_HISTORY).await.unwrap() {
            for record in log.read(&WATCHLIST_HISTORY, extent.partition, 0, 100).await.unwrap() {
                past.push(serde_json::from_slice(&record.value).unwrap());
            }
        }
        past.sort_by_key(|past| past.version);
        let said: Vec<_> = past.iter().map(|past| (past.by.as_str(), past.summary.as_str())).collect();
        assert_eq!(said, [("one", "added AAPL"), ("two", "added MSFT; removed AAPL")]);
        assert_eq!(past[0].entries, [symbol("AAPL")]);
    }

    #[tokio::test]
    async fn a_follower_sees_the_list_at_once_and_every_change() {
        let (_folder, log) = log();
        put(&*log, 0, vec![symbol("AAPL")], "test").await.unwrap();
        let mut followed = follow(log.clone()).await.unwrap();
        assert_eq!(followed.borrow_and_update().entries, [symbol("AAPL")]);
        put(&*log, 1, vec![symbol("MSFT")], "test").await.unwrap();
        tokio::time::timeout(PATIENCE, followed.changed()).await.unwrap().unwrap();
        assert_eq!(followed.borrow().version, 2);
    }

    #[tokio::test]
    async fn a_follower_ends_with_its_last_receiver() {
        let (_folder, log) = log();
        let followed = follow(log.clone()).await.unwrap();
        assert_eq!(Arc::strong_count(&log), 2);
        drop(followed);
        tokio::time::timeout(PATIENCE, async {
            while Arc::strong_count(&log) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the task goes on without anybody to tell");
    }

    #[tokio::test]
    async fn a_record_that_is_no_list_leaves_the_one_before() {
        let (_folder, log) = log();
        put(&*log, 0, vec![symbol("AAPL")], "test").await.unwrap();
        let mut followed = follow(log.clone()).await.unwrap();
        log.append(vec![Append::json(WATCHLIST, KEY, &"nonsense")]).await.unwrap();
        log.append(vec![Append::json(WATCHLIST, "another", &1)]).await.unwrap();
        let next = put(&*log, 1, vec![symbol("MSFT")], "test").await.unwrap();
        tokio::time::timeout(PATIENCE, followed.wait_for(|list| list.version == 2)).await.unwrap().unwrap();
        assert_eq!(read(&*log).await.unwrap(), next);
    }

    #[tokio::test]
    async fn a_version_that_no_counting_reaches_is_passed_over_and_changes_go_on() {
        for version in [u64::MAX, 1_000_000_000_001, 9] {
            let (_folder, log) = log();
            let poison = Watchlist { version, entries: vec![symbol("POISON")] };
            let poison = || Append::json(WATCHLIST, KEY, &poison);
            let ours = put(&*log, 0, vec![symbol("AAPL")], "test").await.unwrap();
            let mut followed = follow(log.clone()).await.unwrap();
            log.append(vec![poison()]).await.unwrap();
            // The topic is compacted: it holds only the invalid record.
            assert_eq!(log.read(&WATCHLIST, 0, 0, 9).await.unwrap().len(), 1);
            assert_eq!(read(&*log).await.unwrap(), ours, "{version}");
            let next = put(&*log, 1, vec![symbol("MSFT")], "test").await.unwrap();
            assert_eq!((next.version, read(&*log).await.unwrap()), (2, next));
            let seen = tokio::time::timeout(PATIENCE, followed.wait_for(|list| list.version >= 2)).await;
            assert_eq!(seen.unwrap().unwrap().entries, [symbol("MSFT")]);
        }
    }

    #[tokio::test]
    async fn a_poisoned_history_neither_shows_nor_counts() {
        let (_folder, log) = log();
        put(&*log, 0, vec![symbol("AAPL")], "test").await.unwrap();
        let past = Past { version: u64::MAX, at: 0, by: "x".into(), summary: "x".into(), entries: vec![] };
        log.append(vec![
            Append::json(WATCHLIST_HISTORY, "x", &past),
            Append::json(WATCHLIST_HISTORY, "1", &"garbage"),
        ])
        .await
        .unwrap();
        let list = put(&*log, 1, vec![symbol("MSFT")], "test").await.unwrap();
        assert_eq!((list.version, read(&*log).await.unwrap()), (2, list));
        let shown = history(&*log, 9).await.unwrap();
        assert_eq!(shown.iter().map(|past| past.version).collect::<Vec<_>>(), [2, 1]);
    }

    #[tokio::test]
    async fn the_last_versions_come_newest_first_however_they_are_spread() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("log.db"), 3).unwrap();
        for version in 0..8 {
            let entry = Entry { symbol: Some(format!("S{version}")), ..Entry::default() };
            put(&log, version, vec![entry], "test").await.unwrap();
        }
        let newest = history(&log, 4).await.unwrap();
        let versions: Vec<_> = newest.iter().map(|past| past.version).collect();
        assert_eq!(versions, [8, 7, 6, 5]);
        assert_eq!(newest[0].summary, "added S7; removed S6");
        assert!(newest.iter().all(|past| past.entries.is_empty()));
        let sixth = past(&log, 6, 4).await.unwrap().unwrap();
        assert_eq!(sixth.entries[0].symbol.as_deref(), Some("S5"));
        assert_eq!(past(&log, 9, 4).await.unwrap(), None);
    }

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
        assert!(error.contains("no entry matches aapl") && error.contains("watch list"), "{error}");
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
