//! The log: ordered topics that producers append to and named readers read from.
//!
//! One interface, for the log in the data folder and for Kafka. What is
//! appended is durable when `append` returns; order holds in each partition of
//! a topic; a named reader resumes after the offsets that it committed.

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
pub use partition::{partition_of, passed_over};
pub use tail::{each_record, is_another, last_records, tail_of, unread};

/// A record as it stands in the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// The offset in the partition.
    pub offset: u64,
    /// When it was appended, by the wall clock.
    pub appended_at: Millis,
    /// The key.
    pub key: String,
    /// The JSON text.
    pub value: Bytes,
}

/// The offsets that one partition holds: from `first` up to but not including `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The partition.
    pub partition: u32,
    /// The oldest offset that is kept.
    pub first: u64,
    /// The offset that the next record will get.
    pub next: u64,
}

/// Where a reader stands in one partition: the next offset to read, with a note of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// The next offset to read.
    pub offset: u64,
    /// Whatever the reader wants to find again beside the offset; may be empty.
    pub note: String,
}

/// Records that a reader could not read any more: retention had deleted them, or the
/// topic was made anew, before the reader came to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// The first offset that was not read.
    pub from: u64,
    /// The offset at which the reader went on.
    pub to: u64,
}

impl Skipped {
    /// Says so to the operator, once for each stretch.
    pub(crate) fn warn(&self, reader: &str) {
        tracing::warn!(
            reader,
            topic = %self.topic,
            partition = self.partition,
            from = self.from,
            to = self.to,
            "Records were deleted by retention before they were read; reading goes on after them. Let services run more often than the retention, or keep records longer (retention.log, kafka.retention)."
        );
    }
}

/// A log. Cheap to clone behind [`SharedLog`].
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Appends in order and returns once everything is durable. The embedded
    /// log takes all of it or nothing; Kafka may hold the first part of an
    /// append whose process was killed.
    async fn append(&self, records: Vec<Append>) -> Result<(), LogError>;

    /// The number of partitions that data topics have.
    fn partitions(&self) -> u32;

    /// Whether what it holds follows the wall clock, as live data do and simulated or
    /// replayed data do not.
    fn is_live(&self) -> bool;

    /// How many heartbeats, each of another key, a partition gets a minute.
    fn clock_keys(&self) -> u32 {
        1
    }

    /// What each partition of a topic holds; empty for a topic never written.
    async fn extents(&self, topic: &Topic) -> Result<Vec<Extent>, LogError>;

    /// Up to `limit` records of one partition, from offset `from` on.
    async fn read(
        &self,
        topic: &Topic,
        partition: u32,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, LogError>;

    /// The first offset of a partition whose record was appended at `at` or later.
    async fn offset_at(&self, topic: &Topic, partition: u32, at: Millis) -> Result<u64, LogError>;

    /// A named reader, after what it committed last, else at the beginning.
    async fn reader(&self, name: &str, topics: &[Topic]) -> Result<Box<dyn Reader>, LogError>;

    /// What a named reader committed last.
    async fn committed(&self, name: &str) -> Result<Vec<Position>, LogError>;

    /// The names of all topics.
    async fn topics(&self) -> Result<Vec<Topic>, LogError>;

    /// Waits until something was appended, or until `wait` has passed.
    async fn appended(&self, wait: Duration);

    /// Waits until this process alone works under `name`, as until the end of the
    /// lease it does. A log that is in one process's hands grants it at once.
    async fn lease(&self, _name: &str) -> Result<Box<dyn Lease>, LogError> {
        Ok(Box::new(Granted))
    }

    /// What tells this holder of a lease from others, where the log is a lease's own.
    fn fence(&self) -> Option<Fence> {
        None
    }

    /// A log to which only the one that asked last under `name` can append: whoever asked
    /// before gets [`LogError::Fenced`], and nothing of what it appends is read. `None`
    /// where this process is the only one that appends, as to a log in a folder of its own.
    async fn fenced(&self, _name: &str) -> Result<Option<SharedLog>, LogError> {
        Ok(None)
    }

    /// Whether the log answers just now; says so within seconds.
    async fn health(&self) -> Result<(), LogError> {
        self.topics().await.map(drop)
    }
}

/// A log shared by services.
pub type SharedLog = Arc<dyn Log>;

/// The right to be the one that works under a name; given back when it is dropped.
#[async_trait]
pub trait Lease: Send + Sync {
    /// Waits until the right has gone to another process, or is about to: what is
    /// under way is then to be put in order and the lease given back.
    async fn lost(&self);

    /// The log through which the holder appends and commits: what it does there after
    /// the lease has gone is refused. `None` where the log that granted it is as good.
    fn log(&self) -> Option<SharedLog>;
}

/// What tells one holder of a lease from those before and after it, for a store that
/// knows nothing of the log's own fences.
#[derive(Clone)]
pub struct Fence {
    number: u64,
    certain: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Fence {
    /// A fence with its number, and what says whether the lease is held for certain.
    pub fn new(number: u64, certain: impl Fn() -> bool + Send + Sync + 'static) -> Fence {
        Fence { number, certain: Arc::new(certain) }
    }

    /// Greater than that of every holder before.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the lease was confirmed so recently that no other can have it: false after
    /// a pause of this process, and while the log is away for longer than a session.
    pub fn is_certain(&self) -> bool {
        (self.certain)()
    }
}

/// A lease that nobody else can ask for.
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
    /// The next records, at most `limit`, waiting up to `wait` for the first.
    /// Records of one partition come in order; an empty answer means that
    /// nothing arrived in time.
    async fn poll(&mut self, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError>;

    /// The positions that this reader found when it was opened, with their notes.
    fn resumed_from(&self) -> &[Position];

    /// Where the next poll reads, for every partition seen so far.
    fn positions(&self) -> Vec<Position>;

    /// What could not be read any more, since the last call.
    fn skipped(&mut self) -> Vec<Skipped>;

    /// Whether everything that the log holds now has been polled.
    async fn caught_up(&self) -> Result<bool, LogError>;

    /// Remembers positions durably; after a restart the reader goes on from them.
    async fn commit(&mut self, positions: Vec<Position>) -> Result<(), LogError>;
}

/// What can go wrong with the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// SQLite's own error.
    #[error("the log {path} failed: {source}. {}", sqlite::advice(source))]
    Sqlite {
        /// The file.
        path: String,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// The file was written by a later version.
    #[error(
        "the log {path} has format {found}, this program reads up to {known}: run the newer tickwire that wrote it, or name another data folder with --data-dir"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A log with a different number of partitions than asked for.
    #[error(
        "the log {path} has {found} partition(s), {asked} asked for: a log keeps the number that it was made with; use that number or a new data folder"
    )]
    Partitions {
        /// The file.
        path: String,
        /// What it has.
        found: u32,
        /// What was asked for.
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
        /// Where it was looked for.
        servers: String,
        /// The client's words.
        reason: String,
    },
    /// Kafka stopped answering before a commit was asked for.
    #[error(
        "Kafka at {servers} did not answer within {seconds} seconds ({reason}), and nothing was written: check that it runs and that kafka.bootstrap_servers is right, then repeat the command"
    )]
    KafkaNotWritten {
        /// Where it is.
        servers: String,
        /// How long was waited.
        seconds: u64,
        /// The client's words.
        reason: String,
    },
    /// Kafka stopped answering while it was asked to keep what was sent.
    #[error(
        "Kafka at {servers} did not answer within {seconds} seconds ({reason}), and it is not known whether the change was written: check that Kafka runs, look at what is there now, and repeat the command if the change is missing"
    )]
    KafkaUnknown {
        /// Where it is.
        servers: String,
        /// How long was waited.
        seconds: u64,
        /// The client's words.
        reason: String,
    },
    /// Kafka refuses.
    #[error(
        "Kafka at {servers} refuses while {doing}: {source}. Check what this user may do there, and the limits of its topics"
    )]
    Kafka {
        /// Where it is.
        servers: String,
        /// What was being done.
        doing: &'static str,
        /// The client's words.
        source: rdkafka::error::KafkaError,
    },
    /// A topic of another shape.
    #[error(
        "Kafka's topic {topic} has {found} partition(s), {asked} expected: set kafka.partitions to what the data topics have, or delete the topic so that it is made anew; adding partitions would part a symbol's records"
    )]
    KafkaPartitions {
        /// The topic, by Kafka's name.
        topic: String,
        /// What it has.
        found: u32,
        /// What the settings name.
        asked: u32,
    },
    /// The log is of a later version.
    #[error(
        "the log on Kafka at {servers} has format {found}, written by tickwire {version}; this program knows formats up to {known}: run that version, or put back the backup that was made before the upgrade (docs/operations.md, \"Upgrading\")"
    )]
    KafkaNewer {
        /// Where it is.
        servers: String,
        /// Its format.
        found: u32,
        /// Which version noted it.
        version: String,
        /// The latest format known here.
        known: u32,
    },
    /// The number of partitions is another than the log began with.
    #[error(
        "the log on Kafka at {servers} began with {found} partition(s), {asked} asked for: keys would go to other partitions than before, and one symbol's records would lie in two. Set kafka.partitions to {found}; for more partitions begin a new log (docs/operations.md, \"More partitions\")"
    )]
    KafkaRepartitioned {
        /// Where it is.
        servers: String,
        /// What it began with.
        found: u32,
        /// What the settings name.
        asked: u32,
    },
    /// A client setting that the library does not take.
    #[error(
        "a setting under kafka.client is not accepted: {reason}. The names are librdkafka's; TLS and SASL need a tickwire built with `--features kafka-tls`"
    )]
    KafkaSetting {
        /// The library's words, which name the setting.
        reason: String,
    },
    /// Another has taken over.
    #[error(
        "another instance has taken over `{name}`: what this one was still to write is refused, so that nothing is written twice"
    )]
    Fenced {
        /// What was taken over.
        name: String,
    },
    /// A note that does not fit beside an offset.
    #[error("the note beside a position in {topic} has {length} bytes, the log takes {longest}")]
    LongNote {
        /// The topic.
        topic: String,
        /// How long it is.
        length: usize,
        /// How long it may be.
        longest: usize,
    },
}
