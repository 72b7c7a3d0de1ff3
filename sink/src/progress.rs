//! The progress of the sink, stored in a note in the same batch as the points, so that no
//! record counts twice.

use std::collections::BTreeMap;

use log::time_bounds::TimeBounds;
use log::{LogError, Position, Reader, Record, SharedLog};
use model::time::Millis;
use model::topic::Topic;
use serde::{Deserialize, Serialize};
use store::SharedStore;

use crate::error::SinkError;

/// A note to set, or to delete with `None`.
pub(crate) type Note = (String, Option<String>);

const KEY: &str = "sink/progress";

/// Parses a note. A note that cannot be parsed is skipped, so that other notes remain usable.
pub(crate) fn read_note<T: serde::de::DeserializeOwned>(key: &str, value: &str) -> Option<T> {
    match serde_json::from_str(value) {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::error!(
                "The note `{key}` in the store cannot be parsed and is skipped: {error}. Another program wrote to this store; to compute again what the note stood for, run `tickwire recompute` and `tickwire aggregate`"
            );
            None
        }
    }
}

/// What has been read and counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The number of partitions of a data topic.
    partitions: u32,
    /// The latest append time among the records that were read (wall clock, ms).
    pub(crate) log_time: Millis,
    pub(crate) counts: Counts,
    places: BTreeMap<String, BTreeMap<u32, PartitionProgress>>,
    /// For each result topic the latest time of a row that was written without having been read
    /// from the topic: recomputed, or read from an earlier log.
    #[serde(default)]
    written: BTreeMap<String, Millis>,
}

/// The progress in one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartitionProgress {
    /// The next offset.
    pub(crate) next: u64,
    /// The event time that was reached: the greatest `complete_until` of a raw topic, or the
    /// latest window end of a result topic.
    pub(crate) reached: Option<Millis>,
    /// Identifies the record before `next`, to recognize the log after a restart.
    #[serde(default)]
    pub(crate) last: Option<RecordId>,
}

/// Distinguishes a record from one with the same offset in another log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordId {
    appended_at: Millis,
    hash: u64,
}

impl RecordId {
    pub(crate) fn of(record: &Record) -> RecordId {
        // FNV-1a with 64 bits: stable across versions, and sufficient to distinguish records.
        let bytes = record.key.bytes().chain(record.value.iter().copied());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        RecordId { appended_at: record.appended_at, hash }
    }
}

impl PartitionProgress {
    /// Whether the log has a different record at the offset of the last one that was read.
    /// False if retention or compaction has removed that offset.
    async fn is_in_other_log(
        &self,
        log: &SharedLog,
        topic: &Topic,
        partition: u32,
    ) -> Result<bool, LogError> {
        let (Some(last), Some(offset)) = (self.last, self.next.checked_sub(1)) else { return Ok(false) };
        let found = log.read(topic, partition, offset, 1).await?;
        Ok(found.first().is_some_and(|found| found.offset == offset && RecordId::of(found) != last))
    }
}

/// Counts since the data folder was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Records that became points.
    pub(crate) points: u64,
    /// Late bars.
    pub(crate) late: u64,
    /// Late articles.
    pub(crate) late_articles: u64,
    /// Records that became dead letters.
    pub(crate) rejected: u64,
    /// Points that are older than the retention of the store.
    #[serde(default)]
    pub(crate) too_old: u64,
    /// Records that retention deleted before they were read.
    #[serde(default)]
    pub(crate) skipped: u64,
    /// Recomputed rows.
    pub(crate) recomputed: u64,
    /// Recomputed rows whose values differ from the stored ones.
    #[serde(default)]
    pub(crate) changed: u64,
    /// Rows made of less than the stored row, which was kept.
    #[serde(default)]
    pub(crate) poorer: u64,
    /// Values of days, weeks and months that were not finite, and are stored as null.
    #[serde(default)]
    pub(crate) not_finite: u64,
}

impl Progress {
    /// The stored progress, if there is any.
    pub(crate) async fn load(store: &SharedStore) -> Result<Option<Progress>, SinkError> {
        let notes = store.notes(KEY).await?;
        let Some((key, value)) = notes.into_iter().find(|(key, _)| key == KEY) else { return Ok(None) };
        // Without the note everything is read again, which has no further effect.
        Ok(read_note(&key, &value))
    }

    /// The stored progress, as far as it belongs to this log.
    pub(crate) async fn resume(store: &SharedStore, log: &SharedLog) -> Result<Progress, SinkError> {
        let mut progress = Progress::load(store).await?.unwrap_or_default();
        progress.partitions = log.partitions();
        progress.drop_times_out_of_bounds(TimeBounds::of(log.as_ref()));
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
                        "The store has {} records of this partition, the log has {held}: this is a different log, and it is read from its start.",
                        place.next
                    );
                    progress.restart_from_log_start();
                    return Ok(progress);
                }
                if place.is_in_other_log(log, &topic, *partition).await? {
                    tracing::warn!(
                        topic = name,
                        partition,
                        "Record {} of the log is not the one that was stored: this is a different log, and it is read from its start.",
                        place.next - 1
                    );
                    progress.restart_from_log_start();
                    return Ok(progress);
                }
            }
        }
        Ok(progress)
    }

    /// Earlier versions accepted and stored any time, including one after which no window would
    /// close.
    fn drop_times_out_of_bounds(&mut self, bounds: TimeBounds) {
        for (topic, places) in &mut self.places {
            for (partition, place) in places {
                let noted = place.reached;
                place.reached = bounds.noted(noted, model::time::now());
                if place.reached != noted {
                    tracing::warn!(
                        topic,
                        partition,
                        noted,
                        "The stored event time is out of bounds; it is derived again from the log."
                    );
                }
            }
        }
    }

    /// Opens a reader that begins no later than the stored progress. Notes are written before
    /// offsets are committed, so a committed offset that is ahead means that the store was lost
    /// or restored from a backup; the missing records are then read again.
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
            "The store has less than was read for it: it was lost or restored from a backup. The missing records are read again, as far as the log still has them."
        );
        reader.commit(ahead).await?;
        drop(reader);
        log.reader(name, topics).await
    }

    pub(crate) fn place(&self, topic: &Topic, partition: u32) -> PartitionProgress {
        self.places.get(topic.name()).and_then(|places| places.get(&partition)).copied().unwrap_or_default()
    }

    pub(crate) fn set_place(&mut self, topic: &Topic, partition: u32, place: PartitionProgress) {
        match self.places.get_mut(topic.name()) {
            Some(places) => drop(places.insert(partition, place)),
            None => drop(self.places.insert(topic.name().to_owned(), [(partition, place)].into())),
        }
    }

    /// The watermark of a raw topic: the minimum over all partitions, or `None` until each has
    /// one.
    pub(crate) fn watermark(&self, topic: &Topic) -> Option<Millis> {
        (0..self.partitions.max(1)).map(|partition| self.place(topic, partition).reached).min().flatten()
    }

    /// The time of the latest row of a result topic. Rows that are still to be read from other
    /// partitions are compared with the stored ones, and recomputed if necessary.
    pub(crate) fn emitted(&self, topic: &Topic) -> Option<Millis> {
        let places = self.places.get(topic.name())?;
        places.values().map(|place| place.reached).max().flatten()
    }

    /// Starts at the beginning of the log; what earlier records wrote stays stored.
    fn restart_from_log_start(&mut self) {
        for (name, places) in std::mem::take(&mut self.places) {
            let furthest = places.values().filter_map(|place| place.reached);
            self.wrote(&Topic::new(name), furthest);
        }
    }

    /// Notes that rows of a result topic with these times have been written.
    pub(crate) fn wrote(&mut self, topic: &Topic, times: impl IntoIterator<Item = Millis>) {
        let Some(furthest) = times.into_iter().max() else { return };
        if self.floor(topic).is_none_or(|floor| floor < furthest) {
            self.written.insert(topic.name().to_owned(), furthest);
        }
    }

    /// The latest time at which a row of a result topic may be stored.
    pub(crate) fn floor(&self, topic: &Topic) -> Option<Millis> {
        self.emitted(topic).max(self.written.get(topic.name()).copied())
    }

    pub(crate) fn note(&self) -> Note {
        (KEY.to_owned(), serde_json::to_string(self).ok())
    }
}
