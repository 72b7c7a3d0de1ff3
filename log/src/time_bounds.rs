//! Limits on the times that records may state.
//!
//! A watermark never falls, so a single record with a watermark in the year 2262 would close
//! every window. The event time and the watermark of a record are therefore compared with the
//! time of its append and with the earlier watermark of its partition. A record beyond the
//! limit is skipped and becomes a dead letter.
//!
//! In a live run times follow the wall clock. A replay is mostly of the past, and a simulation
//! runs ahead of the wall clock; for these only the earlier watermark of the partition limits
//! them. See [`TimeBounds::limit`].

use model::time::{self, DAY, EARLIEST, HOUR, LATEST_STATED, Millis};
use model::topic::Topic;

use crate::{Log, LogError, Record, tail_of};

/// How far a time of a live record may be ahead of its append: clocks of machines differ, and
/// may be set to a wrong time zone.
const AHEAD_OF_APPEND: Millis = DAY;
/// How far a time of a live record may be ahead of the earlier watermark of its partition, even
/// if the clock of the log is wrong: watermarks advance by a minute at a time.
const AHEAD_OF_STATED: Millis = HOUR;
/// The same in a replay or a simulation: no gap between two trading sessions is longer.
const AHEAD_IN_A_REPLAY: Millis = 366 * DAY;

/// The limits for one kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    live: bool,
}

impl TimeBounds {
    /// The limits of a live run, whose times follow the wall clock.
    pub const LIVE: TimeBounds = TimeBounds { live: true };
    /// The limits of a replay or a simulation.
    pub const REPLAY: TimeBounds = TimeBounds { live: false };

    /// The limits for the records of `log`.
    pub fn of(log: &dyn Log) -> TimeBounds {
        if log.is_live() { TimeBounds::LIVE } else { TimeBounds::REPLAY }
    }

    /// The latest acceptable time (ms) of a record that was appended at `appended_at` (wall
    /// clock) to a partition whose watermark was `stated`.
    pub fn limit(self, stated: Option<Millis>, appended_at: Millis) -> Millis {
        let (of_append, of_stated) = match self.live {
            true => (AHEAD_OF_APPEND, AHEAD_OF_STATED),
            false => (AHEAD_IN_A_REPLAY, AHEAD_IN_A_REPLAY),
        };
        let by_append = appended_at.saturating_add(of_append);
        let limit = match stated {
            Some(stated) => by_append.max(stated.saturating_add(of_stated)),
            None if self.live => by_append,
            // The event time that a simulation has reached is not known yet.
            None => LATEST_STATED,
        };
        limit.min(LATEST_STATED)
    }

    /// Checks the watermark and the event time of a record.
    ///
    /// # Errors
    /// Names the time that is out of bounds, and the limit.
    pub fn check(self, stated: Option<Millis>, record: &Record, times: [Millis; 2]) -> Result<(), String> {
        let limit = self.limit(stated, record.appended_at);
        match times.into_iter().find(|at| !(EARLIEST..=limit).contains(at)) {
            None => Ok(()),
            Some(at) => Err(format!(
                "the time {at} is out of bounds: the record was appended at {}, and the latest accepted time is {}",
                record.appended_at,
                time::rfc3339(limit)
            )),
        }
    }

    /// Checks whether a row of a file with event time `at` may follow rows up to `before`. A
    /// row that readers of the topic would reject must not advance event time. The first row is
    /// compared with the wall clock, because an outlier at the start of a file would make every
    /// row after it late.
    ///
    /// # Errors
    /// If the row is too far ahead.
    pub fn check_row(self, before: Option<Millis>, at: Millis) -> Result<(), String> {
        let now = time::now();
        if at <= self.limit(Some(before.unwrap_or(now)), now) {
            return Ok(());
        }
        Err(format!(
            "its time {} is more than a year ahead of the rows before it and of the clock: correct it",
            time::rfc3339(at)
        ))
    }

    /// A stored event time of an earlier run, if it is still within bounds; otherwise `None`,
    /// and event time is derived again.
    pub fn noted(self, noted: Option<Millis>, now: Millis) -> Option<Millis> {
        noted.filter(|noted| (EARLIEST..=self.limit(None, now)).contains(noted))
    }
}

/// Checks the times of the rows of one file in order. `up` and the commands that compute from a
/// file use it alike, so that they accept the same rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowTimes {
    /// The greatest minute accepted so far.
    before: Option<Millis>,
}

impl RowTimes {
    /// Checks the next row.
    ///
    /// # Errors
    /// As [`TimeBounds::check_row`]; a rejected row does not advance the limit.
    pub fn check(&mut self, at: Millis) -> Result<(), String> {
        TimeBounds::REPLAY.check_row(self.before, at)?;
        self.before = self.before.max(Some(time::minute_of(at)));
        Ok(())
    }
}

/// Checks the times of the records of one partition, in order of their offsets.
#[derive(Clone, Copy, Debug)]
pub struct LaneTimes {
    bounds: TimeBounds,
    /// The greatest watermark of an accepted record.
    stated: Option<Millis>,
}

impl LaneTimes {
    /// Begins with the watermark `stated`, or with none if nothing of the partition has been
    /// read.
    pub fn new(bounds: TimeBounds, stated: Option<Millis>) -> LaneTimes {
        LaneTimes { bounds, stated }
    }

    /// Begins at offset `from`, with the watermark of the records before it. `times` returns
    /// the watermark of a record and its event time.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn before(
        log: &dyn Log,
        topic: &Topic,
        partition: u32,
        from: u64,
        times: impl Fn(&Record) -> Option<[Millis; 2]>,
    ) -> Result<LaneTimes, LogError> {
        let mut lane = LaneTimes::new(TimeBounds::of(log), None);
        let start = from.saturating_sub(SEARCHED as u64);
        if start == from {
            return Ok(lane);
        }
        let records = log.read(topic, partition, start, SEARCHED).await?;
        for record in records.iter().filter(|record| record.offset < from) {
            if let Some(times) = times(record) {
                lane.believes(record, times);
            }
        }
        Ok(lane)
    }

    /// Whether the next record is within bounds, given its watermark and its event time. Only
    /// an accepted record advances the limit.
    pub fn believes(&mut self, record: &Record, times: [Millis; 2]) -> bool {
        let believed = self.bounds.check(self.stated, record, times).is_ok();
        if believed {
            self.stated = self.stated.max(Some(times[0]));
        }
        believed
    }
}

/// How many records at the end of a partition are searched for a valid one.
const SEARCHED: usize = 64;

/// For each partition the last record that is valid and within bounds. `read` decodes a record
/// and returns its value, its watermark and its event time; `None` means that it is invalid.
///
/// # Errors
/// If the log cannot be read.
pub async fn last_good<T>(
    log: &dyn Log,
    topic: &Topic,
    read: impl Fn(&Record) -> Option<(T, [Millis; 2])>,
) -> Result<Vec<Option<T>>, LogError> {
    let bounds = TimeBounds::of(log);
    let mut tails: Vec<Option<T>> = Vec::new();
    tails.resize_with(log.partitions() as usize, || None);
    for extent in log.extents(topic).await? {
        let Some(tail) = tails.get_mut(extent.partition as usize) else { continue };
        let mut stated: Option<Millis> = None;
        for record in tail_of(log, topic, extent, SEARCHED).await? {
            let judged = read(&record).ok_or_else(|| "it cannot be read".to_owned());
            let judged = judged
                .and_then(|(value, times)| bounds.check(stated, &record, times).map(|()| (value, times[0])));
            match judged {
                Ok((value, until)) => {
                    stated = stated.max(Some(until));
                    *tail = Some(value);
                }
                Err(why) => crate::warn_skipped(&record, &why),
            }
        }
    }
    Ok(tails)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::MINUTE;

    const NOW: Millis = 1_700_000_000_000;
    const LIVE: TimeBounds = TimeBounds::LIVE;
    const REPLAY: TimeBounds = TimeBounds::REPLAY;

    #[test]
    fn a_live_record_is_believed_a_day_ahead_of_its_append_and_no_further() {
        assert_eq!(LIVE.limit(None, NOW), NOW + DAY);
        assert_eq!(LIVE.limit(Some(NOW - HOUR), NOW), NOW + DAY);
        // The clock of the log is a year behind; watermarks still advance minute by minute.
        let stated = NOW + 365 * DAY;
        assert!(LIVE.limit(Some(stated), NOW) >= stated + MINUTE);
    }

    #[test]
    fn a_simulation_runs_years_ahead_of_the_wall_clock_step_by_step() {
        let ahead = NOW + 40 * 365 * DAY;
        assert!(REPLAY.limit(None, NOW) > ahead);
        assert!(REPLAY.limit(Some(ahead), NOW) >= ahead + 4 * DAY);
        assert!(REPLAY.limit(Some(NOW), NOW) < ahead);
    }

    #[test]
    fn a_noted_time_beyond_reason_is_forgotten() {
        assert_eq!(LIVE.noted(Some(NOW), NOW), Some(NOW));
        assert_eq!(LIVE.noted(Some(NOW + 2 * DAY), NOW), None);
        let year_2262 = 9_223_372_036_000;
        assert_eq!(REPLAY.noted(Some(year_2262), NOW), None);
        assert_eq!(REPLAY.noted(Some(Millis::MAX), NOW), None);
    }
}
