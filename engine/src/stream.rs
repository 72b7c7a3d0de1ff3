//! The streaming path: each job reads its topics from the log, closes windows as the watermark
//! passes them, and writes their rows to its own topic.
//!
//! Rows are durable before the offset after them is committed. After a restart every window
//! that was not committed is rebuilt from the same records, so that rows may be written twice,
//! with the same values.

mod checkpoint;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use control::shutdown::{Shutdown, ShutdownToken};
use log::time_bounds::TimeBounds;
use log::{Append, Reader, Record, SharedLog};
use model::schema::Value;
use model::service::{RunState, Service};
use model::status::ServiceStatus;
use model::time::{self, MINUTE, Millis, minute_of};
use serde::ser::SerializeMap;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::EngineError;
use crate::job::Job;
use crate::plan::{Plan, Row, Visibility};
use checkpoint::{Partitions, Seen};

/// How many records one poll may return.
const POLL: usize = 2_048;
/// The longest wait for records before the request to stop is checked.
const WAIT: Duration = Duration::from_millis(250);
/// The interval between two commits of offsets.
const CHECKPOINT: Duration = Duration::from_secs(5);
/// How many result rows one append may have.
const APPEND: usize = 4_096;

/// Runs all `jobs` until `stop` requests an end; with [`Shutdown::Drain`], until everything in
/// the log has been processed.
///
/// # Errors
/// If a job cannot be planned, or the log fails.
pub async fn run(log: SharedLog, jobs: Vec<Job>, stop: ShutdownToken) -> Result<(), EngineError> {
    let mut running = JoinSet::new();
    let mut progress = Vec::new();
    for job in jobs {
        let of_job = Arc::new(Progress::default());
        progress.push(of_job.clone());
        running.spawn(follow(log.clone(), job, stop.clone(), of_job));
    }
    let publishing = publish(log, progress);
    let finished = async {
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(outcome) => outcome?,
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            }
        }
        Ok(())
    };
    publishing.until(finished).await
}

async fn follow(
    log: SharedLog,
    job: Job,
    stop: ShutdownToken,
    progress: Arc<Progress>,
) -> Result<(), EngineError> {
    let mut follower = Follower::start(log, job, progress).await?;
    let mut committed = Instant::now();
    loop {
        if stop.stopped() {
            return follower.commit().await;
        }
        let wait = if stop.draining() { Duration::ZERO } else { WAIT };
        let records = tokio::select! {
            records = follower.reader.poll(POLL, wait) => records?,
            () = stop.at_least(Shutdown::Stop) => continue,
        };
        if records.is_empty() && stop.draining() && follower.reader.caught_up().await? {
            return follower.commit().await;
        }
        let skipped = follower.reader.skipped();
        follower.progress.skipped(skipped.iter().map(|skipped| skipped.to - skipped.from).sum());
        follower.process(&records).await?;
        follower.close_windows().await?;
        if committed.elapsed() >= CHECKPOINT {
            follower.commit().await?;
            committed = Instant::now();
        }
    }
}

/// A running job.
struct Follower {
    log: SharedLog,
    job: Job,
    plan: Plan,
    reader: Box<dyn Reader>,
    partitions: Partitions,
    progress: Arc<Progress>,
}

impl Follower {
    async fn start(log: SharedLog, job: Job, progress: Arc<Progress>) -> Result<Follower, EngineError> {
        let mut plan = Plan::of(&job, Visibility::Complete).await?;
        let reader = log.reader(&format!("engine-{}", job.name), &job.reads).await?;
        let partitions = Partitions::resume(
            &job.reads,
            log.partitions(),
            reader.resumed_from(),
            plan.keeps_late_rows(),
            TimeBounds::of(log.as_ref()),
        );
        if let Some(closed) = partitions.closed_until() {
            plan.skip_until(closed);
            progress.closed(closed);
            tracing::info!(job = job.name, closed_until = time::rfc3339(closed), "Resuming.");
        }
        Ok(Follower { log, job, plan, reader, partitions, progress })
    }

    /// Processes records, counts late ones, and writes the rows that are emitted at once.
    async fn process(&mut self, records: &[Record]) -> Result<(), EngineError> {
        for run in records.chunk_by(|a, b| a.topic == b.topic && a.partition == b.partition) {
            let Some(source) = self.job.reads.iter().position(|topic| *topic == run[0].topic) else {
                continue;
            };
            let values: Vec<_> = run.iter().map(|record| &record.value).collect();
            let (rows, refused) =
                self.plan.sources[source].decode(&values).map_err(EngineError::plan(&self.job.name))?;
            for &at in &refused {
                // The sink stores it as a dead letter; the engine only skips it.
                log::warn_skipped(&run[at], &"it cannot be decoded");
            }
            self.progress.refused(refused.len());
            let decoded =
                run.iter().enumerate().filter(|(at, _)| !refused.contains(at)).map(|(_, record)| record);
            let seen: Vec<Option<Seen>> = decoded
                .zip(rows.event_times.iter().zip(&rows.watermarks))
                .map(|(record, (&at, &watermark))| {
                    let seen = self.partitions.see(source, record, minute_of(at), watermark);
                    seen.inspect_err(|out_of_bounds| log::warn_skipped(record, out_of_bounds)).ok()
                })
                .collect();
            self.progress.refused(seen.iter().filter(|seen| seen.is_none()).count());
            let taken = |seen: &Seen| seen.in_time || self.plan.keeps_late_rows();
            let mask: Vec<bool> = seen.iter().map(|seen| seen.as_ref().is_some_and(taken)).collect();
            let rows = match mask.contains(&false) {
                true => rows.keep(&mask).map_err(EngineError::plan(&self.job.name))?,
                false => rows,
            };
            let reread: Vec<bool> =
                seen.iter().flatten().filter(|seen| taken(seen)).map(|seen| seen.reread).collect();
            let out = self.plan.push(source, &rows, &reread)?;
            self.write(&out).await?;
        }
        self.progress.late(self.partitions.late());
        Ok(())
    }

    /// Closes the windows that the watermark has passed, and writes their rows.
    async fn close_windows(&mut self) -> Result<(), EngineError> {
        let Some(watermark) = self.partitions.watermark() else { return Ok(()) };
        if self.partitions.closed_until().is_some_and(|closed| watermark < closed + MINUTE) {
            return Ok(());
        }
        let rows = self.plan.close(watermark).await?;
        self.write(&rows).await?;
        self.partitions.closed(minute_of(watermark), self.plan.needed_from());
        self.progress.closed(watermark);
        Ok(())
    }

    async fn write(&self, rows: &[Row]) -> Result<(), EngineError> {
        for chunk in rows.chunks(APPEND) {
            self.log.append(chunk.iter().map(|row| self.record(row)).collect()).await?;
        }
        self.progress.wrote(rows.len());
        Ok(())
    }

    fn record(&self, row: &[Value]) -> Append {
        let key = self.job.columns.iter().position(|column| column.name == self.job.key);
        let key = key.and_then(|at| row[at].as_str()).unwrap_or_default();
        Append::json(self.job.topic.clone(), key, &RowJson { job: &self.job, row })
    }

    async fn commit(&mut self) -> Result<(), EngineError> {
        Ok(self.reader.commit(self.partitions.positions()).await?)
    }
}

/// A result row as a JSON object.
struct RowJson<'a> {
    job: &'a Job,
    row: &'a [Value],
}

impl serde::Serialize for RowJson<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.row.len()))?;
        for (column, value) in self.job.columns.iter().zip(self.row) {
            object.serialize_entry(&column.name, value)?;
        }
        object.end()
    }
}

// The status of the engine.

/// How often the status is checked; it is published if it has changed.
const EVERY: Duration = Duration::from_secs(1);

/// The counts of one job.
pub(crate) struct Progress {
    watermark: AtomicI64,
    late: AtomicU64,
    rows: AtomicU64,
    refused: AtomicU64,
    skipped: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Progress {
            watermark: AtomicI64::new(Millis::MIN),
            late: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        }
    }
}

impl Progress {
    pub(crate) fn late(&self, total: u64) {
        self.late.store(total, Relaxed);
    }

    pub(crate) fn refused(&self, more: usize) {
        self.refused.fetch_add(more as u64, Relaxed);
    }

    pub(crate) fn skipped(&self, more: u64) {
        self.skipped.fetch_add(more, Relaxed);
    }

    pub(crate) fn closed(&self, watermark: Millis) {
        self.watermark.store(watermark, Relaxed);
    }

    pub(crate) fn wrote(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Relaxed);
    }
}

/// Publishes one status for all jobs.
pub(crate) struct Publishing {
    log: SharedLog,
    jobs: Vec<Arc<Progress>>,
    said: ServiceStatus,
}

/// A publisher of the status of `jobs`.
pub(crate) fn publish(log: SharedLog, jobs: Vec<Arc<Progress>>) -> Publishing {
    Publishing { log, jobs, said: ServiceStatus::default() }
}

impl Publishing {
    /// Publishes until `work` ends, and once more after that.
    pub(crate) async fn until(
        mut self,
        work: impl Future<Output = Result<(), EngineError>>,
    ) -> Result<(), EngineError> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => {
                    let state = if outcome.is_ok() { RunState::Stopped } else { RunState::Failed };
                    self.say(state).await?;
                    return outcome;
                }
                () = tokio::time::sleep(EVERY) => self.say(RunState::Running).await?,
            }
        }
    }

    async fn say(&mut self, state: RunState) -> Result<(), EngineError> {
        let sum =
            |count: fn(&Progress) -> &AtomicU64| self.jobs.iter().map(|job| count(job).load(Relaxed)).sum();
        let watermark = self.jobs.iter().map(|job| job.watermark.load(Relaxed)).min();
        let status = ServiceStatus {
            service: Service::Engine.name().into(),
            at: self.said.at,
            state: state.into(),
            watermark: watermark.filter(|&at| at > Millis::MIN),
            counts: [
                ("late".to_owned(), sum(|job| &job.late)),
                ("refused".to_owned(), sum(|job| &job.refused)),
                ("skipped".to_owned(), sum(|job| &job.skipped)),
                ("rows_since_start".to_owned(), sum(|job| &job.rows)),
            ]
            .into(),
            ..ServiceStatus::default()
        };
        if status != self.said {
            self.said = ServiceStatus { at: time::now(), ..status };
            self.log.append(vec![self.said.to_append()]).await?;
        }
        Ok(())
    }
}
