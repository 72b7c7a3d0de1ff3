//! The lag of this process's consumers: how many records each has not read, and which do not
//! progress.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use log::{Extent, LogError, SharedLog, unread};
use model::Topic;

use crate::health::locked;

/// A consumer with unread records that has not polled for this long is stuck. Writing a batch
/// and a recomputation take less.
const STUCK_AFTER: Duration = Duration::from_secs(300);

/// The lag of one consumer in one partition, in records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lag {
    pub(crate) service: &'static str,
    pub(crate) reader: String,
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) records: i64,
}

/// The offsets that the log holds of the topics that are read.
pub(crate) type Extents = BTreeMap<Topic, Vec<Extent>>;

/// The next offset of each partition.
pub(crate) type NextOffsets = BTreeMap<(Topic, u32), u64>;

/// The open consumers of the process.
#[derive(Default)]
pub(crate) struct Readers(Mutex<BTreeMap<(&'static str, String), Read>>);

/// What one consumer has read.
struct Read {
    topics: BTreeSet<Topic>,
    next: BTreeMap<(Topic, u32), u64>,
    /// When it last polled.
    polled: Instant,
}

impl Readers {
    pub(crate) fn opened(&self, service: &'static str, reader: &str, topics: &[Topic]) {
        let topics = topics.iter().cloned().collect();
        let read = Read { topics, next: BTreeMap::new(), polled: Instant::now() };
        locked(&self.0).insert((service, reader.to_owned()), read);
    }

    pub(crate) fn closed(&self, service: &'static str, reader: &str) {
        locked(&self.0).remove(&(service, reader.to_owned()));
    }

    pub(crate) fn polled(&self, service: &'static str, reader: &str) {
        if let Some(read) = locked(&self.0).get_mut(&(service, reader.to_owned())) {
            read.polled = Instant::now();
        }
    }

    pub(crate) fn reached(
        &self,
        service: &'static str,
        reader: &str,
        topic: &Topic,
        partition: u32,
        next: u64,
    ) {
        if let Some(read) = locked(&self.0).get_mut(&(service, reader.to_owned())) {
            read.next.insert((topic.clone(), partition), next);
        }
    }

    /// The highest next offset of any consumer, for each partition.
    pub(crate) fn next_offsets(&self) -> NextOffsets {
        let mut next_offsets = NextOffsets::new();
        for (lane, next) in locked(&self.0).values().flat_map(|read| &read.next) {
            let place = next_offsets.entry(lane.clone()).or_default();
            *place = (*place).max(*next);
        }
        next_offsets
    }

    /// The topics with at least one consumer.
    pub(crate) fn topics(&self) -> BTreeSet<Topic> {
        locked(&self.0).values().flat_map(|read| read.topics.clone()).collect()
    }

    /// The lag of every consumer with respect to `held`.
    pub(crate) fn behind(&self, held: &Extents) -> Vec<Lag> {
        let readers = locked(&self.0);
        readers.iter().flat_map(|((service, reader), read)| read.behind(service, reader, held)).collect()
    }

    /// The consumers that are stuck, each with a sentence for the operator. Those of `excused`
    /// services are left out, because they wait for a server of a third party between two
    /// records.
    pub(crate) fn stuck(&self, held: &Extents, now: Instant, excused: &[&str]) -> Vec<String> {
        let readers = locked(&self.0);
        let stuck = readers.iter().filter_map(|((service, reader), read)| {
            let idle = now.saturating_duration_since(read.polled);
            let left: i64 = read.behind(service, reader, held).iter().map(|behind| behind.records).sum();
            (idle > STUCK_AFTER && left > 0 && !excused.contains(service)).then(|| {
                format!(
                    "{service}: its consumer `{reader}` has not polled for {} s, and {left} records are unread",
                    idle.as_secs()
                )
            })
        });
        stuck.collect()
    }
}

impl Read {
    fn behind(&self, service: &'static str, reader: &str, held: &Extents) -> Vec<Lag> {
        let of_topic = |(topic, extents): (&Topic, &Vec<Extent>)| {
            let behind = |extent: &Extent| {
                let next = self.next.get(&(topic.clone(), extent.partition)).copied();
                Lag {
                    service,
                    reader: reader.to_owned(),
                    topic: topic.name().to_owned(),
                    partition: extent.partition,
                    records: extent.next.saturating_sub(next.unwrap_or(extent.first)) as i64,
                }
            };
            extents.iter().map(behind).collect::<Vec<_>>()
        };
        held.iter().filter(|(topic, _)| self.topics.contains(*topic)).flat_map(of_topic).collect()
    }
}

/// The extents of `topics`, each ending at its last record: Kafka's transaction markers after
/// it are not counted as unread by a consumer at one of `next_offsets`.
pub(crate) async fn extents(
    log: &SharedLog,
    topics: &BTreeSet<Topic>,
    next_offsets: &NextOffsets,
) -> Result<Extents, LogError> {
    let mut held = Extents::new();
    for topic in topics {
        let mut extents = log.extents(topic).await?;
        for extent in &mut extents {
            if let Some(&next) = next_offsets.get(&(topic.clone(), extent.partition))
                && unread(log.as_ref(), topic, *extent, next).await? == 0
            {
                extent.next = next.max(extent.first);
            }
        }
        held.insert(topic.clone(), extents);
    }
    Ok(held)
}
