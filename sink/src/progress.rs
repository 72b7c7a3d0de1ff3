//! How far the sink has come: noted in the store with exactly the points that
//! it wrote, so that no record counts twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::SharedStore;
use wire::log::{LogError, Position, Reader, SharedLog};
use wire::time::Millis;
use wire::topic::Topic;

use crate::error::SinkError;

/// A note to set, or to forget.
pub(crate) type Note = (String, Option<String>);

const KEY: &str = "sink/progress";

/// What has been read and counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// How many partitions a topic has.
    partitions: u32,
    /// The latest append that was read.
    pub(crate) log_time: Millis,
    pub(crate) counts: Counts,
    places: BTreeMap<String, BTreeMap<u32, Place>>,
}

/// Where the sink stands in a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The next offset to take.
    pub(crate) next: u64,
    /// The event time reached: the greatest `complete_until` of a raw topic, the
    /// greatest window's end of a result topic.
    pub(crate) reached: Option<Millis>,
}

/// Counts since the data folder began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Records that became points.
    pub(crate) points: u64,
    /// Bars that came after their minute had been declared complete.
    pub(crate) late: u64,
    /// Articles that did.
    pub(crate) late_articles: u64,
    /// Records that went to the dead letters.
    pub(crate) rejected: u64,
    /// Points that were older than the store keeps any.
    #[serde(default)]
    pub(crate) too_old: u64,
    /// Windows computed again.
    pub(crate) recomputed: u64,
}

impl Progress {
    /// What was noted last, if anything was.
    pub(crate) async fn load(store: &SharedStore) -> Result<Option<Progress>, SinkError> {
        let notes = store.notes(KEY).await?;
        let Some((key, value)) = notes.into_iter().find(|(key, _)| key == KEY) else { return Ok(None) };
        serde_json::from_str(&value).map(Some).map_err(|source| SinkError::Note { key, source })
    }

    /// What was noted last, as far as it is about this log.
    pub(crate) async fn resume(store: &SharedStore, log: &SharedLog) -> Result<Progress, SinkError> {
        let mut progress = Progress::load(store).await?.unwrap_or_default();
        progress.partitions = log.partitions();
        for (name, places) in &progress.places {
            let extents = log.extents(&Topic::new(name.clone())).await?;
            for (partition, place) in places {
                let held = extents.iter().find(|extent| extent.partition == *partition);
                let held = held.map_or(0, |extent| extent.next);
                if place.next > held {
                    tracing::warn!(
                        topic = name,
                        partition,
                        "The store has noted {} records, the log holds {held}: this is another log, and is read from the start.",
                        place.next
                    );
                    progress.places.clear();
                    return Ok(progress);
                }
            }
        }
        Ok(progress)
    }

    /// A reader that begins no later than what was noted. Notes are written before
    /// positions are committed: where a position is ahead, the store was lost or put
    /// back from a copy, and the log fills it again.
    pub(crate) async fn reader(
        &self,
        name: &str,
        topics: &[Topic],
        log: &SharedLog,
    ) -> Result<Box<dyn Reader>, LogError> {
        let mut reader = log.reader(name, topics).await?;
        let noted = |at: &Position| {
            let offset = self.place(&at.topic, at.partition).next;
            (offset < at.offset).then(|| Position { offset, ..at.clone() })
        };
        let ahead: Vec<Position> = reader.resumed_from().iter().filter_map(noted).collect();
        if ahead.is_empty() {
            return Ok(reader);
        }
        tracing::warn!(
            partitions = ahead.len(),
            "The store holds less than was read for it: it was lost or put back. What is missing is read again, as far as the log still holds it."
        );
        reader.commit(ahead).await?;
        drop(reader);
        log.reader(name, topics).await
    }

    pub(crate) fn place(&self, topic: &Topic, partition: u32) -> Place {
        self.places.get(topic.name()).and_then(|places| places.get(&partition)).copied().unwrap_or_default()
    }

    pub(crate) fn set_place(&mut self, topic: &Topic, partition: u32, place: Place) {
        match self.places.get_mut(topic.name()) {
            Some(places) => drop(places.insert(partition, place)),
            None => drop(self.places.insert(topic.name().to_owned(), [(partition, place)].into())),
        }
    }

    /// A raw topic's watermark: the least of all partitions; `None` until each has spoken.
    pub(crate) fn watermark(&self, topic: &Topic) -> Option<Millis> {
        (0..self.partitions.max(1)).map(|partition| self.place(topic, partition).reached).min().flatten()
    }

    /// The event time of a result topic: that of its furthest row. A row that is
    /// still behind it elsewhere makes its window wait again when it comes.
    pub(crate) fn emitted(&self, topic: &Topic) -> Option<Millis> {
        let places = self.places.get(topic.name())?;
        places.values().map(|place| place.reached).max().flatten()
    }

    pub(crate) fn note(&self) -> Note {
        (KEY.to_owned(), serde_json::to_string(self).ok())
    }
}
