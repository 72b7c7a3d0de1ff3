//! The watchlist in the log: read, changed and followed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use super::check::{BadList, checked};
use super::{Entry, KEY, Watchlist, summary};
use crate::log::{Append, Log, LogError, SharedLog};
use crate::time::{self, Millis};
use crate::topic::{WATCHLIST, WATCHLIST_HISTORY};

/// One version of the list in `watchlist-history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The version that the change led to.
    pub version: u64,
    /// When it was made, by the wall clock.
    pub at: Millis,
    /// By whom: `command`, `web` …
    pub by: String,
    /// What was changed, in words.
    pub summary: String,
    /// The list from then on.
    pub entries: Vec<Entry>,
}

/// Somebody else was faster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the watchlist has been changed in the meantime: it is at version {}, the change was made from version {read}; look at it and try again",
    current.version
)]
pub struct Conflict {
    /// The version that the change was made from.
    pub read: u64,
    /// The list as it is.
    pub current: Watchlist,
}

/// Why a list was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Somebody else was faster.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The list is a bad one.
    #[error(transparent)]
    Bad(#[from] BadList),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The list as it stands; empty at version 0 where there never was one.
///
/// # Errors
/// When the log cannot be read.
pub async fn read(log: &dyn Log) -> Result<Watchlist, LogError> {
    let mut latest = Watchlist::default();
    Tail::default().read_on(log, &mut latest).await?;
    Ok(latest)
}

/// Puts another list, made from the version `read`; returns it as it stands then.
/// Changing nothing makes no new version.
///
/// # Errors
/// When the list is bad, has been changed since, or the log fails.
pub async fn put(log: &dyn Log, read: u64, entries: Vec<Entry>, by: &str) -> Result<Watchlist, PutError> {
    // The log has one owner, and in it one change at a time.
    static CHANGING: Mutex<()> = Mutex::const_new(());
    let entries = checked(entries)?;
    let _changing = CHANGING.lock().await;
    let current = self::read(log).await?;
    if current.version != read {
        return Err(Conflict { read, current }.into());
    }
    if current.entries == entries {
        return Ok(current);
    }
    let past = Past {
        version: read + 1,
        at: time::now(),
        by: by.to_owned(),
        summary: summary(&current.entries, &entries),
        entries,
    };
    let list = Watchlist { version: past.version, entries: past.entries.clone() };
    let history = Append::json(WATCHLIST_HISTORY, &past.version.to_string(), &past);
    log.append(vec![Append::json(WATCHLIST, KEY, &list), history]).await?;
    Ok(list)
}

/// How long a change may wait before followers see it, about.
const LOOK: Duration = Duration::from_millis(150);
/// The shortest time between two looks at a busy log.
const PAUSE: Duration = Duration::from_millis(50);

/// The list as it stands, kept up to date by a task that ends with the last receiver.
///
/// # Errors
/// When the log cannot be read at the start; later failures are logged and tried again.
pub async fn follow(log: SharedLog) -> Result<watch::Receiver<Watchlist>, LogError> {
    let mut tail = Tail::default();
    let mut latest = Watchlist::default();
    tail.read_on(&*log, &mut latest).await?;
    let (sender, receiver) = watch::channel(latest.clone());
    tokio::spawn(async move {
        let mut failing = false;
        loop {
            tokio::select! {
                () = sender.closed() => return,
                () = async { log.appended(LOOK).await; tokio::time::sleep(PAUSE).await } => {}
            }
            match tail.read_on(&*log, &mut latest).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "The watchlist cannot be followed just now.");
                }
                Err(_) => {}
            }
            sender.send_if_modified(|held| {
                let newer = *held != latest;
                if newer {
                    held.clone_from(&latest);
                }
                newer
            });
        }
    });
    Ok(receiver)
}

/// How far the topic has been read, by partition.
#[derive(Default)]
struct Tail {
    next: std::collections::BTreeMap<u32, u64>,
}

impl Tail {
    /// Reads what has come since, and leaves the last list in `latest`.
    async fn read_on(&mut self, log: &dyn Log, latest: &mut Watchlist) -> Result<(), LogError> {
        const AT_ONCE: usize = 16;
        for extent in log.extents(&WATCHLIST).await? {
            let next = self.next.entry(extent.partition).or_insert(0);
            while *next < extent.next {
                let records = log.read(&WATCHLIST, extent.partition, *next, AT_ONCE).await?;
                *next = records.last().map_or(extent.next, |last| last.offset + 1);
                for record in records.iter().filter(|record| record.key == KEY) {
                    match serde_json::from_slice::<Watchlist>(&record.value) {
                        Ok(list) if list.version >= latest.version => *latest = list,
                        Ok(_) => {}
                        Err(error) => {
                            tracing::warn!(offset = record.offset, %error, "A watchlist in the log cannot be read; the one before it stays.");
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::EmbeddedLog;
    use std::sync::Arc;

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
        let newer = Watchlist { version: 7, entries: vec![] };
        log.append(vec![Append::json(WATCHLIST, KEY, &newer)]).await.unwrap();
        tokio::time::timeout(PATIENCE, followed.wait_for(|list| list.version == 7)).await.unwrap().unwrap();
    }
}
