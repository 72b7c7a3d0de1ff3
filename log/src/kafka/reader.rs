//! The named reader of the log on Kafka: it reads all partitions of its topics from their
//! committed offsets.
//!
//! It assigns partitions itself instead of joining the rebalancing of a consumer group. Every
//! service needs all partitions, since the watermark is the least of all, and only the holder
//! of the lease of a service runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use model::topic::Topic;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::time::Instant;

use super::KafkaLog;
use super::connectivity::{Context, may_pass};
use super::consumers::record;
use super::fenced::Fenced;
use super::shared::{REQUEST, Shared, blocking};
use crate::{LogError, Position, Reader, Record, Skipped, unread};

/// The shortest wait of a poll, so that records in flight are returned.
const ON_ITS_WAY: Duration = Duration::from_millis(20);
/// Kafka's default limit on the metadata of a committed offset, in bytes
/// (`offset.metadata.max.bytes`).
const LONGEST_NOTE: usize = 4_096;
/// The number of offsets without a record that a transaction or compaction may leave. A longer
/// jump is checked against the extent of the partition.
const HOLE: u64 = 16;

pub(super) struct KafkaReader {
    shared: Arc<Shared>,
    client: Arc<StreamConsumer<Context>>,
    /// Commits go through this fence, if there is one.
    fence: Option<Fenced>,
    /// The topics by their names on Kafka.
    topics: BTreeMap<String, Topic>,
    resumed: Vec<Position>,
    next: BTreeMap<(Topic, u32), u64>,
    name: String,
    skipped: Vec<Skipped>,
}

impl KafkaReader {
    pub(super) async fn open(
        shared: Arc<Shared>,
        fence: Option<Fenced>,
        name: &str,
        topics: &[Topic],
    ) -> Result<KafkaReader, LogError> {
        let resumed = committed(&shared, name, topics).await?;
        let client: StreamConsumer<Context> = shared
            .config
            .reader(&shared.config.group(name))
            .create_with_context(Context(shared.connectivity.clone()))
            .map_err(|error| shared.failed("making a reader", error))?;
        let next: BTreeMap<_, _> =
            resumed.iter().map(|at| ((at.topic.clone(), at.partition), at.offset)).collect();
        let mut places = TopicPartitionList::new();
        for topic in topics {
            for partition in 0..shared.topics.partitions(topic) {
                let from = next.get(&(topic.clone(), partition)).map(|next| Offset::Offset(*next as i64));
                let name = shared.topics.name(topic);
                places
                    .add_partition_offset(&name, partition as i32, from.unwrap_or(Offset::Beginning))
                    .map_err(|error| shared.failed("placing a reader", error))?;
            }
        }
        client.assign(&places).map_err(|error| shared.failed("placing a reader", error))?;
        let topics = topics.iter().map(|topic| (shared.topics.name(topic), topic.clone())).collect();
        let (name, skipped) = (name.to_owned(), Vec::new());
        let mut reader =
            KafkaReader { shared, client: Arc::new(client), fence, topics, resumed, next, name, skipped };
        let resumed = reader.resumed.clone();
        for at in resumed {
            reader.check_for_skip(&at.topic, at.partition, at.offset).await?;
        }
        Ok(reader)
    }

    /// Notes a skipped range if retention has deleted the offset `from`: Kafka's client
    /// continues at the oldest offset that is left, without an error.
    async fn check_for_skip(&mut self, topic: &Topic, partition: u32, from: u64) -> Result<(), LogError> {
        let extents = self.shared.extents(topic).await?;
        let held = extents.iter().find(|extent| extent.partition == partition);
        let Some(to) = held.map(|held| held.first).filter(|&first| first > from) else { return Ok(()) };
        let skipped = Skipped { topic: topic.clone(), partition, from, to };
        skipped.warn(&self.name);
        self.next.insert((topic.clone(), partition), to);
        self.skipped.push(skipped);
        Ok(())
    }

    /// Adds the records that the client has prefetched, up to `limit`.
    fn with_prefetched(&self, first: Record, limit: usize) -> Vec<Record> {
        let mut records = vec![first];
        while records.len() < limit {
            match self.client.recv().now_or_never() {
                Some(Ok(message)) => records.extend(self.record(&message)),
                // The next poll reports the error again, or it was transient.
                Some(Err(_)) | None => break,
            }
        }
        // Groups the records by partition, keeping their order.
        records.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        records
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> Option<Record> {
        self.topics.get(message.topic()).map(|topic| record(topic, message))
    }

    fn check(&self, error: KafkaError) -> Result<(), LogError> {
        if may_pass(&error) {
            self.shared.connectivity.lost("reading", &error);
            return Ok(());
        }
        Err(self.shared.failed("reading", error))
    }
}

#[async_trait]
impl Reader for KafkaReader {
    async fn poll(&mut self, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let until = Instant::now() + wait.max(ON_ITS_WAY);
        let records = loop {
            match tokio::time::timeout_at(until, self.client.recv()).await {
                Ok(Ok(message)) => {
                    if let Some(first) = self.record(&message) {
                        break self.with_prefetched(first, limit);
                    }
                }
                Ok(Err(error)) => self.check(error)?,
                Err(_elapsed) => return Ok(Vec::new()),
            }
        };
        self.shared.connectivity.found();
        for run in records.chunk_by(|a, b| a.topic == b.topic && a.partition == b.partition) {
            let stood = self.next.get(&(run[0].topic.clone(), run[0].partition)).copied();
            if let Some(stood) = stood.filter(|stood| run[0].offset > stood + HOLE) {
                self.check_for_skip(&run[0].topic, run[0].partition, stood).await?;
            }
            if let Some(last) = run.last() {
                self.next.insert((last.topic.clone(), last.partition), last.offset + 1);
            }
        }
        Ok(records)
    }

    fn resumed_from(&self) -> &[Position] {
        &self.resumed
    }

    fn positions(&self) -> Vec<Position> {
        let position = |((topic, partition), offset): (&(Topic, u32), &u64)| Position {
            topic: topic.clone(),
            partition: *partition,
            offset: *offset,
            note: String::new(),
        };
        self.next.iter().map(position).collect()
    }

    fn skipped(&mut self) -> Vec<Skipped> {
        std::mem::take(&mut self.skipped)
    }

    async fn caught_up(&self) -> Result<bool, LogError> {
        let log = KafkaLog::of(self.shared.clone());
        for topic in self.topics.values() {
            for extent in self.shared.extents(topic).await? {
                let next = self.next.get(&(topic.clone(), extent.partition)).copied().unwrap_or(0);
                // The last offsets may be transaction markers.
                if unread(&log, topic, extent, next).await? > 0 {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn commit(&mut self, positions: Vec<Position>) -> Result<(), LogError> {
        if let Some(long) = positions.iter().find(|at| at.note.len() > LONGEST_NOTE) {
            let (topic, length) = (long.topic.name().to_owned(), long.note.len());
            return Err(LogError::LongNote { topic, length, longest: LONGEST_NOTE });
        }
        if positions.is_empty() {
            return Ok(());
        }
        if let Some(fence) = &self.fence {
            return fence.commit(&self.client, positions).await;
        }
        let (shared, client) = (self.shared.clone(), self.client.clone());
        let positions = Arc::new(positions);
        self.shared
            .with_retries("committing", move || {
                let (shared, client, positions) = (shared.clone(), client.clone(), positions.clone());
                blocking(move || client.commit(&offsets(&shared, &positions)?, CommitMode::Sync))
            })
            .await
    }
}

pub(super) fn offsets(shared: &Shared, positions: &[Position]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for at in positions {
        let name = shared.topics.name(&at.topic);
        let mut place = list.add_partition(&name, at.partition as i32);
        place.set_offset(Offset::Offset(at.offset as i64))?;
        if !at.note.is_empty() {
            place.set_metadata(&at.note);
        }
    }
    Ok(list)
}

/// The positions that a reader committed last for these topics.
pub(super) async fn committed(
    shared: &Arc<Shared>,
    name: &str,
    topics: &[Topic],
) -> Result<Vec<Position>, LogError> {
    let group = shared.config.group(name);
    let (asking, topics) = (shared.clone(), topics.to_vec());
    shared
        .with_retries("looking up commits", move || {
            let (shared, group, topics) = (asking.clone(), group.clone(), topics.clone());
            blocking(move || {
                let client: StreamConsumer<Context> =
                    shared.config.reader(&group).create_with_context(Context(shared.connectivity.clone()))?;
                let mut asked = TopicPartitionList::new();
                for topic in &topics {
                    let last = shared.topics.partitions(topic) as i32 - 1;
                    asked.add_partition_range(&shared.topics.name(topic), 0, last);
                }
                let found = client.committed_offsets(asked, REQUEST)?;
                let mut positions = Vec::new();
                for place in found.elements() {
                    let topic = topics.iter().find(|topic| shared.topics.name(topic) == place.topic());
                    if let (Some(topic), Offset::Offset(offset)) = (topic, place.offset()) {
                        positions.push(Position {
                            topic: topic.clone(),
                            partition: place.partition() as u32,
                            offset: offset as u64,
                            note: place.metadata().to_owned(),
                        });
                    }
                }
                Ok(positions)
            })
        })
        .await
}
