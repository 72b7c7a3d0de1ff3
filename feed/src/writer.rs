//! The way onto a raw topic for the one service that writes it: appends in
//! batches, and leaves out what the topic already holds.
//!
//! A service that was killed goes through its source again, from wherever it
//! likes, and the topic writer drops what each partition has, and letters of rows that
//! the dead letters have. With dead letters goes the status that counts them: so
//! the log alone tells what has been done, also of an append that was torn.

use std::collections::HashSet;

use control::raw::{self, RawEvent};
use control::status::Report;
use log::time_bounds::last_good;
use log::{Append, Log, LogError, Record, SharedLog, each_record, partition_of};
use model::dead_letter::DeadLetter;
use model::service::Activity;
use model::status::ServiceStatus;
use model::time::Millis;
use model::topic::{DEAD_LETTERS, Topic};

/// Records that go into one append; a few more when they belong together.
const BATCH: usize = 1_000;

/// Counts of an earlier run are believed up to here, so that they can be counted on.
const MOST: u64 = 1 << 60;

/// What the source of a letter begins with that stands for a row of a file; the
/// file's name and the number of the line follow.
const ROW: &str = "replay:";

/// The sources of all letters in the log that stand for rows of files.
async fn rows_refused(log: &dyn Log) -> Result<HashSet<String>, LogError> {
    let mut refused = HashSet::new();
    let keep = |record: Record| {
        if record.key.starts_with(ROW) {
            refused.insert(record.key);
        }
    };
    each_record(log, &DEAD_LETTERS, keep).await?;
    Ok(refused)
}

/// What a service said last in an earlier run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// What it was working from.
    pub source: Option<String>,
    /// The event time that it had reached.
    pub watermark: Option<Millis>,
    /// Events written.
    pub taken: u64,
    /// Events sent to the dead letters.
    pub rejected: u64,
}

/// See the module.
pub struct TopicWriter<T> {
    log: SharedLog,
    topic: Topic,
    tails: Vec<Option<T>>,
    batch: Vec<Append>,
    holds_letters: bool,
    /// The sources of letters that the log has, of those that stand for rows of files.
    refused: HashSet<String>,
    report: Report,
    before: Before,
    watermark: Option<Millis>,
    /// Events taken since the log began; not said while below what was said before.
    pub taken: u64,
    /// Dead letters since the log began; likewise.
    pub rejected: u64,
}

impl<T: RawEvent> TopicWriter<T> {
    /// Looks up where the topic stands.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn open(
        log: SharedLog,
        topic: Topic,
        source: String,
        simulated: bool,
    ) -> Result<TopicWriter<T>, LogError> {
        let tails = last_good(&*log, &topic, raw::read::<T>).await?;
        let said = control::status::last(&*log, T::SERVICE).await?.unwrap_or_default();
        let count = |name| said.counts.get(name).copied().unwrap_or(0).min(MOST);
        let (taken, rejected) = (count(T::COUNT), count("rejected"));
        let before = Before { source: said.source.clone(), watermark: said.watermark, taken, rejected };
        let refused = rows_refused(&*log).await?;
        let status = ServiceStatus {
            service: T::SERVICE.into(),
            source: Some(source),
            simulated,
            ..Default::default()
        };
        Ok(TopicWriter {
            log,
            topic,
            tails,
            batch: Vec::new(),
            holds_letters: false,
            refused,
            report: Report::new(status),
            watermark: before.watermark,
            before,
            taken,
            rejected,
        })
    }

    /// What the service said last in an earlier run.
    pub fn before(&self) -> &Before {
        &self.before
    }

    /// The rows of a replay that the topic has taken.
    pub fn rows_written(&self) -> u64 {
        self.tails.iter().flatten().filter_map(T::position).max().unwrap_or(0)
    }

    /// The time up to which every partition that holds records is complete.
    pub fn complete_until(&self) -> Option<Millis> {
        self.tails.iter().flatten().map(T::complete_until).min()
    }

    /// The time up to which some partition is complete; others lag behind it
    /// after an append of which only a part was written.
    pub fn furthest(&self) -> Option<Millis> {
        self.tails.iter().flatten().map(T::complete_until).max()
    }

    /// Whether some partition has not the heartbeat of `at`.
    pub fn lacks_clock(&self, at: Millis) -> bool {
        self.tails.iter().any(|tail| !has_clock(tail.as_ref(), at))
    }

    /// Everything before `at` has been taken: a heartbeat of every key for every partition.
    pub fn clock(&mut self, at: Millis, position: Option<u64>) {
        self.watermark = self.watermark.max(Some(at));
        for (partition, tail) in (0..).zip(&self.tails) {
            if has_clock(tail.as_ref(), at) {
                continue;
            }
            for key in 0..self.log.clock_keys() {
                let record = T::clock(key, at, position);
                self.batch
                    .push(Append::json(self.topic.clone(), record.key(), &record).into_partition(partition));
            }
        }
    }

    /// Takes an event.
    pub fn take(&mut self, event: &T) {
        let partition = partition_of(event.key(), self.log.partitions()) as usize;
        if !self.tails[partition].as_ref().is_some_and(|last| has(last, event)) {
            self.batch.push(Append::json(self.topic.clone(), event.key(), event));
        }
    }

    /// Takes an event whatever the topic holds: one that came late, or another version.
    pub fn put(&mut self, event: &T) {
        self.taken += 1;
        self.batch.push(Append::json(self.topic.clone(), event.key(), event));
    }

    /// What will be said next; state, watermark and counts are filled in.
    pub fn status(&mut self) -> &mut ServiceStatus {
        &mut self.report.status
    }

    /// Takes what is no good event.
    pub fn refuse(&mut self, letter: &DeadLetter) {
        if self.refused.contains(&letter.source) {
            return;
        }
        self.batch.push(letter.to_append());
        self.holds_letters = true;
    }

    /// Whether what has been taken is enough for an append.
    pub fn is_full(&self) -> bool {
        self.batch.len() >= BATCH
    }

    /// Appends what has been taken, and about once a second how much that is.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn flush(&mut self) -> Result<(), LogError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        // Counts are continued from a watermark: the first append already says one.
        let begins = self.report.status.watermark.is_none() && self.watermark.is_some();
        self.count();
        if self.holds_letters || begins || self.report.is_due() {
            self.batch.push(self.report.say());
        }
        self.append().await
    }

    /// Appends what has been taken and says what the service is doing now.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn say(&mut self, state: impl Into<Activity>) -> Result<(), LogError> {
        self.report.status.state = state.into();
        self.count();
        self.batch.push(self.report.say());
        self.append().await
    }

    fn count(&mut self) {
        let taken = self.taken.max(self.before.taken);
        let rejected = self.rejected.max(self.before.rejected);
        self.report.status.watermark = self.watermark;
        self.report.status.counts = [(T::COUNT.into(), taken), ("rejected".into(), rejected)].into();
    }

    async fn append(&mut self) -> Result<(), LogError> {
        self.holds_letters = false;
        self.log.append(std::mem::take(&mut self.batch)).await
    }
}

/// Whether a partition has the heartbeat of `at`: clocks rise, and each goes
/// before the events of its minute.
fn has_clock<T: RawEvent>(last: Option<&T>, at: Millis) -> bool {
    last.is_some_and(|last| last.complete_until() >= at)
}

/// Whether the partition that ends with `last` has `event`. Rows of a file are
/// told by their position, others by the order in which they are written.
fn has<T: RawEvent>(last: &T, event: &T) -> bool {
    match (last.position(), event.position()) {
        (Some(written), Some(position)) => position <= written,
        (None, Some(_)) => false,
        (_, None) if last.is_heartbeat() => event.order().0 < last.complete_until(),
        (_, None) => event.order() <= last.order(),
    }
}
