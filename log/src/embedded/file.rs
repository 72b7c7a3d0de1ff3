//! The file of the embedded log: its read connections, its queries, and the back-pressure of
//! its readers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use model::time::Millis;
use model::topic::Topic;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::FORMAT;
use crate::{Extent, LogError, Record, sqlite};

/// How many idle read connections are kept; more are closed.
pub(super) const KEPT_IDLE: usize = 8;

/// The file with a pool of read connections.
#[derive(Clone)]
pub(super) struct LogFile {
    path: PathBuf,
    read_only: bool,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl LogFile {
    pub(super) fn new(path: &Path, read_only: bool) -> LogFile {
        LogFile { path: path.to_owned(), read_only, idle: Arc::default() }
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn run<T>(&self, step: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, LogError> {
        step().map_err(|source| LogError::Sqlite { path: self.name(), source })
    }

    pub(super) fn connect(&self) -> Result<Connection, LogError> {
        self.run(|| {
            let connection = if self.read_only {
                sqlite::open_to_read(&self.path)?
            } else {
                sqlite::warn_if_empty(&self.path);
                sqlite::keep_private(&self.path);
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
                Connection::open_with_flags(&self.path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?
            };
            connection.busy_timeout(Duration::from_secs(10))?;
            Ok(connection)
        })
    }

    pub(super) fn check_format(&self, connection: &Connection) -> Result<(), LogError> {
        let found = self.run(|| connection.query_row("PRAGMA user_version", [], |row| row.get(0)))?;
        if found > FORMAT {
            return Err(LogError::Newer { path: self.name(), found, known: FORMAT });
        }
        Ok(())
    }

    pub(super) fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < KEPT_IDLE {
            idle.push(connection);
        }
    }

    pub(super) async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let file = self.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let idle = file.idle().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => file.connect()?,
            };
            let answer = file.run(|| query(&connection));
            file.give_back(connection);
            answer
        });
        answer.await.map_err(|_| LogError::Closed)?
    }
}

pub(super) fn topic_id(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM topics WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(super) fn extents(connection: &Connection, topic: &str) -> rusqlite::Result<Vec<Extent>> {
    connection
        .prepare_cached(
            "SELECT partition, first, next FROM ends JOIN topics ON topics.id = ends.topic
             WHERE topics.name = ?1 ORDER BY partition",
        )?
        .query_map([topic], |row| {
            Ok(Extent {
                partition: row.get(0)?,
                first: row.get::<_, i64>(1)? as u64,
                next: row.get::<_, i64>(2)? as u64,
            })
        })?
        .collect()
}

pub(super) fn read(
    connection: &Connection,
    topic: &Topic,
    partition: u32,
    from: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Record>> {
    let Some(id) = topic_id(connection, topic.name())? else { return Ok(Vec::new()) };
    connection
        .prepare_cached(
            "SELECT offset, appended_at, key, value FROM records
             WHERE topic = ?1 AND partition = ?2 AND offset >= ?3 ORDER BY offset LIMIT ?4",
        )?
        .query_map(params![id, partition, from as i64, limit as i64], |row| {
            Ok(Record {
                topic: topic.clone(),
                partition,
                offset: row.get::<_, i64>(0)? as u64,
                appended_at: row.get(1)?,
                key: row.get(2)?,
                value: row.get::<_, Vec<u8>>(3)?.into(),
            })
        })?
        .collect()
}

/// Finds the offset by binary search, since append times never fall with rising offsets.
pub(super) fn offset_at(
    connection: &Connection,
    topic: &str,
    partition: u32,
    at: Millis,
) -> rusqlite::Result<u64> {
    let Some(id) = topic_id(connection, topic)? else { return Ok(0) };
    let Some(extent) = extents(connection, topic)?.into_iter().find(|extent| extent.partition == partition)
    else {
        return Ok(0);
    };
    let mut probe = connection.prepare_cached(
        "SELECT offset, appended_at FROM records
         WHERE topic = ?1 AND partition = ?2 AND offset >= ?3 ORDER BY offset LIMIT 1",
    )?;
    let (mut low, mut high) = (extent.first, extent.next);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = probe
            .query_row(params![id, partition, middle as i64], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?;
        match found {
            Some((offset, appended)) if appended < at => low = offset as u64 + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

// Back-pressure: appends wait while a reader lags far behind, so that a fast source does not
// fill the disk with unread records.

/// The lag of a reader in one partition, in records, above which appends wait.
pub(super) const MAX_LAG: u64 = 50_000;
/// How many records are appended between two checks of the readers.
const LOOK_EVERY: u64 = 5_000;

/// The next offset of each partition.
type Next = Mutex<BTreeMap<(Topic, u32), u64>>;

/// The next offsets of one reader, shared with [`Readers`].
pub(super) type NextOffsets = Arc<Next>;

/// The open readers of this process.
#[derive(Default)]
pub(super) struct Readers {
    open: Mutex<Vec<(Vec<Topic>, Weak<Next>)>>,
    since_look: AtomicU64,
}

impl Readers {
    /// Registers a reader. It counts until its offsets are dropped.
    pub(super) fn add(&self, topics: &[Topic], place: &NextOffsets) {
        lock(&self.open).push((topics.to_vec(), Arc::downgrade(place)));
    }

    /// Whether a check is due, when `records` are about to be appended.
    pub(super) fn is_due(&self, records: usize) -> bool {
        let due = self.since_look.fetch_add(records as u64, Relaxed) + records as u64 >= LOOK_EVERY;
        if due {
            self.since_look.store(0, Relaxed);
        }
        due
    }

    /// The largest lag in one partition of any reader of `topic`, in offsets.
    pub(super) fn lag(&self, topic: &Topic, extents: &[Extent]) -> u64 {
        let mut open = lock(&self.open);
        open.retain(|(_, place)| place.strong_count() > 0);
        let of_topic =
            open.iter().filter(|(topics, _)| topics.contains(topic)).filter_map(|(_, place)| place.upgrade());
        let lags = of_topic.flat_map(|place| {
            let place = lock(&place);
            let next = |extent: &Extent| place.get(&(topic.clone(), extent.partition)).copied().unwrap_or(0);
            extents
                .iter()
                .map(|extent| extent.next - next(extent).clamp(extent.first, extent.next))
                .collect::<Vec<_>>()
        });
        lags.max().unwrap_or(0)
    }
}

/// Locks a mutex whose value is consistent even after a panic.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
