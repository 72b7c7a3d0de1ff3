//! The watchlist in the log: read, changed and followed, as every kept list is.

use log::{Log, LogError, SharedLog};
use model::topic::{Topic, WATCHLIST, WATCHLIST_HISTORY};
use tokio::sync::watch;

use super::check::{BadList, check_spelling, checked};
use super::{Entry, KEY, Watchlist, parse, summary};
use crate::kept::{self, Kept};

/// One version of the list in `watchlist-history`.
pub type Past = kept::Past<Entry>;
/// Somebody else was faster.
pub type Conflict = kept::Conflict<Entry>;
/// Why a list was not put.
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

/// The list as it stands; empty at version 0 where there never was one.
///
/// # Errors
/// When the log cannot be read.
pub async fn read(log: &dyn Log) -> Result<Watchlist, LogError> {
    kept::read(log).await
}

/// Puts another list, made from the version `read`; see [`kept::put`].
///
/// # Errors
/// When the list is bad, has been changed since, or the log fails.
pub async fn put(log: &dyn Log, read: u64, entries: Vec<Entry>, by: &str) -> Result<Watchlist, PutError> {
    kept::put(log, read, entries, by).await
}

/// The list as it stands, kept up to date; see [`kept::follow`].
///
/// # Errors
/// When the log cannot be read at the start.
pub async fn follow(log: SharedLog) -> Result<watch::Receiver<Watchlist>, LogError> {
    kept::follow(log).await
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

    /// As long as a follower may take in a test on a busy machine.
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
            // Compacted: the poison is all that the topic holds.
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
        let shown = crate::watchlist::history(&*log, 9).await.unwrap();
        assert_eq!(shown.iter().map(|past| past.version).collect::<Vec<_>>(), [2, 1]);
    }
}
