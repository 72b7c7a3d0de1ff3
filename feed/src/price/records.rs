//! What goes onto the log: bars, heartbeats, dead letters, gaps, and the
//! status that counts them, all that is at hand in one append.

use control::raw;
use control::status::Report;
use log::time_bounds::last_good;
use log::{Append, SharedLog};
use model::service::{Activity, RunState, Service};
use model::status::{EntryState, ServiceStatus};
use model::time::{DAY, Millis, minute_of};
use model::{Bar, DeadLetter, Gap, Topic, heartbeat};

use super::{FeedError, PriceFeed};

const SERVICE: Service = Service::Producer;

/// Dead letters that are kept in a minute, and their bytes together: what a feed of
/// nothing but garbage sends beyond that is counted, and does not fill the disk.
const MOST_LETTERS: u32 = 1_000;
const MOST_LETTER_BYTES: usize = 8 << 20;
/// A time that the log states is believed up to so far ahead of the clock: this machine's
/// may have been ahead and set back, but not by more.
const BELIEVED: Millis = DAY;

/// See the module.
pub(super) struct Records {
    log: SharedLog,
    topic: Topic,
    batch: Vec<Append>,
    letters: bool,
    /// The minute of the last letter, with the number and the bytes that it has had.
    kept: (Millis, u32, usize),
    /// Up to when each partition has its heartbeats.
    clocked: Vec<Option<Millis>>,
    keys: u32,
    report: Report,
}

impl Records {
    /// Looks up where the topic of the feed's class stands at `now`.
    pub(super) async fn open<F: PriceFeed>(
        log: SharedLog,
        feed: &F,
        now: Millis,
    ) -> Result<Records, FeedError> {
        let topic = F::DESCRIPTION.class.raw_topic();
        let name = format!("{} at {}", F::DESCRIPTION.title, feed.host());
        let before = control::status::last(&*log, SERVICE).await?.unwrap_or_default();
        if let Some(found) = before.source.filter(|found| !found.starts_with(F::DESCRIPTION.title)) {
            return Err(FeedError::OtherSource { asked: name, found });
        }
        let mut clocked = Vec::new();
        for bar in last_good(&*log, &topic, raw::read::<Bar>).await? {
            let stated = bar.map(|bar| bar.complete_until);
            if let Some(at) = stated.filter(|at| *at > now.saturating_add(BELIEVED)) {
                let at = model::time::rfc3339(at);
                tracing::warn!(
                    at,
                    "The log states a time far ahead of this machine's clock; it is not believed."
                );
            }
            clocked
                .push(stated.map(|at| if at > now.saturating_add(BELIEVED) { minute_of(now) } else { at }));
        }
        let status = ServiceStatus {
            service: SERVICE.into(),
            source: Some(name),
            state: Activity::new(RunState::Starting, "connecting"),
            watermark: clocked.iter().flatten().min().copied(),
            counts: before.counts,
            planned_lag: Some(feed.settings().lag()),
            ..ServiceStatus::default()
        };
        let mut status = status;
        // The first of them is a rise only where there was a count before.
        for name in ["gaps", "rejected"] {
            status.counts.entry(name.to_owned()).or_default();
        }
        let keys = feed.settings().clock_keys.max(log.clock_keys());
        Ok(Records {
            log,
            topic,
            batch: Vec::new(),
            letters: false,
            kept: (Millis::MIN, 0, 0),
            clocked,
            keys,
            report: Report::new(status),
        })
    }

    /// What the topic states: everything before has been written.
    pub(super) fn stated(&self) -> Option<Millis> {
        self.clocked.iter().flatten().min().copied()
    }

    pub(super) fn bar(&mut self, bar: &Bar) {
        self.batch.push(Append::json(self.topic.clone(), &bar.symbol, bar));
    }

    /// Heartbeats from what was `stated` up to `until`, of every key for every partition.
    pub(super) fn clocks(&mut self, stated: Option<Millis>, until: Millis) {
        // A topic without any begins with the one of `until`.
        let minutes: Vec<_> = match stated {
            Some(stated) => heartbeat::minutes(stated, until).collect(),
            None => vec![until],
        };
        for at in minutes {
            for (partition, done) in (0..).zip(&self.clocked) {
                if done.is_some_and(|done| done >= at) {
                    continue;
                }
                for key in 0..self.keys {
                    let record = heartbeat::bar(key, at);
                    self.batch.push(
                        Append::json(self.topic.clone(), &record.symbol, &record).into_partition(partition),
                    );
                }
            }
        }
        self.clocked.fill(Some(until));
        self.report.status.watermark = Some(until);
    }

    pub(super) fn letter(&mut self, letter: &DeadLetter) {
        self.count("rejected", 1);
        let minute = minute_of(letter.received_timestamp);
        if self.kept.0 != minute {
            self.kept = (minute, 0, 0);
        }
        let (_, letters, bytes) = &mut self.kept;
        (*letters, *bytes) = (*letters + 1, *bytes + letter.event.len());
        if *letters > MOST_LETTERS || *bytes > MOST_LETTER_BYTES {
            if *letters == MOST_LETTERS + 1 {
                tracing::warn!(
                    "More of what comes is no good bar than is kept as dead letters; it is counted."
                );
            }
            return self.count("unkept", 1);
        }
        self.batch.push(letter.to_append());
        self.letters = true;
    }

    pub(super) fn gap(&mut self, gap: &Gap) {
        self.batch.push(gap.to_append());
        self.count("gaps", 1);
    }

    pub(super) fn count(&mut self, name: &str, more: u64) {
        match self.report.status.counts.get_mut(name) {
            Some(count) => *count = count.saturating_add(more),
            None => drop(self.report.status.counts.insert(name.to_owned(), more)),
        }
    }

    /// What the service is doing, and how each entry of the watchlist fares.
    pub(super) fn doing(&mut self, state: Activity, entries: Vec<EntryState>) {
        self.report.status.state = state;
        self.report.status.entries = entries;
    }

    /// Appends what is at hand, with the status when that is due.
    pub(super) async fn flush(&mut self) -> Result<(), FeedError> {
        if self.letters || self.report.is_due() {
            self.batch.push(self.report.say());
        }
        self.letters = false;
        Ok(self.log.append(std::mem::take(&mut self.batch)).await?)
    }

    /// Appends what is at hand with a last status.
    pub(super) async fn end(&mut self, state: RunState) -> Result<(), FeedError> {
        self.report.status.state = state.into();
        self.batch.push(self.report.say());
        Ok(self.log.append(std::mem::take(&mut self.batch)).await?)
    }
}
