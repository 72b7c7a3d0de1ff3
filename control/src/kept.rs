//! Lists that are data in the log: each is one record of a compacted topic,
//! with a version, and is read, changed and followed in one way.
//!
//! A change names the version that it read, so that of two at the same time
//! one is told of the other, also where they are made by different processes: a change
//! is made under the list's name ([`Log::fenced`]), read to the end, compared and
//! appended, and is refused if another one was begun meanwhile. Every version stays in
//! a history beside the list, for ever.
//!
//! What else is put onto the topic is passed over: versions rise by one, and one that
//! is further ahead than the history says is not believed.

use std::fmt::Debug;
use std::time::Duration;

use log::{Append, Log, LogError, Record, SharedLog, tail_of};
use model::time::{self, Millis};
use model::topic::Topic;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use crate::foreign::MOST_VERSIONS;

/// What such a list is made of.
pub trait Kept: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The compacted topic with the list as it stands.
    const TOPIC: Topic;
    /// The topic with every version of it.
    const HISTORY: Topic;
    /// The one key of the compacted topic, and the list's name in the API.
    const KEY: &'static str;
    /// What a person calls the list: `the watchlist`.
    const NAME: &'static str;
    /// Why a list is refused.
    type Bad: std::error::Error + Send + Sync + 'static;

    /// The list before anybody has changed it, at version 0.
    fn defaults() -> Vec<Self> {
        Vec::new()
    }

    /// Reads and checks a list as a person writes it: a JSON array, or an object
    /// that holds it under `entries`, as it is listed.
    ///
    /// # Errors
    /// As [`Kept::checked`], and when it is no JSON or of another shape.
    fn parse(json: &[u8]) -> Result<Vec<Self>, Self::Bad>;

    /// A whole list from outside, trimmed and checked.
    ///
    /// # Errors
    /// Names everything that is wrong with it.
    fn checked(entries: Vec<Self>) -> Result<Vec<Self>, Self::Bad>;

    /// Checks what a change brings that did not stand in the list before, by rules
    /// that no list which is kept already is held to.
    ///
    /// # Errors
    /// Names everything that is wrong with it.
    fn check_new(old: &[Self], new: &[Self]) -> Result<(), Self::Bad> {
        let _ = (old, new);
        Ok(())
    }

    /// What is different in `new`, for a person.
    fn summary(old: &[Self], new: &[Self]) -> String;
}

/// The whole list at one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<E> {
    /// Rises by one with every change; a change names the version that it read.
    pub version: u64,
    /// In the order in which they are shown.
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
    /// The version that the change led to.
    pub version: u64,
    /// When it was made, by the wall clock.
    pub at: Millis,
    /// By whom: `command`, `web` …
    pub by: String,
    /// What was changed, in words.
    pub summary: String,
    /// The list from then on.
    pub entries: Vec<E>,
}

/// Somebody else was faster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} has been changed in the meantime: it is at version {}, the change was made from version {read}; look at it and try again",
    E::NAME, current.version
)]
pub struct Conflict<E: Kept> {
    /// The version that the change was made from.
    pub read: u64,
    /// The list as it is.
    pub current: List<E>,
}

/// Why a list was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutError<E: Kept> {
    /// Somebody else was faster.
    #[error(transparent)]
    Conflict(#[from] Conflict<E>),
    /// The list is a bad one.
    #[error(transparent)]
    Bad(E::Bad),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The list as it stands; as at first, at version 0, where nobody has changed it.
///
/// # Errors
/// When the log cannot be read.
pub async fn read<E: Kept>(log: &dyn Log) -> Result<List<E>, LogError> {
    let mut latest = List::default();
    Tail::default().read_on(log, &mut latest).await?;
    Ok(latest)
}

/// Puts another list, made from the version `read`; returns it as it stands then.
/// Changing nothing makes no new version.
///
/// # Errors
/// When the list is bad, has been changed since, or the log fails.
pub async fn put<E: Kept>(
    log: &dyn Log,
    read: u64,
    entries: Vec<E>,
    by: &str,
) -> Result<List<E>, PutError<E>> {
    // One change at a time in this process; other processes are shut out or shut us out.
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
                // The change is written: a log that cannot be read now does not undo it.
                if fenced.is_some()
                    && let Err(error) = shows(log, &list).await
                {
                    tracing::warn!(%error, topic = %E::TOPIC, "A change is written and cannot be read back just now.");
                }
                return Ok(list);
            }
            Err(LogError::Fenced { .. }) if tries < TRIES => {}
            Err(error) => return Err(error.into()),
        }
        // Of many who change it at once each goes on after another while.
        tokio::time::sleep(backoff.mul_f64(0.5 + jitter())).await;
        backoff = (backoff * 2).min(LONGEST_PAUSE);
    }
    unreachable!("the loop ends with an answer")
}

/// A change is begun again so many times when others begin one meanwhile.
const TRIES: u32 = 30;
/// The longest pause before it is begun again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long what was committed may take to show to readers.
const SHOWS_WITHIN: Duration = Duration::from_secs(10);

/// Waits until readers see a list that was put: who put it may look at it at once.
async fn shows<E: Kept>(log: &dyn Log, list: &List<E>) -> Result<(), LogError> {
    let until = tokio::time::Instant::now() + SHOWS_WITHIN;
    while read::<E>(log).await?.version < list.version && tokio::time::Instant::now() < until {
        tokio::time::sleep(PAUSE / 10).await;
    }
    Ok(())
}

/// A random number from 0 up to 1.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(time::now()) as f64 / u64::MAX as f64
}

/// How long a change may wait before followers see it, about.
const LOOK: Duration = Duration::from_millis(150);
/// The shortest time between two looks at a busy log.
const PAUSE: Duration = Duration::from_millis(50);

/// The list as it stands, kept up to date by a task that ends with the last receiver.
///
/// # Errors
/// When the log cannot be read at the start; later failures are logged and tried again.
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
                    tracing::warn!(%error, topic = %E::TOPIC, "A list cannot be followed just now.");
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

/// A list that is looked at again and again.
pub struct Standing<E: Kept> {
    tail: Tail,
    latest: List<E>,
}

impl<E: Kept> Default for Standing<E> {
    fn default() -> Standing<E> {
        Standing { tail: Tail::default(), latest: List::default() }
    }
}

impl<E: Kept> Standing<E> {
    /// The list as it stands now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn read_on(&mut self, log: &dyn Log) -> Result<&List<E>, LogError> {
        self.tail.read_on(log, &mut self.latest).await?;
        Ok(&self.latest)
    }
}

/// How far the topic has been read, by partition.
#[derive(Default)]
struct Tail {
    next: std::collections::BTreeMap<u32, u64>,
}

impl Tail {
    /// Reads what has come since, and leaves the last list in `latest`.
    async fn read_on<E: Kept>(&mut self, log: &dyn Log, latest: &mut List<E>) -> Result<(), LogError> {
        const AT_ONCE: usize = 16;
        let mut refused = false;
        for extent in log.extents(&E::TOPIC).await? {
            let next = self.next.entry(extent.partition).or_insert(0);
            while *next < extent.next {
                let records = log.read(&E::TOPIC, extent.partition, *next, AT_ONCE).await?;
                *next = records.last().map_or(extent.next, |last| last.offset + 1);
                for record in records.iter().filter(|record| record.key == E::KEY) {
                    match judged(log, record, latest).await? {
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
        // Compaction keeps the last record of the key: where that is none of ours, what
        // it took the place of is in the history.
        if (refused || latest.version == 0)
            && let Some(past) = newest::<E>(log).await?
            && past.version > latest.version
        {
            *latest = List { version: past.version, entries: past.entries };
        }
        Ok(())
    }
}

/// The list that a record holds; `None` where it is an older one.
///
/// # Errors
/// Within, why it is not believed; outside, when the log cannot be read.
async fn judged<E: Kept>(
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
    // Versions between may be gone by compaction; the history has them.
    let most = match newest::<E>(log).await? {
        Some(past) => past.version.max(latest.version).saturating_add(1),
        None => MOST_VERSIONS,
    };
    if list.version <= most {
        return Ok(Ok(Some(list)));
    }
    Ok(Err(format!("version {} cannot follow version {}", list.version, most.saturating_sub(1))))
}

/// Records at the end of each partition of a history that are looked at, where the last
/// one is none of ours; each may hold a megabyte.
const LOOKED_AT: usize = 8;

/// The newest version that the history holds.
async fn newest<E: Kept>(log: &dyn Log) -> Result<Option<Past<E>>, LogError> {
    let mut newest: Option<Past<E>> = None;
    for extent in log.extents(&E::HISTORY).await? {
        for count in [1, LOOKED_AT] {
            let records = tail_of(log, &E::HISTORY, extent, count).await?;
            let read = records
                .iter()
                .rev()
                .filter_map(|record| serde_json::from_slice::<Past<E>>(&record.value).ok());
            let mut ours = read.filter(|past| (1..=MOST_VERSIONS).contains(&past.version));
            let Some(past) = ours.next() else { continue };
            if newest.as_ref().is_none_or(|newest| past.version > newest.version) {
                newest = Some(past);
            }
            break;
        }
    }
    Ok(newest)
}

/// The values of a list as a person writes it: a JSON array, or an object that
/// holds it under `entries`, as it is listed.
///
/// # Errors
/// In words, when it is no JSON or of another shape.
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

/// At most a line of a text that may be anything, for a message.
pub(crate) fn short(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
