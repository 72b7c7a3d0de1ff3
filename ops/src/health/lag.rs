//! How far the readers of this process are behind what the log holds, and which of
//! them do not move.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use log::{Extent, LogError, SharedLog, unread};
use model::Topic;

use crate::health::locked;

/// A consumer that has not asked for records for so long although there are some is
/// stuck: the longest that a batch takes to be written, and a recompute, is below it.
const STUCK: Duration = Duration::from_secs(300);

/// One reader's distance from the end of one partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) service: &'static str,
    pub(crate) reader: String,
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) records: i64,
}

/// What the log holds of the topics that somebody reads.
pub(crate) type Extents = BTreeMap<Topic, Vec<Extent>>;

/// The next offset of each partition.
pub(crate) type Places = BTreeMap<(Topic, u32), u64>;

/// The readers at work.
#[derive(Default)]
pub(crate) struct Readers(Mutex<BTreeMap<(&'static str, String), Read>>);

/// What one reader has read.
struct Read {
    topics: BTreeSet<Topic>,
    next: BTreeMap<(Topic, u32), u64>,
    /// When it last asked for records.
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

    /// The furthest place of any reader, of each partition.
    pub(crate) fn places(&self) -> Places {
        let mut places = Places::new();
        for (lane, next) in locked(&self.0).values().flat_map(|read| &read.next) {
            let place = places.entry(lane.clone()).or_default();
            *place = (*place).max(*next);
        }
        places
    }

    /// The topics that somebody reads.
    pub(crate) fn topics(&self) -> BTreeSet<Topic> {
        locked(&self.0).values().flat_map(|read| read.topics.clone()).collect()
    }

    /// How far each is behind `held`.
    pub(crate) fn behind(&self, held: &Extents) -> Vec<Behind> {
        let readers = locked(&self.0);
        readers.iter().flat_map(|((service, reader), read)| read.behind(service, reader, held)).collect()
    }

    /// The readers that do not take what `held` has for them, with the reason; those of
    /// `excused` services wait for somebody else's server between two records.
    pub(crate) fn stuck(&self, held: &Extents, now: Instant, excused: &[&str]) -> Vec<String> {
        let readers = locked(&self.0);
        let stuck = readers.iter().filter_map(|((service, reader), read)| {
            let idle = now.saturating_duration_since(read.polled);
            let left: i64 = read.behind(service, reader, held).iter().map(|behind| behind.records).sum();
            (idle > STUCK && left > 0 && !excused.contains(service)).then(|| {
                format!(
                    "{service}: its consumer `{reader}` has taken nothing for {} s, and {left} records wait",
                    idle.as_secs()
                )
            })
        });
        stuck.collect()
    }
}

impl Read {
    fn behind(&self, service: &'static str, reader: &str, held: &Extents) -> Vec<Behind> {
        let of_topic = |(topic, extents): (&Topic, &Vec<Extent>)| {
            let behind = |extent: &Extent| {
                let next = self.next.get(&(topic.clone(), extent.partition)).copied();
                Behind {
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

/// What `log` holds of `topics`, up to the last record: the markers of transactions that
/// follow it are left to nobody who stands at one of `places`.
pub(crate) async fn extents(
    log: &SharedLog,
    topics: &BTreeSet<Topic>,
    places: &Places,
) -> Result<Extents, LogError> {
    let mut held = Extents::new();
    for topic in topics {
        let mut extents = log.extents(topic).await?;
        for extent in &mut extents {
            if let Some(&next) = places.get(&(topic.clone(), extent.partition))
                && unread(log.as_ref(), topic, *extent, next).await? == 0
            {
                extent.next = next.max(extent.first);
            }
        }
        held.insert(topic.clone(), extents);
    }
    Ok(held)
}
