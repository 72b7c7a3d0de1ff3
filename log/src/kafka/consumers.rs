//! Records by their place: clients that each stand at a place in some partition,
//! kept for whoever reads on from there.

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

/// How many clients are kept.
const KEPT: usize = 8;
/// How many there are at most: each has threads, connections and what it fetched ahead.
/// More readers wait for one another.
const AT_ONCE: usize = 16;
/// How long a client that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(60);

/// A partition by Kafka's name of its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicPartition {
    pub(super) name: String,
    pub(super) partition: u32,
}

pub(super) struct ConsumerPool {
    config: KafkaConfig,
    connectivity: Arc<Connectivity>,
    clients: Mutex<Clients>,
    /// Of partitions that end with markers of transactions: the end, and where records end.
    tails: Mutex<Vec<(TopicPartition, u64, u64)>>,
    given_back: Condvar,
}

#[derive(Default)]
struct Clients {
    /// With the time since which nobody used it; the one used longest ago first.
    idle: VecDeque<(PooledConsumer, Instant)>,
    /// How many are in use.
    in_use: usize,
}

/// A client in use; given back when it is dropped.
struct InUse<'a> {
    consumers: &'a ConsumerPool,
    consumer: Option<PooledConsumer>,
    /// Whether it may serve again: one that failed may not.
    sound: bool,
}

struct PooledConsumer {
    client: BaseConsumer<Context>,
    /// Where it reads on.
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

    /// Up to `limit` records from `from` on, of those before `end`. There are some.
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

    /// The first offset whose record was appended at `at` or later; `None` after the last one.
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

    /// The client that stands there, else the one that was used longest ago, else a
    /// new one; waits while [`AT_ONCE`] are in use.
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

    /// Where the records of a partition end that ends at `end`, as far as that is known:
    /// what lies behind are markers, and to wait for more takes time.
    fn records_end(&self, lane: &TopicPartition, end: u64) -> u64 {
        let tails = self.tails();
        let known = tails.iter().find(|(known, at, _)| known == lane && *at == end);
        known.map_or(end, |(_, _, records)| *records)
    }

    fn tails(&self) -> MutexGuard<'_, Vec<(TopicPartition, u64, u64)>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends clients that nobody has used for a while.
    pub(super) fn tidy(&self) {
        let mut clients = self.clients();
        let fresh = clients.idle.iter().position(|(_, since)| since.elapsed() < IDLE);
        let overdue: Vec<_> = match fresh {
            Some(fresh) => clients.idle.drain(..fresh).collect(),
            None => clients.idle.drain(..).collect(),
        };
        drop(clients);
        // Its end waits for its threads.
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
    /// The records, and whether there were no more before `end`.
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
            self.stand(lane, next)?;
        }
        let (mut records, mut all) = (Vec::new(), false);
        let mut progress = Instant::now();
        while records.len() < limit && next < end {
            match self.client.poll(REQUEST) {
                Some(Ok(message)) => {
                    let record = record(topic, &message);
                    next = record.offset + 1;
                    if record.offset >= end {
                        // Appended since the end was looked up: for the next one who reads.
                        break;
                    }
                    records.push(record);
                    progress = Instant::now();
                }
                // An end that was reached before what is now there came says nothing.
                Some(Err(KafkaError::PartitionEOF(_))) if !fresh => {
                    self.stand(lane, next)?;
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
        let passed_over = records.last().map_or(from, |last| last.offset + 1) != next;
        self.at = (!passed_over).then(|| (lane.clone(), next));
        Ok((records, all))
    }

    fn stand(&self, lane: &TopicPartition, at: u64) -> KafkaResult<()> {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&lane.name, lane.partition as i32, Offset::Offset(at as i64))?;
        self.client.assign(&place)
    }
}

/// A message as a record of ours.
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
