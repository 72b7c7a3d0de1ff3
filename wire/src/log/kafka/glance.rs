//! Records by their place: clients that each stand at a place in some partition,
//! kept for whoever reads on from there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::KafkaConfig;
use super::reach::{Context, Reach};
use super::topics::REQUEST;
use crate::log::Record;
use crate::time::Millis;
use crate::topic::Topic;

/// How many clients are kept.
const KEPT: usize = 8;

/// A partition by Kafka's name of its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) partition: u32,
}

pub(super) struct Glances {
    config: KafkaConfig,
    reach: Arc<Reach>,
    idle: Mutex<VecDeque<Glance>>,
}

struct Glance {
    client: BaseConsumer<Context>,
    /// Where it reads on.
    at: Option<(Lane, u64)>,
}

impl Glances {
    pub(super) fn new(config: &KafkaConfig, reach: &Arc<Reach>) -> Glances {
        Glances { config: config.clone(), reach: reach.clone(), idle: Mutex::default() }
    }

    /// Up to `limit` records from `from` on, of those before `end`. There are some.
    pub(super) fn read(
        &self,
        topic: &Topic,
        lane: &Lane,
        from: u64,
        end: u64,
        limit: usize,
    ) -> KafkaResult<Vec<Record>> {
        let mut glance = self.take(lane, from)?;
        let records = glance.read(topic, lane, from, end, limit)?;
        self.keep(glance);
        Ok(records)
    }

    /// The first offset whose record was appended at `at` or later; `None` after the last one.
    pub(super) fn offset_at(&self, lane: &Lane, at: Millis) -> KafkaResult<Option<u64>> {
        let glance = self.take(lane, 0)?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&lane.name, lane.partition as i32, Offset::Offset(at.max(0)))?;
        let found = glance.client.offsets_for_times(asked, REQUEST)?;
        self.keep(glance);
        let Some(found) = found.find_partition(&lane.name, lane.partition as i32) else { return Ok(None) };
        found.error()?;
        Ok(match found.offset() {
            Offset::Offset(offset) => Some(offset as u64),
            _ => None,
        })
    }

    /// The client that stands there, else the one that was used longest ago, else a new one.
    fn take(&self, lane: &Lane, from: u64) -> KafkaResult<Glance> {
        let mut idle = self.idle();
        let there =
            |glance: &Glance| glance.at.as_ref().is_some_and(|(at, next)| at == lane && *next == from);
        if let Some(place) = idle.iter().position(there) {
            return Ok(idle.remove(place).expect("it was found there"));
        }
        if idle.len() >= KEPT
            && let Some(oldest) = idle.pop_front()
        {
            return Ok(oldest);
        }
        drop(idle);
        let client = self.config.glance().create_with_context(Context(self.reach.clone()))?;
        Ok(Glance { client, at: None })
    }

    fn keep(&self, glance: Glance) {
        let mut idle = self.idle();
        idle.push_back(glance);
        let overdue = (idle.len() > KEPT).then(|| idle.pop_front());
        drop(idle);
        drop(overdue);
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Glance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Glance {
    fn read(
        &mut self,
        topic: &Topic,
        lane: &Lane,
        from: u64,
        end: u64,
        limit: usize,
    ) -> KafkaResult<Vec<Record>> {
        let mut next = from;
        let mut fresh = self.at.as_ref().is_none_or(|(at, stands)| at != lane || *stands != from);
        if fresh {
            self.stand(lane, next)?;
        }
        let mut records = Vec::new();
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
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => return Err(error),
                None if progress.elapsed() >= REQUEST => {
                    return Err(KafkaError::MessageConsumption(Code::OperationTimedOut));
                }
                None => {}
            }
        }
        let passed_over = records.last().map_or(from, |last| last.offset + 1) != next;
        self.at = (!passed_over).then(|| (lane.clone(), next));
        Ok(records)
    }

    fn stand(&self, lane: &Lane, at: u64) -> KafkaResult<()> {
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
