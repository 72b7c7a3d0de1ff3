//! Times on records, believed within reason.
//!
//! A watermark never falls, so one statement of the year 2262 would end every window
//! for good. What a record says of time is therefore compared with what is known apart
//! from it: when the log took it in, and what its partition had stated before. A record
//! beyond the limit is passed over as a whole, and becomes a dead letter.
//!
//! A live run follows the wall clock. A replay is of the past, mostly, and a simulation
//! runs ahead of the wall clock as fast as it can: there only the statement before
//! tells what is near. See [`TimeBounds::limit`].

use model::time::{self, DAY, EARLIEST, HOUR, LATEST_STATED, Millis};
use model::topic::Topic;

use crate::{Log, LogError, Record, tail_of};

/// How far a live record may be ahead of its append: clocks of machines differ, and may be
/// set to another time zone.
const AHEAD_OF_APPEND: Millis = DAY;
/// How far a live record may be ahead of what its partition has stated, whatever the
/// clock of the log says: statements come a minute at a time.
const AHEAD_OF_STATED: Millis = HOUR;
/// The same in a replay or a simulation: no gap between two sessions is longer.
const AHEAD_IN_A_REPLAY: Millis = 366 * DAY;

/// How much ahead is within reason, in one kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    live: bool,
}

impl TimeBounds {
    /// In a live run, whose times follow the wall clock.
    pub const LIVE: TimeBounds = TimeBounds { live: true };
    /// In a replay or a simulation.
    pub const REPLAY: TimeBounds = TimeBounds { live: false };

    /// What is within reason on `log`.
    pub fn of(log: &dyn Log) -> TimeBounds {
        if log.is_live() { TimeBounds::LIVE } else { TimeBounds::REPLAY }
    }

    /// The latest time that is believed of a record that was appended at `appended_at` to
    /// a partition that had `stated` something before.
    pub fn limit(self, stated: Option<Millis>, appended_at: Millis) -> Millis {
        let (of_append, of_stated) = match self.live {
            true => (AHEAD_OF_APPEND, AHEAD_OF_STATED),
            false => (AHEAD_IN_A_REPLAY, AHEAD_IN_A_REPLAY),
        };
        let by_append = appended_at.saturating_add(of_append);
        let limit = match stated {
            Some(stated) => by_append.max(stated.saturating_add(of_stated)),
            None if self.live => by_append,
            // Where a simulation has come to is not known yet.
            None => LATEST_STATED,
        };
        limit.min(LATEST_STATED)
    }

    /// Whether times of a record are believed.
    ///
    /// # Errors
    /// Says which is not, and why.
    pub fn check(self, stated: Option<Millis>, record: &Record, times: [Millis; 2]) -> Result<(), String> {
        let limit = self.limit(stated, record.appended_at);
        match times.into_iter().find(|at| !(EARLIEST..=limit).contains(at)) {
            None => Ok(()),
            Some(at) => Err(format!(
                "the time {at} is beyond reason: the record was appended at {}, and nothing after {} is believed here",
                record.appended_at,
                time::rfc3339(limit)
            )),
        }
    }

    /// Whether a row of a file, at `at`, may follow rows that have come to `before`: a row
    /// that no reader of the topic would believe is a bad one before it moves event time.
    /// The first row is held to the clock alone: a stray one in front of a file would else
    /// make every row after it a late one.
    ///
    /// # Errors
    /// Says that it is too far ahead.
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

    /// What was noted of event time by an earlier run, as far as it is believed now: a
    /// note of a time beyond reason is forgotten, and event time is found anew.
    pub fn noted(self, noted: Option<Millis>, now: Millis) -> Option<Millis> {
        noted.filter(|noted| (EARLIEST..=self.limit(None, now)).contains(noted))
    }
}

/// The times of the rows of one file, judged one after the other as a replay does: what
/// `up` plays of a file and what is computed of it are the same rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowTimes {
    /// The greatest minute so far.
    before: Option<Millis>,
}

impl RowTimes {
    /// Judges the next row.
    ///
    /// # Errors
    /// As [`TimeBounds::check_row`]; such a row is left out and moves nothing.
    pub fn check(&mut self, at: Millis) -> Result<(), String> {
        TimeBounds::REPLAY.check_row(self.before, at)?;
        self.before = self.before.max(Some(time::minute_of(at)));
        Ok(())
    }
}

/// The records of one partition, read in their order: which of them are within reason.
#[derive(Clone, Copy, Debug)]
pub struct LaneTimes {
    bounds: TimeBounds,
    /// The greatest statement of a record that was believed.
    stated: Option<Millis>,
}

impl LaneTimes {
    /// Where nothing of the partition has been read, or `stated` was before what is read.
    pub fn new(bounds: TimeBounds, stated: Option<Millis>) -> LaneTimes {
        LaneTimes { bounds, stated }
    }

    /// For reading a partition from an offset on: what the records before it stated.
    /// `times` reads what a record states, then its event time.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn before(
        log: &dyn Log,
        topic: &Topic,
        partition: u32,
        from: u64,
        times: impl Fn(&Record) -> Option<[Millis; 2]>,
    ) -> Result<LaneTimes, LogError> {
        let mut lane = LaneTimes::new(TimeBounds::of(log), None);
        let start = from.saturating_sub(LOOKED_AT as u64);
        if start == from {
            return Ok(lane);
        }
        let records = log.read(topic, partition, start, LOOKED_AT).await?;
        for record in records.iter().filter(|record| record.offset < from) {
            if let Some(times) = times(record) {
                lane.believes(record, times);
            }
        }
        Ok(lane)
    }

    /// Whether the next record, with what it states and its event time, is believed; only
    /// such a record moves what is believed after it.
    pub fn believes(&mut self, record: &Record, times: [Millis; 2]) -> bool {
        let believed = self.bounds.check(self.stated, record, times).is_ok();
        if believed {
            self.stated = self.stated.max(Some(times[0]));
        }
        believed
    }
}

/// How many records at the end of a partition are looked at for the last good one.
const LOOKED_AT: usize = 64;

/// Of each partition the last record that is what it should be and within reason, read
/// by `read` with what it states and its event time; `None` where there is none.
///
/// # Errors
/// When the log cannot be read.
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
        for record in tail_of(log, topic, extent, LOOKED_AT).await? {
            let judged = read(&record).ok_or_else(|| "it cannot be read".to_owned());
            let judged = judged
                .and_then(|(value, times)| bounds.check(stated, &record, times).map(|()| (value, times[0])));
            match judged {
                Ok((value, until)) => {
                    stated = stated.max(Some(until));
                    *tail = Some(value);
                }
                Err(why) => crate::passed_over(&record, &why),
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
        // The clock of the log is a year behind: minute follows on minute all the same.
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
