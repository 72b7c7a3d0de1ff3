//! Reads records at given offsets, through a pool of consumers that each remember their
//! partition and next offset.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::time::Millis;
use model::topic::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::KafkaConfig;
use super::connectivity::{Connectivity, Context};
use super::shared::REQUEST;
use crate::Record;

/// The largest number of idle consumers.
const KEPT: usize = 8;
/// The largest number of consumers in use: each has threads, connections and prefetched
/// records. Further reads wait.
const AT_ONCE: usize = 16;
/// How long an idle consumer is kept.
const IDLE: Duration = Duration::from_secs(60);

/// A partition, with the name of its Kafka topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicPartition {
    pub(super) name: String,
    pub(super) partition: u32,
}

pub(super) struct ConsumerPool {
    config: KafkaConfig,
    connectivity: Arc<Connectivity>,
    clients: Mutex<Clients>,
    /// For partitions that end with transaction markers: the partition, its end offset, and the
    /// offset after its last record.
    tails: Mutex<Vec<(TopicPartition, u64, u64)>>,
    given_back: Condvar,
}

#[derive(Default)]
struct Clients {
    /// Each with the time since which it has been idle, the longest idle first.
    idle: VecDeque<(PooledConsumer, Instant)>,
    /// The number of consumers in use.
    in_use: usize,
}

/// A consumer in use; dropping it returns it to the pool.
struct InUse<'a> {
    consumers: &'a ConsumerPool,
    consumer: Option<PooledConsumer>,
    /// Whether it may be used again; false after an error.
    sound: bool,
}

struct PooledConsumer {
    client: BaseConsumer<Context>,
    /// The partition and the next offset that it has prefetched.
    at: Option<(TopicPartition, u64)>,
}

impl ConsumerPool {
    pub(super) fn new(config: &KafkaConfig, connectivity: &Arc<Connectivity>) -> ConsumerPool {
        ConsumerPool {
            config: config.clone(),
            connectivity: connectivity.clone(),
            clients: Mutex::default(),
            tails: Mutex::default(),
            given_back: Condvar::new(),
        }
    }

    /// Reads up to `limit` records from offset `from` on and before `end`; `from` must be less
    /// than `end`.
    pub(super) fn read(
        &self,
        topic: &Topic,
        lane: &TopicPartition,
        from: u64,
        end: u64,
        limit: usize,
    ) -> KafkaResult<Vec<Record>> {
        let stop = self.records_end(lane, end);
        if from >= stop {
            return Ok(Vec::new());
        }
        let mut taken = self.take(lane, from)?;
        let (records, all) = taken.consumer().read(topic, lane, from, stop, limit)?;
        taken.sound = true;
        if all {
            let last = records.last().map_or(from, |last| last.offset + 1);
            let mut tails = self.tails();
            tails.retain(|(known, ..)| known != lane);
            tails.push((lane.clone(), end, last));
        }
        Ok(records)
    }

    /// The first offset whose record was appended at `at` (wall clock, ms) or later; `None` if
    /// there is no such record.
    pub(super) fn offset_at(&self, lane: &TopicPartition, at: Millis) -> KafkaResult<Option<u64>> {
        let mut taken = self.take(lane, 0)?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&lane.name, lane.partition as i32, Offset::Offset(at.max(0)))?;
        let found = taken.consumer().client.offsets_for_times(asked, REQUEST)?;
        taken.sound = true;
        let Some(found) = found.find_partition(&lane.name, lane.partition as i32) else { return Ok(None) };
        found.error()?;
        Ok(match found.offset() {
            Offset::Offset(offset) => Some(offset as u64),
            _ => None,
        })
    }

    /// Takes the consumer that is already at this offset, otherwise a new one or, if enough are
    /// idle, the longest idle one. Waits while [`AT_ONCE`] are in use.
    fn take(&self, lane: &TopicPartition, from: u64) -> KafkaResult<InUse<'_>> {
        let mut clients = self.clients();
        while clients.in_use >= AT_ONCE {
            clients = self.given_back.wait(clients).unwrap_or_else(PoisonError::into_inner);
        }
        let there = |(consumer, _): &(PooledConsumer, _)| {
            consumer.at.as_ref().is_some_and(|(at, next)| at == lane && *next == from)
        };
        let place = clients.idle.iter().position(there);
        let reused = match place {
            None if clients.idle.len() < KEPT => None,
            place => clients.idle.remove(place.unwrap_or(0)),
        };
        clients.in_use += 1;
        drop(clients);
        let mut taken =
            InUse { consumers: self, consumer: reused.map(|(consumer, _)| consumer), sound: false };
        if taken.consumer.is_none() {
            let client =
                self.config.random_access().create_with_context(Context(self.connectivity.clone()))?;
            taken.consumer = Some(PooledConsumer { client, at: None });
        }
        Ok(taken)
    }

    /// The offset after the last record of a partition whose end offset is `end`, as far as
    /// known. Only transaction markers follow, and polling for them would wait for a timeout.
    fn records_end(&self, lane: &TopicPartition, end: u64) -> u64 {
        let tails = self.tails();
        let known = tails.iter().find(|(known, at, _)| known == lane && *at == end);
        known.map_or(end, |(_, _, records)| *records)
    }

    fn tails(&self) -> MutexGuard<'_, Vec<(TopicPartition, u64, u64)>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes consumers that have been idle for [`IDLE`].
    pub(super) fn tidy(&self) {
        let mut clients = self.clients();
        let fresh = clients.idle.iter().position(|(_, since)| since.elapsed() < IDLE);
        let overdue: Vec<_> = match fresh {
            Some(fresh) => clients.idle.drain(..fresh).collect(),
            None => clients.idle.drain(..).collect(),
        };
        drop(clients);
        // Outside the lock: closing a consumer waits for its threads.
        drop(overdue);
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InUse<'_> {
    fn consumer(&mut self) -> &mut PooledConsumer {
        self.consumer.as_mut().expect("it is there until it is given back")
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        let consumer = self.consumer.take().filter(|_| self.sound);
        let mut clients = self.consumers.clients();
        clients.in_use -= 1;
        clients.idle.extend(consumer.map(|consumer| (consumer, Instant::now())));
        let overdue = if clients.idle.len() > KEPT { clients.idle.pop_front() } else { None };
        drop(clients);
        self.consumers.given_back.notify_one();
        drop(overdue);
    }
}

impl PooledConsumer {
    /// Returns the records, and whether the partition held no further record before `end`.
    fn read(
        &mut self,
        topic: &Topic,
        lane: &TopicPartition,
        from: u64,
        end: u64,
        limit: usize,
    ) -> KafkaResult<(Vec<Record>, bool)> {
        let mut next = from;
        let mut fresh = self.at.as_ref().is_none_or(|(at, stands)| at != lane || *stands != from);
        if fresh {
            self.assign(lane, next)?;
        }
        let (mut records, mut all) = (Vec::new(), false);
        let mut progress = Instant::now();
        while records.len() < limit && next < end {
            match self.client.poll(REQUEST) {
                Some(Ok(message)) => {
                    let record = record(topic, &message);
                    next = record.offset + 1;
                    if record.offset >= end {
                        // Appended after the end offset was looked up; the next read returns
                        // it.
                        break;
                    }
                    records.push(record);
                    progress = Instant::now();
                }
                // This end may have been prefetched before newer records were appended.
                Some(Err(KafkaError::PartitionEOF(_))) if !fresh => {
                    self.assign(lane, next)?;
                    fresh = true;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    all = true;
                    break;
                }
                Some(Err(error)) => return Err(error),
                None if progress.elapsed() >= REQUEST => {
                    return Err(KafkaError::MessageConsumption(Code::OperationTimedOut));
                }
                None => {}
            }
        }
        let fetched_beyond = records.last().map_or(from, |last| last.offset + 1) != next;
        self.at = (!fetched_beyond).then(|| (lane.clone(), next));
        Ok((records, all))
    }

    fn assign(&self, lane: &TopicPartition, at: u64) -> KafkaResult<()> {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&lane.name, lane.partition as i32, Offset::Offset(at as i64))?;
        self.client.assign(&place)
    }
}

/// Converts a message of the client library.
pub(super) fn record(topic: &Topic, message: &impl Message) -> Record {
    Record {
        topic: topic.clone(),
        partition: message.partition() as u32,
        offset: message.offset() as u64,
        appended_at: message.timestamp().to_millis().unwrap_or_default(),
        key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
        value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}
