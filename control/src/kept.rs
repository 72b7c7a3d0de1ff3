//! Versioned lists in the log: each list is one record of a compacted topic, and all lists are
//! read, changed and followed in the same way.
//!
//! A change names the version that it was made from, so that of two concurrent changes one is
//! refused with a conflict, even if different processes make them. For this a change takes over
//! the name of the list (see [`Log::fenced`]), reads the topic to its end, compares the version
//! and appends. If another process takes over the name in the meantime, the append is refused.
//! A history topic keeps every version without a time limit.
//!
//! Records by other programs are skipped. Versions rise by one, so a version that is further
//! ahead than the history allows is skipped as well.

use std::fmt::Debug;
use std::time::Duration;

use log::{Append, Log, LogError, Record, SharedLog, tail_of};
use model::time::{self, Millis};
use model::topic::Topic;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use crate::foreign::MAX_VERSION;

/// The type of the entries of a versioned list.
pub trait Kept: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The compacted topic with the current list.
    const TOPIC: Topic;
    /// The topic with every version of the list.
    const HISTORY: Topic;
    /// The single key of the compacted topic, which is also the name of the list in the API.
    const KEY: &'static str;
    /// The name of the list in messages: `the watchlist`.
    const NAME: &'static str;
    /// Why a list is invalid.
    type Bad: std::error::Error + Send + Sync + 'static;

    /// The entries of version 0, before the first change.
    fn defaults() -> Vec<Self> {
        Vec::new()
    }

    /// Parses and checks a list: a JSON array, or an object with this array in `entries`, as
    /// the list command prints it.
    ///
    /// # Errors
    /// As [`Kept::checked`], and if it is not JSON or has another structure.
    fn parse(json: &[u8]) -> Result<Vec<Self>, Self::Bad>;

    /// Trims and checks a whole list from outside.
    ///
    /// # Errors
    /// Everything that is invalid.
    fn checked(entries: Vec<Self>) -> Result<Vec<Self>, Self::Bad>;

    /// Checks the entries that a change adds, by rules that do not apply to entries of the old
    /// list.
    ///
    /// # Errors
    /// Everything that is invalid.
    fn check_new(old: &[Self], new: &[Self]) -> Result<(), Self::Bad> {
        let _ = (old, new);
        Ok(())
    }

    /// Summarizes the differences between two lists for a person.
    fn summary(old: &[Self], new: &[Self]) -> String;
}

/// A list at one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<E> {
    /// The version; rises by one with every change.
    pub version: u64,
    /// The entries in display order.
    pub entries: Vec<E>,
}

impl<E: Kept> Default for List<E> {
    fn default() -> List<E> {
        List { version: 0, entries: E::defaults() }
    }
}

/// One version of the list in its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past<E> {
    /// The version that the change resulted in.
    pub version: u64,
    /// When the change was made, by the wall clock (ms).
    pub at: Millis,
    /// Who made it, such as `command` or `web`.
    pub by: String,
    /// A summary of the change.
    pub summary: String,
    /// The entries after the change.
    pub entries: Vec<E>,
}

/// The list was changed since the version that the change was made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} has been changed in the meantime: it is at version {}, the change was made from version {read}; look at it and try again",
    E::NAME, current.version
)]
pub struct Conflict<E: Kept> {
    /// The version that the change was made from.
    pub read: u64,
    /// The current list.
    pub current: List<E>,
}

/// Why a list was not written.
#[derive(Debug, thiserror::Error)]
pub enum PutError<E: Kept> {
    /// The list was changed in the meantime.
    #[error(transparent)]
    Conflict(#[from] Conflict<E>),
    /// The list is invalid.
    #[error(transparent)]
    Bad(E::Bad),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The current list; the default entries at version 0 if it was never changed.
///
/// # Errors
/// If the log cannot be read.
pub async fn read<E: Kept>(log: &dyn Log) -> Result<List<E>, LogError> {
    let mut latest = List::default();
    Tail::default().read_on(log, &mut latest).await?;
    Ok(latest)
}

/// Replaces the list of version `read` and returns the new one. A change without a difference
/// makes no new version.
///
/// # Errors
/// If the list is invalid or was changed since, or if the log fails.
pub async fn put<E: Kept>(
    log: &dyn Log,
    read: u64,
    entries: Vec<E>,
    by: &str,
) -> Result<List<E>, PutError<E>> {
    // One change at a time in this process. Between processes the log fences all but the
    // latest.
    static CHANGING: Mutex<()> = Mutex::const_new(());
    let entries = E::checked(entries).map_err(PutError::Bad)?;
    let _changing = CHANGING.lock().await;
    let mut backoff = PAUSE;
    for tries in 0.. {
        let fenced = log.fenced(&format!("list-{}", E::KEY)).await?;
        let log = fenced.as_deref().unwrap_or(log);
        let current = self::read::<E>(log).await?;
        let ours = tries > 0 && current.version == read.saturating_add(1) && current.entries == entries;
        if ours || (current.version == read && current.entries == entries) {
            return Ok(current);
        }
        if current.version != read {
            return Err(Conflict { read, current }.into());
        }
        E::check_new(&current.entries, &entries).map_err(PutError::Bad)?;
        let past = Past {
            version: read.saturating_add(1),
            at: time::now(),
            by: by.to_owned(),
            summary: E::summary(&current.entries, &entries),
            entries: entries.clone(),
        };
        let list = List { version: past.version, entries: entries.clone() };
        let history = Append::json(E::HISTORY, &past.version.to_string(), &past);
        match log.append(vec![Append::json(E::TOPIC, E::KEY, &list), history]).await {
            Ok(()) => {
                // The change is written, even if the log cannot be read now.
                if fenced.is_some()
                    && let Err(error) = wait_until_visible(log, &list).await
                {
                    tracing::warn!(%error, topic = %E::TOPIC, "A change is written, but cannot be read back at the moment.");
                }
                return Ok(list);
            }
            Err(LogError::Fenced { .. }) if tries < TRIES => {}
            Err(error) => return Err(error.into()),
        }
        // With jitter, so that concurrent writers do not retry at the same time.
        tokio::time::sleep(backoff.mul_f64(0.5 + jitter())).await;
        backoff = (backoff * 2).min(LONGEST_PAUSE);
    }
    unreachable!("the loop ends with an answer")
}

/// How often a change is retried after another process fenced it.
const TRIES: u32 = 30;
/// The longest pause between two retries.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a committed record may take until readers see it.
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);

/// Waits until readers see a new list, so that the caller can read it at once.
async fn wait_until_visible<E: Kept>(log: &dyn Log, list: &List<E>) -> Result<(), LogError> {
    let until = tokio::time::Instant::now() + VISIBLE_WITHIN;
    while read::<E>(log).await?.version < list.version && tokio::time::Instant::now() < until {
        tokio::time::sleep(PAUSE / 10).await;
    }
    Ok(())
}

/// A random number from 0 (inclusive) to 1 (exclusive).
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(time::now()) as f64 / u64::MAX as f64
}

/// The longest wait for new records, about.
const LOOK: Duration = Duration::from_millis(150);
/// The shortest time between two reads of a busy log.
const PAUSE: Duration = Duration::from_millis(50);

/// Follows the current list, in a task that ends with the last receiver.
///
/// # Errors
/// If the log cannot be read at the start; later failures are logged and retried.
pub async fn follow<E: Kept>(log: SharedLog) -> Result<watch::Receiver<List<E>>, LogError> {
    let mut tail = Tail::default();
    let mut latest = List::default();
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
                    tracing::warn!(%error, topic = %E::TOPIC, "A list cannot be read at the moment; trying again.");
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

/// A list that is read repeatedly; each read continues at the offset of the one before.
pub struct ListReader<E: Kept> {
    tail: Tail,
    latest: List<E>,
}

impl<E: Kept> Default for ListReader<E> {
    fn default() -> ListReader<E> {
        ListReader { tail: Tail::default(), latest: List::default() }
    }
}

impl<E: Kept> ListReader<E> {
    /// The current list.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn read_on(&mut self, log: &dyn Log) -> Result<&List<E>, LogError> {
        self.tail.read_on(log, &mut self.latest).await?;
        Ok(&self.latest)
    }
}

/// The next offset of each partition of the topic.
#[derive(Default)]
struct Tail {
    next: std::collections::BTreeMap<u32, u64>,
}

impl Tail {
    /// Reads the new records, and stores the last valid list in `latest`.
    async fn read_on<E: Kept>(&mut self, log: &dyn Log, latest: &mut List<E>) -> Result<(), LogError> {
        const AT_ONCE: usize = 16;
        let mut refused = false;
        for extent in log.extents(&E::TOPIC).await? {
            let next = self.next.entry(extent.partition).or_insert(0);
            while *next < extent.next {
                let records = log.read(&E::TOPIC, extent.partition, *next, AT_ONCE).await?;
                *next = records.last().map_or(extent.next, |last| last.offset + 1);
                for record in records.iter().filter(|record| record.key == E::KEY) {
                    match validated(log, record, latest).await? {
                        Ok(Some(list)) => *latest = list,
                        Ok(None) => {}
                        Err(reason) => {
                            log::warn_skipped(record, &reason);
                            refused = true;
                        }
                    }
                }
            }
        }
        // Compaction keeps only the last record of the key. If that record is invalid, the list
        // that it replaced is still in the history.
        if (refused || latest.version == 0)
            && let Some(past) = newest::<E>(log).await?
            && past.version > latest.version
        {
            *latest = List { version: past.version, entries: past.entries };
        }
        Ok(())
    }
}

/// The list in a record; `None` if its version is older.
///
/// # Errors
/// The inner error says why the record is not accepted; the outer one, that the log cannot be
/// read.
async fn validated<E: Kept>(
    log: &dyn Log,
    record: &Record,
    latest: &List<E>,
) -> Result<Result<Option<List<E>>, String>, LogError> {
    let list: List<E> = match serde_json::from_slice(&record.value) {
        Ok(list) => list,
        Err(error) => return Ok(Err(format!("{} cannot be read: {error}", E::NAME))),
    };
    if list.version < latest.version || list.version == 0 {
        return Ok(Ok(None));
    }
    if list.version - latest.version <= 1 {
        return Ok(Ok(Some(list)));
    }
    // Compaction may have removed the versions in between, but the history keeps them.
    let most = match newest::<E>(log).await? {
        Some(past) => past.version.max(latest.version).saturating_add(1),
        None => MAX_VERSION,
    };
    if list.version <= most {
        return Ok(Ok(Some(list)));
    }
    Ok(Err(format!("version {} cannot follow version {}", list.version, most.saturating_sub(1))))
}

/// How many records at the end of a partition of the history are searched if the last one is
/// invalid; each may hold a megabyte.
const SEARCHED: usize = 8;

/// The newest valid version in the history.
async fn newest<E: Kept>(log: &dyn Log) -> Result<Option<Past<E>>, LogError> {
    let mut newest: Option<Past<E>> = None;
    for extent in log.extents(&E::HISTORY).await? {
        for count in [1, SEARCHED] {
            let records = tail_of(log, &E::HISTORY, extent, count).await?;
            let read = records
                .iter()
                .rev()
                .filter_map(|record| serde_json::from_slice::<Past<E>>(&record.value).ok());
            let mut ours = read.filter(|past| (1..=MAX_VERSION).contains(&past.version));
            let Some(past) = ours.next() else { continue };
            if newest.as_ref().is_none_or(|newest| past.version > newest.version) {
                newest = Some(past);
            }
            break;
        }
    }
    Ok(newest)
}

/// The values of a list: a JSON array, or an object with this array in `entries`, as the list
/// command prints it.
///
/// # Errors
/// If it is not JSON or has another structure.
pub(crate) fn typed_values(json: &[u8]) -> Result<Vec<serde_json::Value>, String> {
    use serde_json::Value;
    match serde_json::from_slice(json).map_err(|error| error.to_string())? {
        Value::Array(values) => Ok(values),
        Value::Object(mut list) => match list.remove("entries") {
            Some(Value::Array(values)) => Ok(values),
            _ => Err("the object has no array `entries`".into()),
        },
        _ => Err("it is neither an array nor an object".into()),
    }
}

/// The beginning of a text of unknown content, on one line, for a message.
pub(crate) fn short(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
