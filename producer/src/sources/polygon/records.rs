//! What goes onto the log: bars, clock records, dead letters, gaps, and the
//! status that counts them, all that is at hand in one append.

use wire::log::{Append, SharedLog, last_records};
use wire::status::{EntryState, Report, ServiceStatus};
use wire::time::Millis;
use wire::topic::STOCK_PRICES;
use wire::{Bar, DeadLetter, Gap, clock};

use crate::ProducerError;

const SERVICE: &str = "producer";
/// How all names of this source begin.
const NAME: &str = "Polygon";

pub(super) struct Records {
    log: SharedLog,
    batch: Vec<Append>,
    letters: bool,
    /// Up to when each partition has its clock records.
    clocked: Vec<Option<Millis>>,
    keys: u32,
    report: Report,
}

impl Records {
    /// Looks up where the topic stands; `host` is where the prices come from.
    pub(super) async fn open(log: SharedLog, keys: u32, host: &str) -> Result<Records, ProducerError> {
        let name = format!("{NAME} at {host}");
        let before = ServiceStatus::last(&*log, SERVICE).await?.unwrap_or_default();
        if let Some(found) = before.source.filter(|found| !found.starts_with(NAME)) {
            return Err(ProducerError::OtherSource { asked: name, found });
        }
        let mut clocked = Vec::new();
        for last in last_records(&*log, &STOCK_PRICES).await? {
            let bar: Option<Bar> = last.and_then(|last| serde_json::from_slice(&last.value).ok());
            clocked.push(bar.map(|bar| bar.complete_until));
        }
        let status = ServiceStatus {
            service: SERVICE.into(),
            source: Some(name),
            state: "connecting".into(),
            watermark: clocked.iter().flatten().min().copied(),
            counts: before.counts,
            ..ServiceStatus::default()
        };
        let keys = keys.max(log.clock_keys());
        Ok(Records { log, batch: Vec::new(), letters: false, clocked, keys, report: Report::new(status) })
    }

    /// What the topic states: everything before has been written.
    pub(super) fn stated(&self) -> Option<Millis> {
        self.clocked.iter().flatten().min().copied()
    }

    pub(super) fn bar(&mut self, bar: &Bar) {
        self.batch.push(Append::json(STOCK_PRICES, &bar.symbol, bar));
    }

    /// Clock records from what was `stated` up to `until`, of every key for every partition.
    pub(super) fn clocks(&mut self, stated: Option<Millis>, until: Millis) {
        // A topic without any begins with the one of `until`.
        let minutes: Vec<_> = match stated {
            Some(stated) => clock::minutes(stated, until).collect(),
            None => vec![until],
        };
        for at in minutes {
            for (partition, done) in (0..).zip(&self.clocked) {
                if done.is_some_and(|done| done >= at) {
                    continue;
                }
                for key in 0..self.keys {
                    let record = clock::bar(key, at);
                    self.batch
                        .push(Append::json(STOCK_PRICES, &record.symbol, &record).into_partition(partition));
                }
            }
        }
        self.clocked.fill(Some(until));
        self.report.status.watermark = Some(until);
    }

    pub(super) fn letter(&mut self, letter: &DeadLetter) {
        self.batch.push(letter.to_append());
        self.letters = true;
        self.count("rejected", 1);
    }

    pub(super) fn gap(&mut self, gap: &Gap) {
        self.batch.push(gap.to_append());
        self.count("gaps", 1);
    }

    pub(super) fn count(&mut self, name: &str, more: u64) {
        match self.report.status.counts.get_mut(name) {
            Some(count) => *count += more,
            None => drop(self.report.status.counts.insert(name.to_owned(), more)),
        }
    }

    /// What the service is doing, and how each entry of the watchlist fares.
    pub(super) fn doing(&mut self, state: &str, entries: Vec<EntryState>) {
        state.clone_into(&mut self.report.status.state);
        self.report.status.entries = entries;
    }

    /// Appends what is at hand, with the status when that is due.
    pub(super) async fn flush(&mut self) -> Result<(), ProducerError> {
        if self.letters || self.report.is_due() {
            self.batch.push(self.report.say());
        }
        self.letters = false;
        Ok(self.log.append(std::mem::take(&mut self.batch)).await?)
    }

    /// Appends what is at hand with a last status.
    pub(super) async fn end(&mut self, state: &str) -> Result<(), ProducerError> {
        state.clone_into(&mut self.report.status.state);
        self.batch.push(self.report.say());
        Ok(self.log.append(std::mem::take(&mut self.batch)).await?)
    }
}
