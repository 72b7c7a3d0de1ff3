//! The progress of a job in each partition, and the offsets from which it must read again after
//! a restart to rebuild every open window.

use std::collections::BTreeMap;

use log::time_bounds::TimeBounds;
use log::{Position, Record};
use model::time::{Millis, minute_of};
use model::topic::Topic;
use serde::{Deserialize, Serialize};

/// The partitions of all sources of a job.
pub(crate) struct Partitions {
    sources: Vec<(Topic, Vec<Partition>)>,
    /// Whether late records are needed too.
    keeps_late: bool,
    /// The limits on the times of records.
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
    /// The first record of each minute that an open window may need, with the watermark before
    /// that record.
    minutes: BTreeMap<Millis, (u64, Option<Millis>)>,
}

/// How a record relates to the watermark and to the last checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether its minute is not before the watermark of the source.
    pub(crate) in_time: bool,
    /// Whether it was processed before the restart already.
    pub(crate) reread: bool,
}

/// Why a record is skipped: its times are out of bounds.
pub(crate) type OutOfBounds = String;

/// The metadata of a committed offset, as JSON.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The watermark before the record at the offset.
    watermark: Option<Millis>,
    /// Records before this offset have been counted.
    counted_until: u64,
    late: u64,
    /// Windows that end at or before this have been emitted.
    closed_until: Option<Millis>,
}

impl Partitions {
    /// `count` partitions for each topic, at the positions `resumed`. With `keeps_late`, late
    /// records are read again after a restart like others. A stored event time that is out of
    /// `bounds` is dropped.
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

    /// Records that a record of source `source` was read.
    ///
    /// # Errors
    /// If its times are out of bounds; the record is then to be skipped.
    pub(crate) fn see(
        &mut self,
        source: usize,
        record: &Record,
        minute: Millis,
        watermark: Millis,
    ) -> Result<Seen, OutOfBounds> {
        let before = self.source_watermark(source);
        let in_time = before.is_none_or(|before| minute >= minute_of(before));
        let Some(partition) = self.sources[source].1.get_mut(record.partition as usize) else {
            return Ok(Seen { in_time, reread: false });
        };
        if let Err(out_of_bounds) = self.bounds.check(partition.watermark, record, [watermark, minute]) {
            partition.next = record.offset + 1;
            return Err(out_of_bounds);
        }
        let reread = record.offset < partition.counted_until;
        if in_time || self.keeps_late {
            partition.minutes.entry(minute).or_insert((record.offset, partition.watermark));
        }
        if !in_time && !reread {
            partition.late += 1;
        }
        partition.next = record.offset + 1;
        partition.counted_until = partition.counted_until.max(partition.next);
        partition.watermark = partition.watermark.max(Some(watermark));
        Ok(Seen { in_time, reread })
    }

    /// The watermark of the job: the minimum over all partitions, or `None` until each has one.
    pub(crate) fn watermark(&self) -> Option<Millis> {
        (0..self.sources.len()).map(|source| self.source_watermark(source)).min().flatten()
    }

    fn source_watermark(&self, source: usize) -> Option<Millis> {
        self.sources[source].1.iter().map(|partition| partition.watermark).min().flatten()
    }

    /// Notes that windows up to `watermark` have been emitted, and that rows before
    /// `needed_from` are not needed any more.
    pub(crate) fn closed(&mut self, watermark: Millis, needed_from: Millis) {
        self.closed_until = Some(watermark);
        for (_, partitions) in &mut self.sources {
            for partition in partitions {
                partition.minutes = partition.minutes.split_off(&needed_from);
            }
        }
    }

    /// Windows that end at or before this have been emitted.
    pub(crate) fn closed_until(&self) -> Option<Millis> {
        self.closed_until
    }

    /// The number of late rows.
    pub(crate) fn late(&self) -> u64 {
        self.sources.iter().flat_map(|(_, partitions)| partitions).map(|partition| partition.late).sum()
    }

    /// The positions to commit: where a restart must begin to read.
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
            // Offset 10 is ten minutes late, but its time is still needed.
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
            assert!(resumed.see(0, &record(0, 29), 49 * MINUTE, 49 * MINUTE).unwrap().reread);
            assert!(!resumed.see(0, &record(0, 30), 50 * MINUTE, 50 * MINUTE).unwrap().reread);
        }
    }
}
