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

use std::cmp::Reverse;
use std::collections::VecDeque;

use model::time::{self, DAY, EARLIEST, HOUR, LATEST_STATED, Millis};
use model::topic::Topic;

use crate::{Extent, Log, LogError, Record};

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

    /// The valid records at the end of a partition, in order, without their bytes, with their
    /// values and times (watermark and event time): as many as are needed to tell the watermark
    /// of the partition from times that another program wrote.
    async fn readable_tail<T>(
        self,
        log: &dyn Log,
        topic: &Topic,
        extent: Extent,
        read: impl Fn(&Record) -> Option<(T, [Millis; 2])>,
    ) -> Result<Vec<(Record, T, [Millis; 2])>, LogError> {
        let enough = ENOUGH[usize::from(!self.live)];
        let mut found = VecDeque::new();
        let mut to = extent.next;
        while to > extent.first && found.len() < MOST {
            let from = extent.first.max(to.saturating_sub(SEARCHED));
            let records = log.read(topic, extent.partition, from, (to - from) as usize).await?;
            // Not every offset holds a record, so that a read may reach beyond `to`.
            for mut record in records.into_iter().rev().filter(|record| record.offset < to) {
                match read(&record) {
                    Some((value, times)) => {
                        record.value = Vec::new().into();
                        found.push_front((record, value, times));
                    }
                    None => crate::warn_skipped(&record, &"it cannot be read"),
                }
            }
            to = from;
            if found.len() >= enough && runs(&found).len() == 1 {
                break;
            }
        }
        Ok(found.into())
    }

    /// The watermark before the records of `tail`, of which nothing earlier is known: the least
    /// of those that most of the records agree on. So a few records that state a time years
    /// ahead are not taken for the clock of the partition. Of two groups of one size the
    /// earlier one counts, which does less harm. A live run has the time of each append
    /// instead.
    fn base<T>(self, tail: &[(Record, T, [Millis; 2])]) -> Option<Millis> {
        let greatest = |(least, count): &(Millis, usize)| (*count, Reverse(*least));
        runs(tail).into_iter().max_by_key(greatest).map(|(least, _)| least).filter(|_| !self.live)
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

    /// Begins at the end of `before`, with the watermark of the records that it holds. `times`
    /// returns the watermark of a record and its event time.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn before(
        log: &dyn Log,
        topic: &Topic,
        before: Extent,
        times: impl Fn(&Record) -> Option<[Millis; 2]>,
    ) -> Result<LaneTimes, LogError> {
        let bounds = TimeBounds::of(log);
        let tail =
            bounds.readable_tail(log, topic, before, |record| times(record).map(|times| ((), times))).await?;
        let mut lane = LaneTimes::new(bounds, bounds.base(&tail));
        for (record, (), times) in &tail {
            lane.believes(record, *times);
        }
        Ok(lane)
    }

    /// Checks the next record, given its watermark and its event time. Only an accepted record
    /// advances the limit.
    ///
    /// # Errors
    /// As [`TimeBounds::check`].
    fn check(&mut self, record: &Record, times: [Millis; 2]) -> Result<(), String> {
        self.bounds.check(self.stated, record, times)?;
        self.stated = self.stated.max(Some(times[0]));
        Ok(())
    }

    /// Whether the next record is within bounds; see [`LaneTimes::check`].
    pub fn believes(&mut self, record: &Record, times: [Millis; 2]) -> bool {
        self.check(record, times).is_ok()
    }
}

/// How many offsets are read at once from the end of a partition.
const SEARCHED: u64 = 128;
/// How many valid records from the end of a partition are enough to know its watermark, if they
/// agree: in a live run, where the time of each append is a limit too, and in others.
const ENOUGH: [usize; 2] = [32, 512];
/// How many valid records are looked at when they do not agree.
const MOST: usize = 4_096;

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
        let Some(last) = tails.get_mut(extent.partition as usize) else { continue };
        let tail = bounds.readable_tail(log, topic, extent, &read).await?;
        let mut lane = LaneTimes::new(bounds, bounds.base(&tail));
        for (record, value, times) in tail {
            match lane.check(&record, times) {
                Ok(()) => *last = Some(value),
                Err(why) => crate::warn_skipped(&record, &why),
            }
        }
    }
    Ok(tails)
}

/// The watermarks of records in groups that are further apart than any two that follow each
/// other in a run: the least of each group, and how many there are.
fn runs<'a, T: 'a>(tail: impl IntoIterator<Item = &'a (Record, T, [Millis; 2])>) -> Vec<(Millis, usize)> {
    let mut watermarks: Vec<Millis> = tail.into_iter().map(|(_, _, times)| times[0]).collect();
    watermarks.sort_unstable();
    let mut groups: Vec<(Millis, usize)> = Vec::new();
    let mut before = None;
    for at in watermarks {
        match groups.last_mut() {
            Some((_, count))
                if before.is_some_and(|before: Millis| at <= before.saturating_add(AHEAD_IN_A_REPLAY)) =>
            {
                *count += 1;
            }
            _ => groups.push((at, 1)),
        }
        before = Some(at);
    }
    groups
}

#[cfg(test)]
mod tests {
    use model::time::MINUTE;
    use model::topic::STOCK_PRICES;

    use super::*;
    use crate::{Append, EmbeddedLog};

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

    #[tokio::test]
    async fn a_flood_of_times_years_ahead_is_not_taken_for_the_clock_of_a_partition() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
        let record = |at: Millis| Append::json(STOCK_PRICES, "AAPL", &at);
        let good: Vec<Append> = (0..400).map(|minute| record(NOW + minute * MINUTE)).collect();
        log.append(good).await.unwrap();
        let far = NOW + 100 * 366 * DAY;
        log.append((0..150).map(|_| record(far)).collect()).await.unwrap();
        let read =
            |record: &Record| serde_json::from_slice::<Millis>(&record.value).ok().map(|at| (at, [at; 2]));
        let last = NOW + 399 * MINUTE;
        assert_eq!(last_good(&log, &STOCK_PRICES, read).await.unwrap(), [Some(last)]);
        let times = |record: &Record| read(record).map(|(_, times)| times);
        let held = log.extents(&STOCK_PRICES).await.unwrap()[0];
        let lane = LaneTimes::before(&log, &STOCK_PRICES, held, times).await.unwrap();
        assert_eq!(lane.stated, Some(last));
        // Garbage of any length is passed over, and so is a partition of nothing else.
        log.append((0..5_000).map(|_| Append::json(STOCK_PRICES, "AAPL", &"garbage")).collect())
            .await
            .unwrap();
        assert_eq!(last_good(&log, &STOCK_PRICES, read).await.unwrap(), [Some(last)]);
    }
}
