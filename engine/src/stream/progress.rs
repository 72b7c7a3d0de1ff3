//! What the engine says of itself.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use log::SharedLog;
use model::service::{RunState, Service};
use model::status::ServiceStatus;
use model::time::{self, Millis};

use crate::error::EngineError;

/// How often the status is looked at; it is published when it changed.
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

/// Publishes the status of all jobs together.
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
    /// Publishes until `work` is done, and once more then.
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
