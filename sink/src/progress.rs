//! How far the sink has come: noted in the store with exactly the points that
//! it wrote, so that no record counts twice.

use std::collections::BTreeMap;

use log::time_bounds::TimeBounds;
use log::{LogError, Position, Reader, Record, SharedLog};
use model::time::Millis;
use model::topic::Topic;
use serde::{Deserialize, Serialize};
use store::SharedStore;

use crate::error::SinkError;

/// A note to set, or to forget.
pub(crate) type Note = (String, Option<String>);

const KEY: &str = "sink/progress";

/// What a note of what is left to do holds. One that does not read is passed over, so
/// that it costs no others.
pub(crate) fn read_note<T: serde::de::DeserializeOwned>(key: &str, value: &str) -> Option<T> {
    match serde_json::from_str(value) {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::error!(
                "The note `{key}` in the store does not read and is passed over: {error}. Something else wrote to this store; what it stood for is computed again by `tickwire recompute` and `tickwire aggregate`"
            );
            None
        }
    }
}

/// What has been read and counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// How many partitions a topic has.
    partitions: u32,
    /// The latest append that was read.
    pub(crate) log_time: Millis,
    pub(crate) counts: Counts,
    places: BTreeMap<String, BTreeMap<u32, Place>>,
    /// The time of the furthest row of a result topic that was written without having
    /// been read from there: computed again, or read from an earlier log.
    #[serde(default)]
    written: BTreeMap<String, Millis>,
}

/// Where the sink stands in a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The next offset to take.
    pub(crate) next: u64,
    /// The event time reached: the greatest `complete_until` of a raw topic, the
    /// greatest window's end of a result topic.
    pub(crate) reached: Option<Millis>,
    /// The record before `next`, by which the log is known again.
    #[serde(default)]
    pub(crate) last: Option<Mark>,
}

/// What tells a record from another that stands at the same place in another log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    appended_at: Millis,
    hash: u64,
}

impl Mark {
    pub(crate) fn of(record: &Record) -> Mark {
        // FNV-1a, 64 bits: it only has to tell records apart, the same for ever.
        let bytes = record.key.bytes().chain(record.value.iter().copied());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Mark { appended_at: record.appended_at, hash }
    }
}

impl Place {
    /// Whether the log holds another record where the last one was that was taken.
    /// Where none is left there, by retention or compaction, nothing is said.
    async fn is_in_another(&self, log: &SharedLog, topic: &Topic, partition: u32) -> Result<bool, LogError> {
        let (Some(last), Some(offset)) = (self.last, self.next.checked_sub(1)) else { return Ok(false) };
        let found = log.read(topic, partition, offset, 1).await?;
        Ok(found.first().is_some_and(|found| found.offset == offset && Mark::of(found) != last))
    }
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
    /// Records that retention had deleted before they were read.
    #[serde(default)]
    pub(crate) skipped: u64,
    /// Windows computed again.
    pub(crate) recomputed: u64,
    /// Of these, those whose figures were not what was stored.
    #[serde(default)]
    pub(crate) changed: u64,
    /// Rows that came again made of less than what is stored, which stayed.
    #[serde(default)]
    pub(crate) poorer: u64,
    /// Figures of days, weeks and months that were not finite, and are stored as null.
    #[serde(default)]
    pub(crate) not_finite: u64,
}

impl Progress {
    /// What was noted last, if anything was.
    pub(crate) async fn load(store: &SharedStore) -> Result<Option<Progress>, SinkError> {
        let notes = store.notes(KEY).await?;
        let Some((key, value)) = notes.into_iter().find(|(key, _)| key == KEY) else { return Ok(None) };
        // Without it everything is read again, which is harmless: twice is once.
        Ok(read_note(&key, &value))
    }

    /// What was noted last, as far as it is about this log.
    pub(crate) async fn resume(store: &SharedStore, log: &SharedLog) -> Result<Progress, SinkError> {
        let mut progress = Progress::load(store).await?.unwrap_or_default();
        progress.partitions = log.partitions();
        progress.forget_times_beyond_reason(TimeBounds::of(log.as_ref()));
        for (name, places) in &progress.places {
            let topic = Topic::new(name.clone());
            let extents = log.extents(&topic).await?;
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
                    progress.forget_places();
                    return Ok(progress);
                }
                if place.is_in_another(log, &topic, *partition).await? {
                    tracing::warn!(
                        topic = name,
                        partition,
                        "Record {} of the log is not the one that was stored: this is another log, and is read from the start.",
                        place.next - 1
                    );
                    progress.forget_places();
                    return Ok(progress);
                }
            }
        }
        Ok(progress)
    }

    /// A version that believed everything may have noted a time that nothing comes after.
    fn forget_times_beyond_reason(&mut self, bounds: TimeBounds) {
        for (topic, places) in &mut self.places {
            for (partition, place) in places {
                let noted = place.reached;
                place.reached = bounds.noted(noted, model::time::now());
                if place.reached != noted {
                    tracing::warn!(
                        topic,
                        partition,
                        noted,
                        "An event time beyond reason was noted; it is found anew."
                    );
                }
            }
        }
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

    /// The log is read from its start again; what it held before stays stored.
    fn forget_places(&mut self) {
        for (name, places) in std::mem::take(&mut self.places) {
            let furthest = places.values().filter_map(|place| place.reached);
            self.wrote(&Topic::new(name), furthest);
        }
    }

    /// Rows of a result topic with these times have been written.
    pub(crate) fn wrote(&mut self, topic: &Topic, times: impl IntoIterator<Item = Millis>) {
        let Some(furthest) = times.into_iter().max() else { return };
        if self.floor(topic).is_none_or(|floor| floor < furthest) {
            self.written.insert(topic.name().to_owned(), furthest);
        }
    }

    /// The time up to which rows of a result topic may be stored.
    pub(crate) fn floor(&self, topic: &Topic) -> Option<Millis> {
        self.emitted(topic).max(self.written.get(topic.name()).copied())
    }

    pub(crate) fn note(&self) -> Note {
        (KEY.to_owned(), serde_json::to_string(self).ok())
    }
}
