//! The log: topics with ordered partitions, to which services append and from which named
//! readers read.
//!
//! The trait [`Log`] has two implementations: [`EmbeddedLog`] in the data folder and
//! [`KafkaLog`]. A record is durable when `append` returns, records of one partition keep their
//! order, and a named reader resumes at the offsets that it committed.

mod embedded;
mod faulty;
mod kafka;
mod partition;
pub mod sqlite;
mod tail;
pub mod time_bounds;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use model::time::Millis;
use model::topic::Topic;

pub use embedded::EmbeddedLog;
pub use faulty::{FailurePoint, FaultyLog};
pub use kafka::{KafkaConfig, KafkaLog};
pub use model::Append;
pub use partition::{partition_of, warn_skipped};
pub use tail::{each_record, last_records, tail_of, unread, was_recreated};

/// A record read from the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// The offset in the partition.
    pub offset: u64,
    /// When the record was appended, by the wall clock (ms).
    pub appended_at: Millis,
    /// The key, which selects the partition.
    pub key: String,
    /// The value: UTF-8 JSON.
    pub value: Bytes,
}

/// The offsets that one partition holds: from `first` up to but not including `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The partition.
    pub partition: u32,
    /// The oldest offset that retention has kept.
    pub first: u64,
    /// The offset of the next record to be appended (Kafka's "high watermark").
    pub next: u64,
}

/// The next offset of a reader in one partition, with optional metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// The next offset to read.
    pub offset: u64,
    /// Metadata that the reader stores with the offset; may be empty.
    pub note: String,
}

/// Offsets that a reader could not read, because retention had deleted them or the topic had
/// been recreated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// The first offset that was not read.
    pub from: u64,
    /// The offset at which reading continued.
    pub to: u64,
}

impl Skipped {
    /// Logs a warning. Called once per range.
    pub(crate) fn warn(&self, reader: &str) {
        tracing::warn!(
            reader,
            topic = %self.topic,
            partition = self.partition,
            from = self.from,
            to = self.to,
            "Records were deleted by retention before they were read; reading continues after them. Let services run more often than the retention, or keep records longer (retention.log, kafka.retention)."
        );
    }
}

/// A log. It is shared as a [`SharedLog`].
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Appends in order and returns when all records are durable. The embedded log appends all
    /// or none of them. Kafka may keep the first part of an append when the process is killed.
    async fn append(&self, records: Vec<Append>) -> Result<(), LogError>;

    /// The number of partitions that data topics have.
    fn partitions(&self) -> u32;

    /// Whether the records follow the wall clock: true for a live run, false for a replay or a
    /// simulation.
    fn is_live(&self) -> bool;

    /// The number of heartbeats per minute and partition, each with a different key.
    fn clock_keys(&self) -> u32 {
        1
    }

    /// The offsets that each partition of a topic holds; empty for a topic without records.
    async fn extents(&self, topic: &Topic) -> Result<Vec<Extent>, LogError>;

    /// Reads up to `limit` records of one partition, beginning at offset `from`.
    async fn read(
        &self,
        topic: &Topic,
        partition: u32,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, LogError>;

    /// The first offset of a partition whose record was appended at `at` (wall clock, ms) or
    /// later; the end of the partition if there is no such record.
    async fn offset_at(&self, topic: &Topic, partition: u32, at: Millis) -> Result<u64, LogError>;

    /// Opens a named reader at its committed offsets, or at the beginning where it has
    /// committed none.
    async fn reader(&self, name: &str, topics: &[Topic]) -> Result<Box<dyn Reader>, LogError>;

    /// The positions that a named reader committed last.
    async fn committed(&self, name: &str) -> Result<Vec<Position>, LogError>;

    /// The names of all topics.
    async fn topics(&self) -> Result<Vec<Topic>, LogError>;

    /// Waits for an append, at most for `wait`.
    async fn appended(&self, wait: Duration);

    /// Waits until this process holds the lease `name`. A log that only one process can open
    /// grants it at once.
    async fn lease(&self, _name: &str) -> Result<Box<dyn Lease>, LogError> {
        Ok(Box::new(Granted))
    }

    /// The fence of the lease through which this log was obtained (see [`Lease::log`]); `None`
    /// for any other log.
    fn fence(&self) -> Option<Fence> {
        None
    }

    /// Takes over `name` and returns a log that appends under it. Earlier holders of `name` get
    /// [`LogError::Fenced`], and readers never see records that those holders append
    /// afterwards. Returns `None` where this process is the only writer, as with the embedded
    /// log.
    async fn fenced(&self, _name: &str) -> Result<Option<SharedLog>, LogError> {
        Ok(None)
    }

    /// Checks within seconds whether the log answers.
    async fn health(&self) -> Result<(), LogError> {
        self.topics().await.map(drop)
    }
}

/// A log shared by services.
pub type SharedLog = Arc<dyn Log>;

/// The exclusive right to work under a name. Dropping it releases the lease.
#[async_trait]
pub trait Lease: Send + Sync {
    /// Waits until the lease has passed to another process or is being revoked. The holder then
    /// finishes its current work and drops the lease.
    async fn lost(&self);

    /// The log through which the holder must append and commit: it refuses both after the lease
    /// has been lost. `None` where the log that granted the lease needs no fencing.
    fn log(&self) -> Option<SharedLog>;
}

/// Identifies one holder of a lease, for a store that does not know the fences of the log.
#[derive(Clone)]
pub struct Fence {
    number: u64,
    certain: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Fence {
    /// Makes a fence from its number and a function that says whether the lease is certainly
    /// held.
    pub fn new(number: u64, certain: impl Fn() -> bool + Send + Sync + 'static) -> Fence {
        Fence { number, certain: Arc::new(certain) }
    }

    /// The fencing number; greater than the number of every earlier holder.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the lease was confirmed so recently that no other process can hold it. False
    /// after a pause of this process, and when the log has been unreachable for longer than a
    /// session.
    pub fn is_certain(&self) -> bool {
        (self.certain)()
    }
}

/// The lease of a log that only one process can open.
struct Granted;

#[async_trait]
impl Lease for Granted {
    async fn lost(&self) {
        std::future::pending::<()>().await;
    }

    fn log(&self) -> Option<SharedLog> {
        None
    }
}

/// A named reader of some topics.
#[async_trait]
pub trait Reader: Send + Sync {
    /// Returns the next records, at most `limit`, after waiting up to `wait` for the first one.
    /// Records of one partition are in order. An empty result means that no record arrived in
    /// time.
    async fn poll(&mut self, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError>;

    /// The committed positions, with their metadata, at which this reader was opened.
    fn resumed_from(&self) -> &[Position];

    /// The next offset to read, for every partition seen so far.
    fn positions(&self) -> Vec<Position>;

    /// The ranges of offsets that could not be read since the last call.
    fn skipped(&mut self) -> Vec<Skipped>;

    /// Whether every record that the log holds now has been returned by `poll`.
    async fn caught_up(&self) -> Result<bool, LogError>;

    /// Commits positions durably; the next reader of this name resumes there.
    async fn commit(&mut self, positions: Vec<Position>) -> Result<(), LogError>;
}

/// Errors of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// SQLite failed.
    #[error("the log {path} failed: {source}. {}", sqlite::advice(source))]
    Sqlite {
        /// The file.
        path: String,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// The file has the format of a later version.
    #[error(
        "the log {path} has format {found}, this program reads up to {known}: run the newer tickwire that wrote it, or name another data folder with --data-dir"
    )]
    Newer {
        /// The file.
        path: String,
        /// The format of the file.
        found: i64,
        /// The latest format that this program reads.
        known: i64,
    },
    /// The file was made with a different number of partitions.
    #[error(
        "the log {path} has {found} partition(s), {asked} asked for: the number of partitions of a log is fixed; use that number or a new data folder"
    )]
    Partitions {
        /// The file.
        path: String,
        /// The number of partitions in the file.
        found: u32,
        /// The number of partitions in the settings.
        asked: u32,
    },
    /// The log has been closed.
    #[error("the log has been closed")]
    Closed,
    /// Kafka does not answer.
    #[error(
        "Kafka at {servers} cannot be reached ({reason}): check that it runs and that kafka.bootstrap_servers is right"
    )]
    KafkaAway {
        /// The configured `bootstrap_servers`.
        servers: String,
        /// The error of the client library.
        reason: String,
    },
    /// Kafka did not answer, and no commit had been requested.
    #[error(
        "Kafka at {servers} did not answer within {seconds} seconds ({reason}), and nothing was written: check that it runs and that kafka.bootstrap_servers is right, then repeat the command"
    )]
    KafkaNotWritten {
        /// The configured `bootstrap_servers`.
        servers: String,
        /// The timeout, in seconds.
        seconds: u64,
        /// The error of the client library.
        reason: String,
    },
    /// Kafka did not answer after records or a commit had been sent.
    #[error(
        "Kafka at {servers} did not answer within {seconds} seconds ({reason}), and it is not known whether the change was written: check that Kafka runs, look at what is there now, and repeat the command if the change is missing"
    )]
    KafkaUnknown {
        /// The configured `bootstrap_servers`.
        servers: String,
        /// The timeout, in seconds.
        seconds: u64,
        /// The error of the client library.
        reason: String,
    },
    /// Kafka refused a request.
    #[error(
        "Kafka at {servers} refuses while {doing}: {source}. Check what this user may do there, and the limits of its topics"
    )]
    Kafka {
        /// The configured `bootstrap_servers`.
        servers: String,
        /// The refused operation.
        doing: &'static str,
        /// The error of the client library.
        source: rdkafka::error::KafkaError,
    },
    /// A topic exists with a different number of partitions.
    #[error(
        "Kafka's topic {topic} has {found} partition(s), {asked} expected: set kafka.partitions to what the data topics have, or delete the topic so that it is created again; adding partitions would spread the records of a symbol over two of them"
    )]
    KafkaPartitions {
        /// The name of the topic on Kafka.
        topic: String,
        /// The number of partitions of the topic.
        found: u32,
        /// The number of partitions in the settings.
        asked: u32,
    },
    /// The log has the format of a later version.
    #[error(
        "the log on Kafka at {servers} has format {found}, written by tickwire {version}; this program knows formats up to {known}: run that version, or restore the backup that was made before the upgrade (docs/operations.md, \"Upgrading\")"
    )]
    KafkaNewer {
        /// The configured `bootstrap_servers`.
        servers: String,
        /// The format of the log.
        found: u32,
        /// The version of Tickwire that wrote the format record.
        version: String,
        /// The latest format that this program knows.
        known: u32,
    },
    /// The log was begun with a different number of partitions.
    #[error(
        "the log on Kafka at {servers} began with {found} partition(s), {asked} asked for: keys would go to other partitions than before, and one symbol's records would lie in two. Set kafka.partitions to {found}; for more partitions begin a new log (docs/operations.md, \"More partitions\")"
    )]
    KafkaRepartitioned {
        /// The configured `bootstrap_servers`.
        servers: String,
        /// The number of partitions that the log began with.
        found: u32,
        /// The number of partitions in the settings.
        asked: u32,
    },
    /// The client library does not accept a setting under `kafka.client`.
    #[error(
        "a setting under kafka.client is not accepted: {reason}. The names are librdkafka's; TLS and SASL need a tickwire built with `--features kafka-tls`"
    )]
    KafkaSetting {
        /// The error of the client library, which names the setting.
        reason: String,
    },
    /// Another process has taken over the name or the lease.
    #[error(
        "another instance has taken over `{name}`: the remaining writes of this instance are refused, so that nothing is written twice"
    )]
    Fenced {
        /// The name that was taken over.
        name: String,
    },
    /// Metadata is too long to be committed with an offset.
    #[error("the metadata of an offset of {topic} has {length} bytes, the log accepts {longest}")]
    LongNote {
        /// The topic.
        topic: String,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        longest: usize,
    },
}
