//! Where a job stands in each partition, and from where it must read again
//! after a restart so that every open window is whole.

use std::collections::BTreeMap;

use log::time_bounds::TimeBounds;
use log::{Position, Record};
use model::time::{Millis, minute_of};
use model::topic::Topic;
use serde::{Deserialize, Serialize};

/// The partitions of all of a job's sources.
pub(crate) struct Partitions {
    sources: Vec<(Topic, Vec<Partition>)>,
    /// Late records are needed as well.
    keeps_late: bool,
    /// Which times on records are believed.
    bounds: TimeBounds,
    closed_until: Option<Millis>,
}

#[derive(Default)]
struct Partition {
    next: u64,
    /// Records before this offset were counted before the restart.
    counted_until: u64,
    watermark: Option<Millis>,
    late: u64,
    /// The first record of each minute that an open window may need, with the
    /// watermark as it stood before that record.
    minutes: BTreeMap<Millis, (u64, Option<Millis>)>,
}

/// What is to be said of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its minute is not before that of the source's watermark as it stood before it.
    pub(crate) in_time: bool,
    /// It had been taken before the restart.
    pub(crate) again: bool,
}

/// Why a record is to be passed over: its times are beyond bounds.
pub(crate) type Beyond = String;

/// What stands beside a committed offset.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The watermark before the record at the offset.
    watermark: Option<Millis>,
    /// The records up to here have been counted.
    counted_until: u64,
    late: u64,
    /// Windows that end at or before this were written out.
    closed_until: Option<Millis>,
}

impl Partitions {
    /// `count` partitions for each topic, standing where `resumed` says. With
    /// `keeps_late`, late records are read again after a restart like others.
    /// Event time beyond `bounds` that was noted by a version that believed it is forgotten.
    pub(crate) fn resume(
        topics: &[Topic],
        count: u32,
        resumed: &[Position],
        keeps_late: bool,
        bounds: TimeBounds,
    ) -> Partitions {
        let (mut closed_until, now) = (None, model::time::now());
        let sources = topics
            .iter()
            .map(|topic| {
                let mut partitions: Vec<Partition> = (0..count).map(|_| Partition::default()).collect();
                for position in resumed.iter().filter(|position| position.topic == *topic) {
                    let Ok(note) = serde_json::from_str::<Note>(&position.note) else { continue };
                    let Some(partition) = partitions.get_mut(position.partition as usize) else { continue };
                    partition.next = position.offset;
                    partition.counted_until = note.counted_until;
                    partition.watermark = bounds.noted(note.watermark, now);
                    partition.late = note.late;
                    closed_until = closed_until.max(bounds.noted(note.closed_until, now));
                }
                (topic.clone(), partitions)
            })
            .collect();
        Partitions { sources, keeps_late, bounds, closed_until }
    }

    /// Takes note of a record of source `source`.
    ///
    /// # Errors
    /// Where its times are beyond bounds: it is not to be taken.
    pub(crate) fn see(
        &mut self,
        source: usize,
        record: &Record,
        minute: Millis,
        watermark: Millis,
    ) -> Result<Seen, Beyond> {
        let before = self.source_watermark(source);
        let in_time = before.is_none_or(|before| minute >= minute_of(before));
        let Some(partition) = self.sources[source].1.get_mut(record.partition as usize) else {
            return Ok(Seen { in_time, again: false });
        };
        if let Err(beyond) = self.bounds.check(partition.watermark, record, [watermark, minute]) {
            partition.next = record.offset + 1;
            return Err(beyond);
        }
        let again = record.offset < partition.counted_until;
        if in_time || self.keeps_late {
            partition.minutes.entry(minute).or_insert((record.offset, partition.watermark));
        }
        if !in_time && !again {
            partition.late += 1;
        }
        partition.next = record.offset + 1;
        partition.counted_until = partition.counted_until.max(partition.next);
        partition.watermark = partition.watermark.max(Some(watermark));
        Ok(Seen { in_time, again })
    }

    /// The job's watermark: the least of all partitions; `None` until each has spoken.
    pub(crate) fn watermark(&self) -> Option<Millis> {
        (0..self.sources.len()).map(|source| self.source_watermark(source)).min().flatten()
    }

    fn source_watermark(&self, source: usize) -> Option<Millis> {
        self.sources[source].1.iter().map(|partition| partition.watermark).min().flatten()
    }

    /// Windows up to `watermark` are written out, and no row before `needed_from` is wanted any more.
    pub(crate) fn closed(&mut self, watermark: Millis, needed_from: Millis) {
        self.closed_until = Some(watermark);
        for (_, partitions) in &mut self.sources {
            for partition in partitions {
                partition.minutes = partition.minutes.split_off(&needed_from);
            }
        }
    }

    /// Windows that end at or before this were written out.
    pub(crate) fn closed_until(&self) -> Option<Millis> {
        self.closed_until
    }

    /// How many rows came late.
    pub(crate) fn late(&self) -> u64 {
        self.sources.iter().flat_map(|(_, partitions)| partitions).map(|partition| partition.late).sum()
    }

    /// Where to read on after a restart.
    pub(crate) fn positions(&self) -> Vec<Position> {
        let mut positions = Vec::new();
        for (topic, partitions) in &self.sources {
            for (number, partition) in partitions.iter().enumerate() {
                let (offset, watermark) = partition
                    .minutes
                    .values()
                    .min_by_key(|(offset, _)| *offset)
                    .copied()
                    .unwrap_or((partition.next, partition.watermark));
                let note = Note {
                    watermark,
                    counted_until: partition.counted_until,
                    late: partition.late,
                    closed_until: self.closed_until,
                };
                positions.push(Position {
                    topic: topic.clone(),
                    partition: number as u32,
                    offset,
                    note: serde_json::to_string(&note).unwrap_or_default(),
                });
            }
        }
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::MINUTE;
    use model::topic::STOCK_PRICES;

    const REASON: TimeBounds = TimeBounds::REPLAY;

    fn record(partition: u32, offset: u64) -> Record {
        Record {
            topic: STOCK_PRICES,
            partition,
            offset,
            appended_at: 0,
            key: String::new(),
            value: Default::default(),
        }
    }

    #[test]
    fn the_watermark_is_the_least_of_all_partitions_and_waits_for_each() {
        let mut partitions = Partitions::resume(&[STOCK_PRICES], 2, &[], false, REASON);
        assert!(partitions.see(0, &record(0, 0), 9 * MINUTE, 9 * MINUTE).unwrap().in_time);
        assert_eq!(partitions.watermark(), None);
        assert!(partitions.see(0, &record(1, 0), 4 * MINUTE, 4 * MINUTE).unwrap().in_time);
        assert_eq!(partitions.watermark(), Some(4 * MINUTE));
        assert!(partitions.see(0, &record(0, 1), 4 * MINUTE, 9 * MINUTE).unwrap().in_time);
        assert!(!partitions.see(0, &record(0, 2), 3 * MINUTE, 9 * MINUTE).unwrap().in_time);
        assert_eq!(partitions.late(), 1);
    }

    #[test]
    fn after_a_restart_reading_begins_where_the_oldest_open_window_does() {
        let mut partitions = Partitions::resume(&[STOCK_PRICES], 1, &[], false, REASON);
        for offset in 0..100 {
            partitions.see(0, &record(0, offset), offset as i64 * MINUTE, offset as i64 * MINUTE).unwrap();
        }
        partitions.see(0, &record(0, 100), 0, 99 * MINUTE).unwrap();
        partitions.closed(99 * MINUTE, 70 * MINUTE);
        let positions = partitions.positions();
        assert_eq!(positions[0].offset, 70);

        let mut resumed = Partitions::resume(&[STOCK_PRICES], 1, &positions, false, REASON);
        assert_eq!(resumed.closed_until(), Some(99 * MINUTE));
        assert_eq!((resumed.watermark(), resumed.late()), (Some(69 * MINUTE), 1));
        assert!(resumed.see(0, &record(0, 70), 70 * MINUTE, 70 * MINUTE).unwrap().in_time);
        assert!(!resumed.see(0, &record(0, 71), 60 * MINUTE, 71 * MINUTE).unwrap().in_time);
        assert_eq!(resumed.late(), 1, "what was counted before the restart is not counted again");
        assert!(!resumed.see(0, &record(0, 101), 60 * MINUTE, 71 * MINUTE).unwrap().in_time);
        assert_eq!(resumed.late(), 2);
    }

    #[test]
    fn what_was_taken_before_a_restart_is_known_again_and_late_records_are_read_where_they_are_needed() {
        for (keeps_late, first) in [(false, 20), (true, 10)] {
            let mut partitions = Partitions::resume(&[STOCK_PRICES], 1, &[], keeps_late, REASON);
            // Offset 10 comes ten minutes late, into a time that is still needed.
            for offset in 0..30 {
                let minute = if offset == 10 { 20 } else { offset as i64 + 20 };
                partitions
                    .see(0, &record(0, offset), minute * MINUTE, (offset as i64 + 20) * MINUTE)
                    .unwrap();
            }
            partitions.closed(49 * MINUTE, 20 * MINUTE);
            partitions.closed(49 * MINUTE, if keeps_late { 20 } else { 40 } * MINUTE);
            let positions = partitions.positions();
            assert_eq!(positions[0].offset, if keeps_late { 0 } else { first });
            let mut resumed = Partitions::resume(&[STOCK_PRICES], 1, &positions, keeps_late, REASON);
            assert!(resumed.see(0, &record(0, 29), 49 * MINUTE, 49 * MINUTE).unwrap().again);
            assert!(!resumed.see(0, &record(0, 30), 50 * MINUTE, 50 * MINUTE).unwrap().again);
        }
    }
}
