//! The service: follows the signals, tells of episodes, and keeps what they
//! have come to.
//!
//! An episode is told as soon as its window has been read; the state behind it
//! is kept every few seconds. Whoever was killed in between says the same
//! again, word for word.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use control::shutdown::{Shutdown, ShutdownToken};
use control::status::Report;
use log::time_bounds::TimeBounds;
use log::{Append, Position, Reader, Record, SharedLog, is_another};
use model::Alert;
use model::service::{Activity, RunState, Service};
use model::status::ServiceStatus;
use model::time;
use tokio::time::Instant;

use crate::error::AlertsError;
use crate::partition::{Counts, Partition};
use crate::schedule::Schedule;
use crate::{signals, state};

/// The name under which positions are committed, and of the status.
const SERVICE: &str = Service::Alerts.name();
/// How many records of a partition are taken at once.
const POLL: usize = 2_048;
/// How long to wait for records before looking at the wish to stop.
const WAIT: Duration = Duration::from_millis(250);
/// How often the state is kept.
const CHECKPOINT: Duration = Duration::from_secs(5);
/// How many alerts are appended at once.
const APPEND: usize = 1_000;

/// Applies the rules to the signals until `stop` asks for an end; when asked to
/// drain, once everything that the log holds has been taken.
///
/// # Errors
/// When the log fails, or holds a state that cannot be read.
pub async fn run(log: SharedLog, stop: ShutdownToken) -> Result<(), AlertsError> {
    let mut service = Evaluation::start(log).await?;
    let mut kept = Instant::now();
    loop {
        if stop.stopped() {
            return service.end(RunState::Stopped).await;
        }
        let wait = if stop.draining() { Duration::ZERO } else { WAIT };
        let records = tokio::select! {
            records = service.reader.poll(POLL, wait) => records?,
            () = stop.at_least(Shutdown::Stop) => continue,
        };
        if records.is_empty() && stop.draining() && service.reader.caught_up().await? {
            return service.end(RunState::Finished).await;
        }
        service.take(&records).await?;
        if kept.elapsed() >= CHECKPOINT {
            service.keep().await?;
            kept = Instant::now();
        }
        service.say(RunState::Running).await?;
    }
}

struct Evaluation {
    log: SharedLog,
    reader: Box<dyn Reader>,
    schedule: Schedule,
    partitions: BTreeMap<u32, Partition>,
    /// Partitions that have moved since their state was kept.
    moved: BTreeSet<u32>,
    /// Which times on records are believed.
    bounds: TimeBounds,
    report: Report,
}

/// A reader that begins no later than the state holds: the state is kept before the
/// position is committed, so it is behind only where a state was lost.
async fn resumed(
    log: &SharedLog,
    partitions: &BTreeMap<u32, Partition>,
) -> Result<Box<dyn Reader>, AlertsError> {
    let mut reader = log.reader(SERVICE, &[signals()]).await?;
    let ahead = |at: &Position| {
        let offset = partitions.get(&at.partition)?.next;
        (offset < at.offset).then(|| Position { offset, ..at.clone() })
    };
    let ahead: Vec<_> = reader.resumed_from().iter().filter_map(ahead).collect();
    if ahead.is_empty() {
        return Ok(reader);
    }
    reader.commit(ahead).await?;
    drop(reader);
    Ok(log.reader(SERVICE, &[signals()]).await?)
}

impl Evaluation {
    async fn start(log: SharedLog) -> Result<Evaluation, AlertsError> {
        let status = ServiceStatus { service: SERVICE.into(), ..ServiceStatus::default() };
        let (mut partitions, now) = (state::read(&*log).await?, time::now());
        let bounds = TimeBounds::of(log.as_ref());
        for (number, partition) in &mut partitions {
            partition.reached = bounds.noted(partition.reached, now);
            if let Some((offset, at)) = partition.last
                && is_another(log.as_ref(), &signals(), *number, offset, at).await?
            {
                tracing::warn!(
                    partition = number,
                    "The signals were made anew, and are read from their start."
                );
                partition.next = 0;
            }
        }
        Ok(Evaluation {
            reader: resumed(&log, &partitions).await?,
            partitions,
            bounds,
            log,
            schedule: Schedule::default(),
            moved: BTreeSet::new(),
            report: Report::new(status),
        })
    }

    /// Takes records, and tells what opens and closes.
    async fn take(&mut self, records: &[Record]) -> Result<(), AlertsError> {
        if records.is_empty() {
            return Ok(());
        }
        // After the records: rules that went before one of them are seen with it.
        self.schedule.read_on(&*self.log).await?;
        let mut alerts = Vec::new();
        for record in records {
            let partition = self.partitions.entry(record.partition).or_default();
            // What the state holds already is polled again after a kill.
            if record.offset >= partition.next {
                alerts.extend(partition.take(record, &self.schedule, self.bounds));
                self.moved.insert(record.partition);
            }
        }
        let told: Vec<Append> = alerts.iter().map(Alert::to_append).collect();
        for chunk in told.chunks(APPEND) {
            self.log.append(chunk.to_vec()).await?;
        }
        Ok(())
    }

    /// Keeps the state, then commits the positions behind it.
    async fn keep(&mut self) -> Result<(), AlertsError> {
        if self.moved.is_empty() {
            return Ok(());
        }
        state::write(&self.log, &mut self.partitions, &self.moved).await?;
        self.moved.clear();
        Ok(self.reader.commit(self.reader.positions()).await?)
    }

    async fn end(&mut self, state: impl Into<Activity>) -> Result<(), AlertsError> {
        self.keep().await?;
        self.report.status.state = state.into();
        self.count();
        Ok(self.log.append(vec![self.report.say()]).await?)
    }

    /// Says what there is to say, about once a second.
    async fn say(&mut self, state: impl Into<Activity>) -> Result<(), AlertsError> {
        self.report.status.state = state.into();
        self.count();
        if self.report.is_due() {
            self.log.append(vec![self.report.say()]).await?;
        }
        Ok(())
    }

    fn count(&mut self) {
        let sum = |count: fn(&Counts) -> u64| self.partitions.values().map(|held| count(&held.counts)).sum();
        let open = self.partitions.values().map(|held| held.open() as u64).sum();
        self.report.status.watermark = self.partitions.values().filter_map(|held| held.reached).max();
        self.report.status.counts = [
            ("opened", sum(|counts| counts.opened)),
            ("closed", sum(|counts| counts.closed)),
            ("open", open),
            ("passed_over", sum(|counts| counts.passed_over)),
            ("refused", sum(|counts| counts.refused)),
            ("forgotten", sum(|counts| counts.forgotten)),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into();
    }
}
