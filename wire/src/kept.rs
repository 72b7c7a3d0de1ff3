//! Lists that are data in the log: each is one record of a compacted topic,
//! with a version, and is read, changed and followed in one way.
//!
//! A change names the version that it read, so that of two at the same time
//! one is told of the other. Every version stays in a history beside it.

use std::fmt::Debug;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use crate::log::{Append, Log, LogError, SharedLog};
use crate::time::{self, Millis};
use crate::topic::Topic;

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
    fn at_first() -> Vec<Self> {
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
        List { version: 0, entries: E::at_first() }
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
    // The log has one owner, and in it one change at a time.
    static CHANGING: Mutex<()> = Mutex::const_new(());
    let entries = E::checked(entries).map_err(PutError::Bad)?;
    let _changing = CHANGING.lock().await;
    let current = self::read::<E>(log).await?;
    if current.version != read {
        return Err(Conflict { read, current }.into());
    }
    if current.entries == entries {
        return Ok(current);
    }
    E::check_new(&current.entries, &entries).map_err(PutError::Bad)?;
    let past = Past {
        version: read + 1,
        at: time::now(),
        by: by.to_owned(),
        summary: E::summary(&current.entries, &entries),
        entries,
    };
    let list = List { version: past.version, entries: past.entries.clone() };
    let history = Append::json(E::HISTORY, &past.version.to_string(), &past);
    log.append(vec![Append::json(E::TOPIC, E::KEY, &list), history]).await?;
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

/// How far the topic has been read, by partition.
#[derive(Default)]
struct Tail {
    next: std::collections::BTreeMap<u32, u64>,
}

impl Tail {
    /// Reads what has come since, and leaves the last list in `latest`.
    async fn read_on<E: Kept>(&mut self, log: &dyn Log, latest: &mut List<E>) -> Result<(), LogError> {
        const AT_ONCE: usize = 16;
        for extent in log.extents(&E::TOPIC).await? {
            let next = self.next.entry(extent.partition).or_insert(0);
            while *next < extent.next {
                let records = log.read(&E::TOPIC, extent.partition, *next, AT_ONCE).await?;
                *next = records.last().map_or(extent.next, |last| last.offset + 1);
                for record in records.iter().filter(|record| record.key == E::KEY) {
                    match serde_json::from_slice::<List<E>>(&record.value) {
                        Ok(list) if list.version >= latest.version => *latest = list,
                        Ok(_) => {}
                        Err(error) => {
                            tracing::warn!(topic = %E::TOPIC, offset = record.offset, %error, "A list in the log cannot be read; the one before it stays.");
                        }
                    }
                }
            }
        }
        Ok(())
    }
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
