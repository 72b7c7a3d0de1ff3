//! The log in the data folder: an SQLite file with one writer thread, which commits all waiting
//! requests in one transaction, and with concurrent readers.
//!
//! The file uses write-ahead logging with `synchronous = FULL`: a record is on the disk when
//! `append` returns, and survives `kill -9` and a power failure.

mod file;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use model::time::Millis;
use model::topic::Topic;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::{Append, Extent, Log, LogError, Position, Reader, Record};
use file::{LogFile, MAX_LAG, Readers, extents, offset_at, read};
use reader::{EmbeddedReader, wait_for_append};
use writer::{Request, write_until_closed};

/// The format of the file (`user_version`); a later one is refused.
const FORMAT: i64 = 1;

/// How long an append waits between two checks of a reader that lags far behind.
const CATCHING_UP: Duration = Duration::from_millis(10);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS records (
        topic INTEGER NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
        appended_at INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (topic, partition, offset)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS ends (
        topic INTEGER NOT NULL, partition INTEGER NOT NULL, first INTEGER NOT NULL, next INTEGER NOT NULL,
        PRIMARY KEY (topic, partition)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS readers (
        reader TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
        offset INTEGER NOT NULL, note TEXT NOT NULL,
        PRIMARY KEY (reader, topic, partition)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

/// The log of one data folder.
pub struct EmbeddedLog {
    file: LogFile,
    partitions: u32,
    requests: Option<mpsc::Sender<Request>>,
    version: watch::Receiver<u64>,
    writer: Option<std::thread::JoinHandle<()>>,
    readers: Readers,
    live: bool,
}

impl EmbeddedLog {
    /// Opens the log `path` for reading and writing, and creates it if missing, with
    /// `partitions` partitions per data topic.
    ///
    /// # Errors
    /// If the file cannot be opened or created, has a later format, or was made with a
    /// different number of partitions.
    pub fn open(path: &Path, partitions: u32) -> Result<EmbeddedLog, LogError> {
        let file = LogFile::new(path, false);
        let mut connection = file.connect()?;
        let asked = partitions.max(1);
        file.run(|| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")
        })?;
        file.check_format(&connection)?;
        let found = file.run(|| {
            connection.execute_batch(SCHEMA)?;
            connection.pragma_update(None, "user_version", FORMAT)?;
            connection.execute("INSERT OR IGNORE INTO settings VALUES ('partitions', ?1)", [asked])?;
            connection.query_row("SELECT value FROM settings WHERE name = 'partitions'", [], |row| row.get(0))
        })?;
        if found != asked {
            return Err(LogError::Partitions { path: file.name(), found, asked });
        }
        let (requests, inbox) = mpsc::channel();
        let (bump, version) = watch::channel(0);
        let writer_file = file.clone();
        let writer = std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || write_until_closed(&writer_file, &mut connection, asked, &inbox, &bump))
            .map_err(|error| LogError::Sqlite {
                path: file.name(),
                source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
            })?;
        let (requests, writer) = (Some(requests), Some(writer));
        let readers = Readers::default();
        Ok(EmbeddedLog { file, partitions: asked, requests, version, writer, readers, live: false })
    }

    /// Opens an existing log for reading only, while another process may write it.
    ///
    /// # Errors
    /// If the file does not exist, cannot be read, or has a later format.
    pub fn open_to_read(path: &Path) -> Result<EmbeddedLog, LogError> {
        let file = LogFile::new(path, true);
        let connection = file.connect()?;
        file.check_format(&connection)?;
        let partitions = file.run(|| {
            connection.query_row("SELECT value FROM settings WHERE name = 'partitions'", [], |row| row.get(0))
        })?;
        let (_, version) = watch::channel(0);
        Ok(EmbeddedLog {
            file,
            partitions,
            requests: None,
            version,
            writer: None,
            readers: Readers::default(),
            live: false,
        })
    }

    /// Marks this as the log of a live run, whose times follow the wall clock.
    pub fn of_live_data(mut self) -> EmbeddedLog {
        self.live = true;
        self
    }

    /// Deletes records that were appended before `before` (wall clock, ms), as far as the
    /// retention of their topic allows; returns their number.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn trim(&self, before: Millis) -> Result<u64, LogError> {
        self.request(|reply| Request::Trim(before, reply)).await
    }

    /// Waits while a reader of the topics in `records` lags far behind.
    async fn wait_for_readers(&self, records: &[Append]) -> Result<(), LogError> {
        let mut topics: Vec<&Topic> = records.iter().map(|record| &record.topic).collect();
        topics.sort();
        topics.dedup();
        for topic in topics {
            while self.readers.lag(topic, &self.extents(topic).await?) > MAX_LAG {
                tokio::time::sleep(CATCHING_UP).await;
            }
        }
        Ok(())
    }

    async fn request<T>(
        &self,
        build: impl FnOnce(oneshot::Sender<Result<T, LogError>>) -> Request,
    ) -> Result<T, LogError> {
        request(self.requests.as_ref(), build).await
    }

    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        self.file.query(query).await
    }
}

async fn request<T>(
    requests: Option<&mpsc::Sender<Request>>,
    build: impl FnOnce(oneshot::Sender<Result<T, LogError>>) -> Request,
) -> Result<T, LogError> {
    let (reply, answer) = oneshot::channel();
    requests.ok_or(LogError::Closed)?.send(build(reply)).map_err(|_| LogError::Closed)?;
    answer.await.map_err(|_| LogError::Closed)?
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        // Readers may outlive the log and keep the channel open, so the thread is closed
        // explicitly.
        if let Some(requests) = self.requests.take() {
            let _ = requests.send(Request::Close);
        }
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    async fn append(&self, records: Vec<Append>) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        if self.readers.is_due(records.len()) {
            self.wait_for_readers(&records).await?;
        }
        self.request(|reply| Request::Append(records, reply)).await
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    async fn extents(&self, topic: &Topic) -> Result<Vec<Extent>, LogError> {
        let name = topic.name().to_owned();
        self.query(move |connection| extents(connection, &name)).await
    }

    async fn read(
        &self,
        topic: &Topic,
        partition: u32,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, LogError> {
        let topic = topic.clone();
        self.query(move |connection| read(connection, &topic, partition, from, limit)).await
    }

    async fn offset_at(&self, topic: &Topic, partition: u32, at: Millis) -> Result<u64, LogError> {
        let name = topic.name().to_owned();
        self.query(move |connection| offset_at(connection, &name, partition, at)).await
    }

    async fn reader(&self, name: &str, topics: &[Topic]) -> Result<Box<dyn Reader>, LogError> {
        let resumed: Vec<_> =
            self.committed(name).await?.into_iter().filter(|at| topics.contains(&at.topic)).collect();
        let next = resumed.iter().map(|at| ((at.topic.clone(), at.partition), at.offset)).collect();
        let next = Arc::new(Mutex::new(next));
        self.readers.add(topics, &next);
        Ok(Box::new(EmbeddedReader {
            name: name.to_owned(),
            file: self.file.clone(),
            topics: topics.to_vec(),
            resumed,
            next,
            requests: self.requests.clone(),
            version: self.version.clone(),
            skipped: Vec::new(),
        }))
    }

    async fn committed(&self, name: &str) -> Result<Vec<Position>, LogError> {
        let reader = name.to_owned();
        self.query(move |connection| {
            connection
                .prepare_cached("SELECT topic, partition, offset, note FROM readers WHERE reader = ?1")?
                .query_map([&reader], |row| {
                    Ok(Position {
                        topic: Topic::new(row.get::<_, String>(0)?),
                        partition: row.get(1)?,
                        offset: row.get::<_, i64>(2)? as u64,
                        note: row.get(3)?,
                    })
                })?
                .collect()
        })
        .await
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT name FROM topics ORDER BY name")?
                .query_map([], |row| Ok(Topic::new(row.get::<_, String>(0)?)))?
                .collect()
        })
        .await
    }

    async fn appended(&self, wait: Duration) {
        let mut version = self.version.clone();
        version.mark_unchanged();
        wait_for_append(&mut version, wait).await;
    }
}
