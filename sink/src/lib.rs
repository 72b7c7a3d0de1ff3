//! From the log to the store: the raw topics and every job's results become
//! points, and windows that late or corrected bars touch are computed again.
//!
//! Each batch of points is written together with notes of what has been read;
//! only then are the reader's positions committed. So whatever happens in
//! between, every record counts once.

mod aggregates;
mod alerts;
mod decode;
mod error;
mod gaps;
mod gathered;
mod late;
mod layout;
mod pending;
mod progress;
mod ranges;
mod recompute;
mod sink;
mod status;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use engine::Job;
use store::SharedStore;
use tokio::sync::mpsc;
use wire::again::{self, Ask};
use wire::log::SharedLog;
use wire::stop::Stop;

pub use aggregates::aggregate;
pub use error::SinkError;
pub use recompute::recompute;

/// How often touched windows are computed again, by the wall clock.
const RECOMPUTE_EVERY: Duration = Duration::from_secs(15 * 60);

/// Writes what stands on the raw topics and on the result topics of `jobs` to
/// the store, until `stop` asks for an end; when asked to drain, once everything
/// that the log holds is stored and every closed window that late records touch
/// has been computed again.
///
/// # Errors
/// When the log, the store or the recomputation of a window fails; what was
/// stored until then is in order.
pub async fn run(log: SharedLog, store: SharedStore, jobs: Vec<Job>, stop: Stop) -> Result<(), SinkError> {
    run_answering(again::channel().1, log, store, jobs, stop).await
}

/// [`run`], which in between computes again what is `asked` for.
///
/// # Errors
/// As [`run`].
pub async fn run_answering(
    asked: mpsc::Receiver<Ask>,
    log: SharedLog,
    store: SharedStore,
    jobs: Vec<Job>,
    stop: Stop,
) -> Result<(), SinkError> {
    open(log, store, jobs).await?.run(RECOMPUTE_EVERY, asked, &stop).await
}

/// [`run`], computing touched windows again as often as asked for.
///
/// # Errors
/// As [`run`].
pub async fn run_every(
    every: Duration,
    log: SharedLog,
    store: SharedStore,
    jobs: Vec<Job>,
    stop: Stop,
) -> Result<(), SinkError> {
    open(log, store, jobs).await?.run(every, again::channel().1, &stop).await
}

async fn open(log: SharedLog, store: SharedStore, jobs: Vec<Job>) -> Result<sink::Sink, SinkError> {
    let tables = jobs.iter().map(table::Table::of).chain([gaps::table(), alerts::table()]).collect();
    let compute = Box::new(recompute::Engine::new(jobs));
    sink::Sink::open(log, store, tables, compute).await
}
